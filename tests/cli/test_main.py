import io
import sys

import pytest
from skllkd._version import __version__
from skllkd.cli import demo as _demo
from skllkd.cli.main import main


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"skllkd {__version__}"


@pytest.mark.parametrize("arguments", [[], ["dance"], ["demo", "--pool", "many"]])
def test_arguments_that_cannot_be_read(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: skllkd" in capsys.readouterr().err


def test_an_error_is_one_line_and_status_1(capsys, tmp_path):
    assert main(["demo", "--pool", "3", "--output", str(tmp_path)]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("skllkd: --pool must be")
    assert "Traceback" not in error


def test_an_interrupt_says_that_nothing_is_lost(monkeypatch, capsys):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_demo, "run_demo", interrupted)
    assert main(["demo", "--teacher", "llama.cpp"]) == 130
    assert "run the same command to go on" in capsys.readouterr().err


def test_reports_are_printed_in_any_locale(tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    rows = '{"text": "one", "label": "\U0001f4e6"}\n{"text": "two", "label": "b"}\n'
    (tmp_path / "answers.jsonl").write_text(rows, encoding="utf-8")
    monkeypatch.setattr("skllkd.training.preflight.preflight", lambda *_: None)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    arguments = ["plan", str(tmp_path / "in.txt"), "--classes", "\U0001f4e6", "b"]
    assert main([*arguments, "--teacher", str(tmp_path / "answers.jsonl")]) == 0
    stream.flush()
    assert b"\\U0001f4e6" in stream.buffer.getvalue()


def test_an_interrupt_of_labelling_says_how_far_it_came(monkeypatch, capsys):
    def interrupted(**_):
        interrupt = KeyboardInterrupt()
        interrupt.add_note("3 of 5 texts are labelled.")
        raise interrupt

    monkeypatch.setattr(_demo, "run_demo", interrupted)
    assert main(["demo", "--output", "a folder"]) == 130
    assert capsys.readouterr().err == (
        "\nskllkd: interrupted. 3 of 5 texts are labelled.\n"
        "To go on: skllkd demo --output 'a folder'\n"
    )
