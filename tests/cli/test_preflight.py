"""Whatever can fail later is tried before the teacher is paid; a failure loses nothing."""

import re
import sys
import warnings
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import feather
from skllkd import LLKDClassifier
from skllkd.cli.main import main, parser_of_all
from skllkd.exceptions import TeacherAccessError
from skllkd.teachers import LabelStore, MeteredTeacher, Scores

TEXTS = [f"{word} number {i}" for i in range(15) for word in ("apple", "berry")]
CLASSES = ["--classes", "a", "b"]


class ByLetter(MeteredTeacher):
    """Knows the class by the first letter, and notes what it is asked."""

    _prompt = "Which one?"

    def __init__(self, calibration=None, store=None):
        self.calibration, self.store = calibration, store

    def fingerprint(self, classes):
        return {"teacher": "by letter", "classes": list(classes.words)}

    def score_batch(self, texts, classes):
        asked.extend(texts)
        if failure:
            raise failure[0]
        log_prob = np.full((len(texts), len(classes)), np.log(0.05))
        for row, text in enumerate(texts):
            log_prob[row, classes.words.index(text[0])] = np.log(0.9)
        return Scores(log_prob, np.full(len(texts), 0.95))

    def _prompt_of(self, text, classes):
        return f"{self._prompt}\n{text}"


asked, failure = [], []


@pytest.fixture(autouse=True)
def teacher(monkeypatch):
    asked.clear()
    failure.clear()
    for module in ("plan", "classifier", "labelling"):
        monkeypatch.setattr(f"skllkd.cli.{module}.teacher_of", lambda _: ByLetter())


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return str(path)


@pytest.fixture
def fit(texts, tmp_path, tiny_path):
    command = ["fit", texts, "--teacher", "t", *CLASSES, "--frozen"]
    return [*command, "--student", str(tiny_path), "--model", str(tmp_path / "model")]


