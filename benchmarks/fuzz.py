"""Odd inputs of `fit`, `label`, `predict` and the command line.

    python -m benchmarks.fuzz [--inputs 10000] [--seed 0]

Inputs are drawn: types, containers, shapes, encodings, damage. An outcome is a result
that is right as far as it can be told, an error of `skllkd.exceptions`, or an exit status
with a message; any other is printed with its number, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gzip
import io
import json
import os
import random
import sys
import tempfile
import traceback
import warnings
from datetime import date
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from sklearn.exceptions import DataConversionWarning
from skllkd import LLKDClassifier
from skllkd._core.tables.blocks import RowBlock
from skllkd._core.tables.formats import OUTPUT_FORMATS, Source
from skllkd._core.tables.reading import read_table
from skllkd._core.tables.writing import writer_of
from skllkd.cli.main import main as command_line
from skllkd.exceptions import SkllkdError, SkllkdWarning
from skllkd.students import SklearnStudent
from skllkd.teachers import CallableTeacher, PrecomputedTeacher

WORDS = [
    "red apple",
    "blue sky",
    "",
    " ",
    "M\xfcller; Z\xfcrich",
    "a\0b",
    'a "b"',
    "x\ny",
]
WORDS += ["half \ud83d", "whole \U0001f600", "word " * 300, "\ufeffmark", "007"]
ODD = [None, float("nan"), 3, 0.5, True, b"a", ["a"], {"a"}, {"label": "a"}, ("a", 0.9)]
ODD += [date(2024, 5, 1), 1j, pd.NA, pd.NaT, np.str_("a"), np.int64(1), "0,9", object()]
CLASSES = [["a", "b"], ["b", "a", "c"], [0, 1], [True, False], {"a": "x", "b": None}]
BAD_CLASSES = [["a"], [], None, "ab", ["a", 1], {"a", "b"}, ["a", "a"], [" ", "b"]]
COLUMNS = [
    list,
    tuple,
    np.array,
    pd.Series,
    pl.Series,
    pa.array,
    pd.DataFrame,
    set,
    iter,
]
COLUMNS += [lambda v: pa.table({"text": v}), lambda v: np.array(v, dtype=object)]
COLUMNS += [lambda v: pd.Series(v, dtype="category"), lambda v: np.array(v)[:, None]]
COLUMNS += [lambda v: dict(enumerate(v)), lambda v: pl.DataFrame({"text": v})]
TABLES = [np.array, pd.DataFrame, torch.tensor, list, tuple, pl.DataFrame, pa.table]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32"]


def drawn_texts(draw: random.Random) -> object:
    """Draw a column of texts, perhaps with values that are none."""
    values: list = [draw.choice(WORDS) for _ in range(draw.randrange(0, 8))]
    values += ["red pear", "blue sea"] * draw.randrange(3)
    if draw.random() < 0.1 and values:
        values[draw.randrange(len(values))] = draw.choice(ODD)
    return contained(values, draw, COLUMNS)


def contained(values: list, draw: random.Random, containers: list) -> object:
    """Put values into a container that takes them; a list is taken more often."""
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return draw.choice([list, list, draw.choice(containers)])(values)
    return values


def drawn_answer(n_texts: int, classes: list, draw: random.Random) -> object:
    """Draw what a function may answer."""
    labels: list = [draw.choice(classes) for _ in range(n_texts)]
    scores: list = [draw.random() for _ in range(n_texts)]
    if draw.random() < 0.15 and n_texts:
        odd = draw.choice([labels, scores])
        odd[draw.randrange(n_texts)] = draw.choice(ODD)
    if draw.random() < 0.1:
        labels = labels[1:]
    rows = np.random.default_rng(draw.randrange(99)).dirichlet(
        [1] * len(classes), n_texts
    )
    named = {
        str(name): column.tolist() for name, column in zip(classes, rows.T, strict=True)
    }
    return draw.choice(
        [
            lambda: labels,
            lambda: contained(labels, draw, COLUMNS),
            lambda: (labels, scores),
            lambda: list(zip(labels, scores, strict=False)),
            lambda: [
                {"label": n, "score": s} for n, s in zip(labels, scores, strict=False)
            ],
            lambda: contained(rows.tolist(), draw, TABLES),
            lambda: rows.astype(
                draw.choice([np.float16, np.float32, complex, str, object])
            ),
            lambda: rows.T,
            lambda: torch.tensor(rows).to(draw.choice([torch.bfloat16, torch.half])),
            lambda: draw.choice([dict, pd.DataFrame, pl.DataFrame, pa.table])(named),
            lambda: [dict(zip(named, row, strict=False)) for row in rows.tolist()],
            lambda: draw.choice(ODD),
        ]
    )()


def label(draw: random.Random) -> str:
    """Label texts with a function or a table of answers."""
    classes = draw.choice(CLASSES if draw.random() < 0.9 else BAD_CLASSES)
    texts = drawn_texts(draw)
    names = list(classes) if isinstance(classes, (list, dict)) else ["a", "b"]
    names = names or ["a"]
    if draw.random() < 0.7:
        teacher = CallableTeacher(
            lambda t: drawn_answer(len(t), names, draw), store=False
        )
    else:
        known = [draw.choice(WORDS) for _ in range(4)]
        teacher = PrecomputedTeacher(known, drawn_answer(4, names, draw))
    labels = teacher.label(texts, classes)
    known = ~labels.missing
    np.testing.assert_allclose(labels.proba[known].sum(axis=1), 1, atol=1e-6)
    assert labels.proba.shape[1] == len(names)
    return "labels"


def fit(draw: random.Random) -> str:
    """Fit on labels, probabilities or a function, and predict other texts."""
    classes = draw.choice([None, *CLASSES])
    names = ["a", "b"] if classes is None else list(classes)
    texts, n_texts = drawn_texts(draw), draw.randrange(12)
    with contextlib.suppress(TypeError):
        n_texts = len(texts) if draw.random() < 0.9 else n_texts
    given: dict = {}
    teacher = None
    if draw.random() < 0.4:
        given["y"] = contained(
            [draw.choice(names) for _ in range(n_texts)], draw, COLUMNS
        )
    elif draw.random() < 0.5:
        given["teacher_proba"] = drawn_answer(n_texts, names, draw)
    else:
        teacher = CallableTeacher(
            lambda t: drawn_answer(len(t), names, draw), store=False
        )
    classifier = LLKDClassifier(
        teacher,
        classes,
        student=SklearnStudent(),
        n_epochs=1,
        random_state=0,
        verbose=0,
    )
    classifier.fit(texts, **given)
    other = drawn_texts(draw)
    found = classifier.predict(other)
    assert set(found.tolist()) <= set(classifier.classes_.tolist())
    np.testing.assert_allclose(
        classifier.predict_proba(other).sum(axis=1), 1, atol=1e-6
    )
    return "predictions"


def drawn_file(draw: random.Random) -> tuple[bytes, str]:
    """Draw the bytes of a table, and the end of its name."""
    kind = draw.choice(OUTPUT_FORMATS)
    names = draw.sample(["text", "id", "label", "predicted", "", "data.text"], 3)
    values = [w for w in WORDS if "\ud83d" not in w] + (
        [None, 7, 0.5] if kind != "csv" else []
    )
    rows = [{n: draw.choice(values) for n in names} for _ in range(draw.randrange(5))]
    for row in rows:
        row["text"] = (
            draw.choice(WORDS[:5]) if draw.random() < 0.95 else draw.choice(values)
        )
    stream = io.BytesIO()
    writer = writer_of(stream, kind, "text", is_pipe=False)
    with contextlib.suppress(SkllkdError):  # no types in common
        writer.write(RowBlock(rows))
        writer.finish()
    writer.close()
    data = stream.getvalue()
    if kind in ("csv", "tsv", "jsonl", "txt") and draw.random() < 0.4:
        text = data.decode().replace(",", draw.choice(",;|"))
        data = text.encode(draw.choice(ENCODINGS), "replace")
    if draw.random() < 0.2 and data:
        place = draw.randrange(len(data))
        data = (
            data[:place] + draw.choice([b"", b'"', b"\xff", b"\0"]) + data[place + 1 :]
        )
    return (gzip.compress(data), f"{kind}.gz") if draw.random() < 0.1 else (data, kind)


def command(draw: random.Random) -> str:
    """Run `predict` or `label` of the command line on a file or a pipe."""
    data, suffix = drawn_file(draw)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / f"in.{suffix}", Path(folder) / "out.jsonl"
        path.write_bytes(data)
        (Path(folder) / "answers.csv").write_text(
            "text,label\nred apple,a\nblue sky,b\n"
        )
        is_piped = draw.random() < 0.4
        given = ["-" if is_piped else str(path)]
        given += draw.choice([[], ["--column", draw.choice(["id", "data.text", "no"])]])
        given += draw.choice(
            [[], [], ["--encoding", draw.choice([*ENCODINGS, "none"])]]
        )
        given += draw.choice([[], [], ["--delimiter", draw.choice([";", "", "ab"])]])
        given += draw.choice([[], ["--no-quotes"], ["--output-column", "found"]])
        given += ["--format", suffix.split(".")[0]] if draw.random() < 0.5 else []
        given += ["-o", str(out)]
        table = ["--teacher", f"{folder}/answers.csv", "--classes", "a", "b"]
        is_label = draw.random() < 0.5
        arguments = ["label", *given, *table] if is_label else ["predict", "m", *given]
        stdin = io.TextIOWrapper(io.BytesIO(data if is_piped else b""))
        with mock.patch.object(sys, "stdin", stdin), quiet() as said:
            try:
                status = command_line(arguments)
            except SystemExit as stop:
                status = stop.code
        if status == 0:
            return checked_rows(out, said)
        assert status in (1, 2), status
        assert said.getvalue().strip(), "no message"
        assert not out.exists()
        return f"exit status {status}"


def checked_rows(out: Path, said: io.StringIO) -> str:
    """Check that the output is a table of valid rows."""
    with read_table(Source(str(out))) as table:
        rows = [row for block in table for row in block.rows()]
    for line in out.read_bytes().split(b"\n")[:-1]:
        json.loads(line, parse_constant=lambda word: 1 / 0)
    assert all({"found", "label", "predicted"} & set(row) for row in rows), rows[:1]
    return "rows"


@contextlib.contextmanager
def quiet():
    """Catch what is written to standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        yield said


def main() -> int:
    """Draw inputs, count the outcomes, and print those that are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["SKLLKD_CACHE"] = tempfile.mkdtemp()
    model = LLKDClassifier(classes=["a", "b"], student=SklearnStudent(), verbose=0)
    model.fit(["red apple", "blue sky"] * 5, ["a", "b"] * 5)
    outcomes: collections.Counter = collections.Counter()
    load = mock.patch("skllkd.cli.predict.load_model", return_value=model)
    with load, warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in (SkllkdWarning, DataConversionWarning):
            warnings.simplefilter("ignore", kind)
        for number in range(options.inputs):
            draw = random.Random(f"{options.seed}.{number}")
            what = (label, fit, command)[number % 3]
            try:
                outcome = what(draw)
            except SkllkdError as error:
                outcome = type(error).__name__
            except Exception as error:
                outcome = f"WRONG: {type(error).__name__}"
                last = traceback.extract_tb(error.__traceback__)[-1]
                print(f"{number}: {what.__name__}: {error!r:.200} in {last.name}")
            outcomes[f"{what.__name__}: {outcome}"] += 1
    for outcome, n_inputs in sorted(outcomes.items()):
        print(f"{n_inputs:7,}  {outcome}")
    return int(any("WRONG" in outcome for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
