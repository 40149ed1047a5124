"""Arguments: order, typos, classes, and how quickly all of it is there."""

import json
import subprocess
import sys

import pytest
from skllkd.cli.classes import classes_of
from skllkd.cli.main import main, parser_of_all
from skllkd.exceptions import InvalidParameterError

PLAN = ["plan", "--teacher", "t"]


def parsed(*arguments):
    return parser_of_all().parse_args(list(arguments))


def error_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- typos


@pytest.mark.parametrize(
    ("arguments", "proposal"),
    [
        (["perdict"], "'predict'"),
        (["Fit"], "'fit'"),
        (["plan", "x.csv", "--clases", "a", "b", "--teacher", "t"], "'--classes'"),
        (["label", "x.csv", "--techer=t"], "'--teacher'"),
        (["store", "lst"], "'list'"),
        (
            ["plan", "x", *PLAN[1:], "--classes", "a", "b", "--method", "vote"],
            "'votes'",
        ),
    ],
)
def test_a_typo_is_answered_with_the_near_word(arguments, proposal, capsys):
    assert f"Did you mean {proposal}?" in error_of(capsys, *arguments)


def test_a_word_like_no_other_is_answered_with_none(capsys):
    error = error_of(capsys, "xyzzy")
    assert "invalid choice: 'xyzzy'" in error and "Did you mean" not in error
    error = error_of(capsys, "plan", "x", "--xyzzy", "1")
    assert "unrecognized arguments: --xyzzy" in error and "Did you mean" not in error
    assert error.splitlines()[0].startswith("usage: skllkd plan [options]")


# ---- order of files and options


@pytest.mark.parametrize(
    "arguments",
    [
        ["x.csv", "--teacher", "t", "--classes", "a", "b"],
        ["--teacher", "t", "x.csv", "--classes", "a", "b"],
        ["--classes", "a", "b", "--teacher", "t", "x.csv"],
        ["--teacher", "t", "--classes", "a", "b", "x.csv"],
    ],
)
def test_the_file_may_stand_anywhere(arguments, folder):
    (folder / "x.csv").write_text("text\n")
    options = parsed("label", *arguments)
    assert (options.input, options.classes) == ("x.csv", ["a", "b"])


def test_the_last_class_is_no_file_unless_there_is_one(folder, capsys):
    error = error_of(capsys, *PLAN, "--classes", "a", "b", "x.csv")
    assert "required: input. The file comes before --classes" in error
    (folder / "b").write_text("")
    assert parsed(*PLAN, "y.csv", "--classes", "a", "b").classes == ["a", "b"]
    assert parsed(*PLAN, "--classes", "a", "b", "-").input == "-"


def test_options_between_the_files_of_a_command():
    options = parsed("predict", "model", "--column", "body", "new.csv")
    assert (options.model, options.input, options.column) == (
        "model",
        "new.csv",
        "body",
    )
    assert parsed("predict", "--column", "body", "model").input == "-"
    assert parsed("export", "m", "x.csv", "-o", "m.onnx").output == "m.onnx"


# ---- classes


def given(*words):
    return classes_of(parsed(*PLAN, "x.csv", "--classes", *words))


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (["a", "b"], ["a", "b"]),
        (["a=one, two", "b"], {"a": "one, two", "b": ""}),
        (["a=x=y", "b=z"], {"a": "x=y", "b": "z"}),
        (["a\\=b", "c"], ["a=b", "c"]),
        (["a\\=b=not c", "c"], {"a=b": "not c", "c": ""}),
        (["a,b,c"], ["a", "b", "c"]),
        (["a, b ,c"], ["a", "b", "c"]),
        (["a,b", "c"], ["a,b", "c"]),
    ],
)
def test_classes_as_arguments(words, classes):
    assert given(*words) == classes


def test_one_class_with_commas_in_its_description_is_no_list():
    with pytest.raises(InvalidParameterError, match="an argument of its own"):
        given("billing=invoices, refunds")


@pytest.mark.parametrize("words", [["a"], ["a", "a"], ["a", " "]])
def test_classes_that_are_not_allowed_are_named_at_once(words):
    with pytest.raises(InvalidParameterError, match="`classes` must"):
        given(*words)


@pytest.mark.parametrize(
    ("name", "content", "classes"),
    [
        ("c.txt", "a=b\nc\n", ["a=b", "c"]),
        ("c.csv", "class,description\na,one\nb,\n", {"a": "one", "b": ""}),
        ("c.csv", "label\n007\n1.10\n", ["007", "1.10"]),
        ("c.jsonl", '{"name": "a=b"}\n{"name": "c"}\n', ["a=b", "c"]),
    ],
)
def test_classes_of_a_file(name, content, classes, folder):
    (folder / name).write_text(content)
    assert given(name) == classes


def test_a_table_without_classes_names_its_columns(folder):
    (folder / "c.csv").write_text("clazz,n\na,1\n")
    with pytest.raises(InvalidParameterError, match="Did you mean 'clazz'"):
        given("c.csv")


# ---- start


STARTS = """
import contextlib, io, json, sys, time
from contextlib import redirect_stderr, redirect_stdout
from skllkd.cli.main import main

loaded = []
for arguments in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(arguments)
    heavy = {"sklearn", "torch", "pandas", "pyarrow", "polars", "joblib", "scipy", "tqdm"}
    heavy |= {"skllkd.teachers.base"}
    loaded.append(sorted(heavy & set(sys.modules)))
print(json.dumps([loaded, time.process_time()]))
"""


def test_help_and_errors_load_nothing_that_takes_long(folder):
    (folder / "x.csv").write_text("body\na\n")
    calls = [
        ["--help"],
        ["plan", "--help"],
        ["fit", "--help"],
        ["plxn"],
        [*PLAN, "x.csv", "--clases", "a", "b"],
        [*PLAN, "missing.csv", "--classes", "a", "b"],
        [*PLAN, "x.csv", "--classes", "a", "b"],  # which has no column `text`
        [*PLAN, "x.csv", "--classes", "a"],
        ["store", "list"],
        ["store", "prune"],
        ["completion", "bash"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", STARTS, json.dumps(calls)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    loaded, seconds = json.loads(done.stdout)
    assert dict(zip(map(" ".join, calls), loaded, strict=True)) == {
        " ".join(call): [] for call in calls
    }
    assert seconds < 2  # ten calls; processor time, Python's own start included


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_options_and_files(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("predict", "--max-cost", "--unanswered", "logprobs"):
        assert word in script
    assert ("_shtab_compgen_files" if shell == "bash" else "_files") in script
