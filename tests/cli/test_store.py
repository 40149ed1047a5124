"""The commands about stored answers: nothing is deleted or made by mistake."""

import io
import sys

import numpy as np
import pytest
from skllkd.cli.main import main
from skllkd.teachers import LabelStore, Scores


@pytest.fixture
def path(tmp_path):
    """A store of five answers of two teachers."""
    path = tmp_path / "one.sqlite"
    with LabelStore(path) as store:
        for key, texts in (("aa" * 32, ["a", "b", "c"]), ("ab" * 32, ["a", "b"])):
            scores = Scores(np.log(np.full((len(texts), 2), 0.5)))
            store.put(key, texts, scores, description={"teacher": key[:2]})
    return path


def n_answers(path):
    with LabelStore(path) as store:
        return len(store)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_merging_makes_a_store_where_it_is_told_to(path, tmp_path, capsys):
    other = str(tmp_path / "two.sqlite")
    merge = ["store", "merge", str(path), "--store", other]
    assert main(merge) == 1
    assert "--create-store" in capsys.readouterr().err
    assert main([*merge, "--create-store"]) == 0
    assert capsys.readouterr().out == "5 new answers\n"
    assert main(merge) == 0
    assert capsys.readouterr().out == "0 new answers\n"
    assert main(["store", "list", "--store", other]) == 0
    out = capsys.readouterr().out
    assert "5 answers" in out and "teacher: aa" in out


@pytest.mark.parametrize("action", [["list"], ["prune", "--all", "--yes"]])
def test_a_mistyped_store_is_named_and_not_made(action, tmp_path, capsys):
    mistyped = tmp_path / "labelss.sqlite"
    assert main(["store", *action, "--store", str(mistyped)]) == 1
    assert "labelss.sqlite" in capsys.readouterr().err
    assert not mistyped.exists()


def test_the_usual_store_is_not_made_by_looking_at_it(own_store, capsys):
    for action in (["list"], ["prune", "--all", "--yes"]):
        assert main(["store", *action]) == 0
        assert "no answers are stored yet" in capsys.readouterr().out
    assert not own_store.exists()


@pytest.mark.parametrize("options", [[], ["--yes"]])
def test_prune_needs_a_criterion(path, options, capsys):
    assert main(["store", "prune", "--store", str(path), *options]) == 1
    error = capsys.readouterr().err
    assert "--fingerprint, --older-than-days, --unanswered, or --all" in error
    assert n_answers(path) == 5


@pytest.mark.parametrize(
    ("answer", "n_left"), [("y\n", 2), ("\n", 5), ("n\n", 5), ("", 5)]
)
def test_prune_shows_and_asks(path, answer, n_left, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    command = ["store", "prune", "--store", str(path), "--fingerprint", "aaaa"]
    assert main(command) == 0
    out, asked = capsys.readouterr()
    assert "3 of 5 answers would be deleted" in out
    assert "teacher: aa" in out and "teacher: ab" not in out
    assert "[y/N]" in asked
    assert ("3 answers deleted" in out) == (n_left == 2)
    assert n_answers(path) == n_left


def test_prune_without_a_terminal_needs_yes(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    command = ["store", "prune", "--store", str(path), "--all"]
    assert main(command) == 1
    assert "--yes" in capsys.readouterr().err
    assert n_answers(path) == 5
    assert main([*command, "--yes"]) == 0
    assert n_answers(path) == 0


@pytest.mark.parametrize(("start", "found"), [("a", "2 keys"), ("c", "no key")])
def test_a_key_that_names_no_one_entry_deletes_nothing(path, start, found, capsys):
    command = ["store", "prune", "--store", str(path), "--fingerprint", start]
    assert main([*command, "--yes"]) == 1
    assert found in capsys.readouterr().err
    assert n_answers(path) == 5


def test_criteria_are_joined(path, capsys):
    command = ["store", "prune", "--store", str(path), "--yes", "--all"]
    assert main([*command, "--older-than-days", "1"]) == 0
    assert main([*command, "--unanswered"]) == 0
    assert capsys.readouterr().out.count("nothing is deleted") == 2
    assert n_answers(path) == 5
