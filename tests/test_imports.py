import subprocess
import sys

HEAVY = ["torch", "transformers", "sentence_transformers", "llama_cpp", "openai"]
HEAVY += ["matplotlib", "pandas", "onnxruntime"]


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, sklearn; before = set(sys.modules)\n"
        "import skllkd, skllkd.teachers, skllkd.selection, skllkd.students\n"
        f"import skllkd.datasets; print([m for m in {HEAVY} if m in "
        "set(sys.modules) - before])"
    )
    assert run(code).strip() == "[]"


def test_fitting_a_scikit_learn_student_loads_no_torch():
    code = (
        "import sys; from skllkd import LLKDClassifier as C\n"
        "from skllkd.students import SklearnStudent as S\n"
        "C(lambda ts: [t[0] for t in ts], ['a', 'b'], student=S())"
        ".fit(['a word', 'b word'] * 3).predict(['a word'])\n"
        "print('torch' in sys.modules)"
    )
    assert run(code).strip() == "False"


def test_importing_the_package_is_quick_beside_sklearn():
    """The bar is 0.15 s; the best of several is what the code itself takes."""
    code = (
        "import sklearn, time; start = time.perf_counter(); import skllkd; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(5)) < 0.15
