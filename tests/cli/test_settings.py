"""The configuration file of a task: options, in TOML."""

import tomllib

import pytest
from skllkd.cli.classes import classes_of
from skllkd.cli.main import main, parser_of_all

SETTINGS = """
input = "texts.csv"
column = "body"
model = "the-model"
[teacher]
teacher = "qwen"
base-url = "http://localhost:1/v1"
rate-limit = [500, "none"]
[limits]
price = [0.5, 1.5]
max-calls = 9
[student]
frozen = true
seed = 3
[classes]
"a=b" = "one"
c = ""
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(folder):
    (folder / "skllkd.toml").write_text(SETTINGS)
    return folder


def parsed(*arguments):
    return parser_of_all().parse_args(list(arguments))


def test_settings_are_options_of_every_command_that_has_them(settings, capsys):
    fit = parsed("fit")
    assert (fit.input, fit.column, fit.model) == ("texts.csv", "body", "the-model")
    assert (fit.teacher, fit.max_calls, fit.frozen) == ("qwen", 9, True)
    assert (fit.price_per_million, fit.random_state) == ([0.5, 1.5], 3)
    assert fit.rate_limit == [500.0, None]
    assert classes_of(fit) == {"a=b": "one", "c": ""}
    label = parsed("label")
    assert label.teacher == "qwen" and not hasattr(label, "frozen")
    assert "settings of skllkd.toml" in capsys.readouterr().err


def test_the_command_line_comes_first(settings):
    fit = parsed("fit", "other.csv", "--teacher", "t.gguf", "--classes", "x", "y")
    assert (fit.input, fit.teacher, fit.max_calls) == ("other.csv", "t.gguf", 9)
    assert classes_of(fit) == ["x", "y"]


def test_a_file_named_is_read_instead(settings, folder):
    (folder / "other.toml").write_text('teacher = "other"\nclasses = ["p", "q"]\n')
    label = parsed("label", "x.csv", "--config", "other.toml")
    assert label.teacher == "other" and label.base_url is None
    assert classes_of(label) == ["p", "q"]
    assert label.column == "text"


def test_a_file_of_classes_may_be_named(folder):
    (folder / "c.txt").write_text("a\nb\n")
    (folder / "skllkd.toml").write_text('teacher = "t"\nclasses = "c.txt"\n')
    assert classes_of(parsed("label", "x.csv")) == ["a", "b"]


def test_other_commands_read_no_settings(settings, capsys):
    assert parsed("predict", "m").column == "text"
    assert parsed("report", "m", "x.csv").teacher is None  # which would ask it
    assert parsed("store", "list").store is None
    assert capsys.readouterr().err == ""
    assert parsed("report", "m", "--config", "skllkd.toml").teacher == "qwen"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('techer = "t"', "'techer' is no setting. Did you mean 'teacher'?"),
        ("[limits]\nmax_calls = 3", "Did you mean 'max-calls'?"),
        ("teacher = ", "cannot be read"),
        ('max-calls = "many"', "argument --max-calls: invalid int value: 'many'"),
        ("max-calls = [1, 2]", "'max-calls' must be one value"),
        ('frozen = "no"', "'frozen' must be true or false"),
        ("price = [1]", "argument --price"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(folder, content, message, capsys):
    (folder / "skllkd.toml").write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(["fit", "x.csv", "--teacher", "t", "--classes", "a", "b", "--model", "m"])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(folder, capsys):
    with pytest.raises(SystemExit):
        main(["label", "x.csv", "--config", "nowhere.toml"])
    assert "nowhere.toml" in capsys.readouterr().err


# ---- init


def test_init_writes_a_file_that_the_commands_read(folder, capsys):
    command = [
        "init",
        "in.csv",
        "--teacher",
        "qwen",
        "--classes",
        'a "b"=x, y',
        "c\\=d",
    ]
    assert main([*command, "--max-calls", "7"]) == 0
    assert "skllkd.toml written" in capsys.readouterr().err
    fit = parsed("fit")
    assert (fit.input, fit.teacher, fit.max_calls) == ("in.csv", "qwen", 7)
    assert classes_of(fit) == {'a "b"': "x, y", "c=d": ""}
    plain = ["--teacher", "qwen", "--classes", "a", "b", "--max-calls", "7"]
    plain += ["--model", fit.model, "--config", "/dev/null"]
    unchanged = parsed("fit", "in.csv", *plain)
    skipped = {"classes", "config", "parser", "commands", "whole"}
    for name in set(vars(fit)) - skipped:
        assert getattr(fit, name) == getattr(unchanged, name), name


def test_init_overwrites_nothing(settings, capsys):
    assert main(["init"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert (settings / "skllkd.toml").read_text() == SETTINGS


def test_every_comment_of_init_is_a_setting(folder):
    """With each commented setting taken in, the file is read and every key is known."""
    assert main(["init"]) == 0
    lines = (folder / "skllkd.toml").read_text().splitlines()
    taken = [
        line[2:] if line.startswith("# ") and " = " in line else line for line in lines
    ]
    text = "\n".join(taken).replace(
        'rate-limit = ["...", "..."]', "rate-limit = [1, 1]"
    )
    text = text.replace('budget = "..."', "budget = 0.5")
    (folder / "skllkd.toml").write_text(text)
    tables = tomllib.loads(text)
    assert {"teacher", "prompt", "limits", "student", "classes"} < set(tables)
    fit = parsed("fit")
    assert (fit.method, fit.chat, fit.budget) == ("logprobs", "auto", 0.5)