@pytest.fixture
def broken_encoder(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return str(folder)


# ---- plan


def test_plan_tries_everything_and_says_what_it_found(
    texts, tiny_path, tmp_path, capsys
):
    command = ["plan", texts, "--teacher", "t", *CLASSES, "--student", str(tiny_path)]
    assert main([*command, "--model", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert len(asked) == 5 and set(asked) <= set(TEXTS)
    assert re.search(r"already stored +5\n", out)
    assert re.search(r"to be labelled +25\n", out)
    assert re.search(r"time +0 s\n", out)
    assert f"  | Which one?\n  | {asked[0]}\n" in out
    assert out.count("\n  0.95  ") == 5
    assert "mean: 0.950" in out
    for line in ("teacher: answers", "student: its encoder loads", "folder: can be"):
        assert f"\n{line}" in out
    assert not (tmp_path / "new").exists()
    assert main(command) == 0
    assert len(asked) == 5  # they are known now


def test_plan_without_a_sample_makes_no_call(texts, tiny_path, capsys):
    command = ["plan", texts, "--teacher", "t", *CLASSES, "--student", str(tiny_path)]
    assert main([*command, "--sample", "0"]) == 0
    assert asked == [] and "prompt" not in capsys.readouterr().out


def test_plan_names_every_problem_in_words_of_the_shell(
    texts, broken_encoder, tmp_path, capsys
):
    failure.append(TeacherAccessError('no log-probabilities. Use method="votes".'))
    (tmp_path / "file").write_text("")
    command = ["plan", texts, "--teacher", "t", *CLASSES, "--student", broken_encoder]
    assert main([*command, "--model", str(tmp_path / "file")]) == 0  # it has the plan
    out = capsys.readouterr().out
    assert "to be labelled" in out
    assert "teacher: PROBLEM: no log-probabilities. Use --method votes." in out
    assert "student: PROBLEM: --student: " in out
    assert "folder: PROBLEM: " in out and "is a file" in out


def test_an_encoder_nobody_named_is_a_problem_of_fit_only(
    texts, broken_encoder, monkeypatch, capsys
):
    from skllkd.students import TransformerStudent

    student = TransformerStudent(broken_encoder)
    monkeypatch.setattr("skllkd.cli.plan.student_of", lambda _: student)
    assert main(["plan", texts, "--teacher", "t", *CLASSES]) == 0
    assert "student: PROBLEM, for fit only: " in capsys.readouterr().out


# ---- fit


def test_an_encoder_that_does_not_load_is_found_before_a_call(
    fit, broken_encoder, capsys
):
    assert main([*fit, "--student", broken_encoder]) == 1
    assert "cannot be loaded as a text encoder" in capsys.readouterr().err
    assert asked == []


def test_a_folder_that_cannot_be_written_is_found_before_a_call(fit, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main([*fit, "--model", str(tmp_path / "file" / "model")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert asked == [] and (tmp_path / "file").read_text() == "mine"


def test_a_model_whose_folder_fails_after_training_is_saved_elsewhere(
    fit, tmp_path, monkeypatch, capsys
):
    save = LLKDClassifier.save

    def fails_at_first(self, folder, **more):
        if str(folder) == str(tmp_path / "model"):
            raise OSError(28, "No space left on device")
        save(self, folder, **more)

    monkeypatch.setattr(LLKDClassifier, "save", fails_at_first)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(fit) == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert re.search(r"answers so far are stored in \S+labels\.sqlite", error)
    (rescue,) = re.findall(r"saved in (\S+) instead", error)
    assert LLKDClassifier.load(rescue).classes_.tolist() == ["a", "b"]


@pytest.mark.parametrize("command", ["label", "fit"])
def test_a_failure_after_calls_says_where_the_answers_are(
    command, fit, own_store, monkeypatch, capsys
):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skllkd.cli.labelling._write_labels", fails)
    monkeypatch.setattr(LLKDClassifier, "_with_state", fails)
    assert main(fit if command == "fit" else ["label", *fit[1:7]]) == 1
    error = capsys.readouterr().err
    assert f"answers so far are stored in {own_store}" in error
    assert "skllkd: [Errno 28] No space left on device" in error
    assert len(LabelStore(own_store)) == len(TEXTS)


def test_a_failure_before_a_call_names_no_answers(fit, broken_encoder, capsys):
    assert main([*fit, "--student", broken_encoder]) == 1
    assert "stored in" not in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_a_class_never_chosen_stops_or_warns_as_the_shell_says(fit, capsys):
    at = fit.index("b")
    command = [*fit[: at + 1], "c", *fit[at + 1 :]]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "set --on-missing-class warn to go on" in error
    assert "--classes name=description" in error
    n_asked = len(asked)
    assert main([*command, "--on-missing-class", "warn"]) == 0
    assert len(asked) == n_asked  # what was paid for is kept
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("skllkd: warning: the teacher chose") for line in lines)
    assert not any(".py" in line for line in lines)


def test_a_run_says_what_is_known_already(fit, texts, tmp_path, capsys):
    (tmp_path / "some.txt").write_text("\n".join(TEXTS[:20]))
    assert main(["label", str(tmp_path / "some.txt"), "--teacher", "t", *CLASSES]) == 0
    assert "answered already" not in capsys.readouterr().err
    assert main(fit) == 0
    error = capsys.readouterr().err
    assert "20 of 30 distinct texts are answered already, by " in error
    assert "30 texts, 2 classes" in error
    assert main(fit) == 0
    assert "are left" not in capsys.readouterr().err


def test_the_verdict_of_a_report_names_options(fit, monkeypatch, capsys):
    said = "Label issues: a `seed`=x\nVerdict: doubtful.\n- Raise `n_epochs`."
    monkeypatch.setattr(LLKDClassifier, "report", lambda self, _: print(said) or said)
    assert main(fit) == 0
    out = capsys.readouterr().out
    assert out == said.replace("`n_epochs`", "--epochs") + "\n"


def test_settings_of_the_student_reach_it(fit, tmp_path, capsys):
    assert main([*fit, "--epochs", "4", "--learning-rate", "0.5", "--seed", "2"]) == 0
    loaded = LLKDClassifier.load(tmp_path / "model")
    assert (loaded.n_epochs, loaded.random_state) == (4, 2)
    assert loaded.student.learning_rate == 0.5
    capsys.readouterr()
    assert main([*fit, "--head-learning-rate", "0.1"]) == 1
    assert "--head-learning-rate is not for --frozen" in capsys.readouterr().err


# ---- interrupts and warnings


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("fit", "Answers so far are stored, and not asked for again"),
        ("label", "Answers so far are stored, and not asked for again"),
        ("predict", "A file named as output is not written"),
    ],
)
def test_an_interrupt_says_what_is_kept(command, hint, fit, texts, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    if command == "predict":
        monkeypatch.setattr("skllkd.cli.predict.load_model", interrupted)
        arguments = ["predict", "model", texts]
    else:
        monkeypatch.setattr(ByLetter, "label", interrupted)
        arguments = [command, *fit[1:7]] if command == "label" else fit
    assert main(arguments) == 130
    error = capsys.readouterr().err
    assert f"interrupted. {hint}" in error
    assert ("Training starts anew" in error) == (command == "fit")


def test_a_warning_is_a_message_without_a_line_of_code(texts, monkeypatch, capsys):
    def warns(_):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("Raise `max_calls`.", stacklevel=1)
        sys.exit(0)

    monkeypatch.setattr("skllkd.cli.labelling.teacher_of", warns)
    with pytest.raises(SystemExit):
        main(["label", texts, "--teacher", "t", *CLASSES])
    assert capsys.readouterr().err == "skllkd: warning: Raise --max-calls.\n"


# ---- any faults together

ROWS = "id,text\n1,apple pie\n2,berry jam\n"


def with_file(command, folder, name, content):
    (folder / name).unlink(missing_ok=True)  # quicker than to cut it to nothing
    (folder / name).write_text(content)
    return command | {"input": str(folder / name)}


def with_interval(command, folder):
    """Return the command with a column that Arrow has and parquet has not."""
    path = folder / "interval.arrow"
    interval = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    feather.write_feather(pa.table({"text": ["a"], "of": interval}), str(path))
    return command | {"input": str(path), "-o": str(folder / "out.parquet")}


FAULTS = {
    "no such input": lambda c, d: c | {"input": str(d / "none.csv")},
    "an input that is a folder": lambda c, d: c | {"input": str(d), "--format": "csv"},
    "a quotation mark left open": lambda c, d: with_file(c, d, "q.csv", ROWS + '3,"a'),
    "a short row": lambda c, d: with_file(c, d, "s.csv", ROWS + "3\n"),
    "a number for a text": lambda c, d: with_file(c, d, "n.jsonl", '{"text": 1}'),
    "no JSON": lambda c, d: with_file(c, d, "j.jsonl", '{"text": "apple"}\n{'),
    "two columns of a name": lambda c, d: with_file(c, d, "r.csv", "text,text\na,b\n"),
    "a column that is taken": lambda c, d: with_file(
        c, d, "t.csv", "text,label\napple,mine\n"
    ),
    "an input of no format": lambda c, d: with_file(c, d, "texts", ROWS),
    "no such column": lambda c, d: c | {"--column": "txt"},
    "no such encoding": lambda c, d: c | {"--encoding": "none"},
    "another encoding": lambda c, d: c | {"--encoding": "utf-16"},
    "a delimiter of two characters": lambda c, d: c | {"--delimiter": ";;"},
    "an output in no folder": lambda c, d: c | {"-o": str(d / "no" / "out.csv")},
    "an output that is a folder": lambda c, d: c | {"-o": str(d)},
    "an output in a file": lambda c, d: c | {"-o": str(d / "in.csv" / "out.csv")},
    "an output that is the input": lambda c, d: c | {"-o": c["input"]},
    "an output of no format": lambda c, d: c | {"-o": str(d / "out")},
    "an output that is not written": lambda c, d: c | {"-o": str(d / "out.xlsx")},
    "values of no common type": lambda c, d: (
        with_file(c, d, "m.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "n": "x"}\n')
        | {"-o": str(d / "out.parquet")}
    ),
    "a type that is not written": lambda c, d: with_interval(c, d),
    "no row": lambda c, d: with_file(c, d, "h.csv", "id,text\n"),
    "one class": lambda c, d: c | {"--classes": ["a"]},
    "a class twice": lambda c, d: c | {"--classes": ["a", "a"]},
    "a class without a name": lambda c, d: c | {"--classes": ["a", " "]},
}


@pytest.fixture
def one_parser(monkeypatch):
    """Build the parser once: it takes most of the time of a command that is refused."""
    parser = parser_of_all()
    monkeypatch.setattr("skllkd.cli.main.parser_of_all", lambda: parser)


@given(faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=3))
@example(faults=[])
def test_no_call_is_paid_for_with_any_fault_of_the_command(
    faults, one_parser, tmp_path, capsys
):
    """Without one, the labels are written."""
    command = {"-o": str(tmp_path / "out.csv"), "--classes": ["a", "b"]}
    (tmp_path / "out.csv").unlink(missing_ok=True)
    command = with_file(command, tmp_path, "in.csv", ROWS)
    for fault in faults:
        command = FAULTS[fault](command, tmp_path)
    arguments = ["label", command.pop("input"), "--teacher", "t"]
    for name, value in command.items():
        arguments += [name, *([value] if isinstance(value, str) else value)]
    asked.clear()
    with mock.patch(
        "skllkd.cli.labelling.teacher_of", return_value=ByLetter(store=False)
    ):
        status = main(arguments)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if not faults:
        assert status == 0 and len(asked) == 2 and (tmp_path / "out.csv").exists()
    elif status:
        assert status == 1 and asked == []
        assert "skllkd: " in said
    else:  # some mend each other, as a format that is said
        assert len(faults) > 1
