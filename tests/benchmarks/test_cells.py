"""Cells are measured once, also over runs, and survive what stops a run."""

import json

import pytest
from benchmarks.cells import Cells, about

HEAD = {"command": "python -m benchmarks.some", "commit": "abc"}


def test_a_cell_is_measured_once(tmp_path):
    calls = []
    for _ in range(2):
        with Cells(tmp_path / "some.json", HEAD) as cells:
            assert cells.run("a/0", lambda x: calls.append(x) or {"f1": x}, 0.5) == {
                "f1": 0.5
            }
    assert calls == [0.5]


def test_an_error_keeps_what_was_measured_before(tmp_path):
    path = tmp_path / "results" / "some.json"

    def stopped():
        with Cells(path, HEAD) as cells:
            cells.run("a/0", lambda: 1)
            cells.run("a/1", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        stopped()
    assert json.loads(path.read_text()) == {**HEAD, "cells": {"a/0": 1}}


def test_a_file_keeps_the_head_it_was_measured_under(tmp_path):
    path = tmp_path / "some.json"
    with Cells(path, HEAD) as cells:
        cells.run("a", lambda: 1)
    with Cells(path, {"command": "another"}) as cells:
        cells.run("b", lambda: 2)
    assert json.loads(path.read_text()) == {**HEAD, "cells": {"a": 1, "b": 2}}


def test_about_tells_command_commit_and_versions():
    head = about("some", "numpy", n_threads=3, rounds=2)
    assert head["command"] == "python -m benchmarks.some"
    assert head["machine"].endswith("|3 threads")
    assert set(head["versions"]) == {"skllkd", "numpy", "python"}
    assert head["rounds"] == 2
