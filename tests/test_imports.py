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
        "import skllkd.teachers, skllkd.selection, skllkd.students, skllkd.datasets\n"
        f"from skllkd import *; print([m for m in {HEAVY} if m in "
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
        "import sklearn, time; start = time.perf_counter(); from skllkd import *; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(5)) < 0.15


def test_help_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from skllkd.cli.main import main\n"
        "try: main(['fit', '--help'])\n"
        "except SystemExit: print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    )
    assert run(code).splitlines()[-1] == "[]"


def test_subpackages_are_there_without_an_import_of_their_own():
    code = (
        "import skllkd; print(skllkd.teachers.CallableTeacher, skllkd.metrics)\n"
        "print(set(skllkd.__all__) <= set(dir(skllkd)), hasattr(skllkd, 'nothing'))"
    )
    assert run(code).splitlines()[-1] == "True False"
