"""The commands about a cascade: made of a saved classifier, and predicting."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest
from skllkd import CascadeClassifier, LLKDClassifier
from skllkd.cli.main import main
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import PrecomputedTeacher

WORDS = {
    "business": ["market", "shares", "profit", "bank", "sales", "economy"],
    "sports": ["match", "team", "goal", "cup", "injury", "coach"],
}
N_LEARNED = 100


@pytest.fixture(scope="module")
def stories():
    """Return 400 texts, some of them hard to tell, and their topics."""
    rng = np.random.default_rng(0)
    gold = rng.permutation(["business", "sports"] * 200).tolist()
    other = {"business": "sports", "sports": "business"}
    texts = []
    for i, topic in enumerate(gold):
        n_others = rng.integers(0, 7)
        words = [
            *rng.choice(WORDS[topic], 5),
            *rng.choice(WORDS[other[topic]], n_others),
        ]
        texts.append(f"{' '.join(rng.permutation(words))} {i}")
    return texts, gold


@pytest.fixture(scope="module")
def folder(stories, tiny_path, tmp_path_factory):
    """Return a folder: a classifier, and tables of the texts with gold labels."""
    folder = tmp_path_factory.mktemp("cascade")
    texts, gold = stories
    learned = texts[:N_LEARNED], gold[:N_LEARNED]
    LLKDClassifier(
        PrecomputedTeacher(*learned),
        list(WORDS),
        refine=None,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        n_epochs=20,
        random_state=0,
        verbose=0,
    ).fit(learned[0]).save(folder / "model")
    table = pd.DataFrame({"text": texts, "gold": gold})
    table.to_csv(folder / "all.csv", index=False)
    table[N_LEARNED:].to_csv(folder / "new.csv", index=False)
    table[20:60].to_csv(folder / "learned.csv", index=False)
    teacher = table.rename(columns={"gold": "label"})
    teacher.to_csv(folder / "teacher.csv", index=False)
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Return a function that runs a command in the folder."""
    monkeypatch.chdir(folder)

    def run(*words):
        status = main(list(map(str, words)))
        return status, capsys.readouterr()

    return run


@pytest.fixture
def made(run, tmp_path):
    """Return the folder of a cascade whose promise is of accuracy."""
    command = [
        "cascade",
        "model",
        "new.csv",
        "--gold-column",
        "gold",
        "--target",
        "0.8",
    ]
    status, said = run(*command, "-o", tmp_path / "made", "--teacher-price", "2")
    assert status == 0, said.err
    return tmp_path / "made", said


def test_a_promise_of_accuracy_is_printed_and_saved(made):
    path, said = made
    cascade = CascadeClassifier.load(path)
    assert cascade.n_held_out_ == 400 - N_LEARNED
    assert (cascade.metric, cascade.target) == ("accuracy", 0.8)
    share = cascade.curve_.chosen_coverage
    assert 0 < share <= 1
    lines = said.out.splitlines()
    assert f"from confidence {cascade.threshold_:.4f}: at least 0.8" in lines[0]
    assert lines[2].startswith(f"Of the held-out texts: student {share:.1%}, teacher 0")
    assert f"would cost {2 * (1 - share):.4g} for these, and 2 without" in said.out
    assert re.search(r"Latency, student: .* of 100 calls", said.out)
    assert "skllkd serve" in said.err


def test_agreement_with_the_teacher_named_is_promised(run, tmp_path):
    command = ["cascade", "model", "all.csv", "--teacher", "teacher.csv"]
    command += ["--target", "0.8", "-o", tmp_path / "made", "--teacher-price", "2"]
    status, said = run(*command)
    assert status == 0, said.err
    assert "agree with the teacher" in said.out
    assert "with the student, 2 without" in said.out
    assert f"{N_LEARNED} texts are left out: the classifier learned" in said.err
    assert CascadeClassifier.load(tmp_path / "made").n_held_out_ == 400 - N_LEARNED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new.csv"], "--teacher to agree with, .* --gold-column, `gold`"),
        (["new.csv", "--gold-column", "gould"], "no column 'gould'.*'gold'"),
        (["new.csv", "--gold-column", "gold", "--target", "1"], r"--target.*\(0, 1\)"),
        (["learned.csv", "--gold-column", "gold"], "learned from all 40 texts"),
        (
            ["new.csv", "--gold-column", "gold", "--target", "0.999"],
            r"--target 0.999 cannot be promised, and nothing is saved: .*300 held-out",
        ),
    ],
)
def test_where_nothing_can_be_promised_nothing_is_saved(run, tmp_path, words, message):
    status, said = run("cascade", "model", *words, "-o", tmp_path / "made")
    assert status == 1
    assert re.search(message, said.err), said.err
    assert said.out == ""
    assert not (tmp_path / "made").exists()


def test_gold_labels_that_are_no_class_are_told(run, tmp_path, folder):
    table = pd.read_csv(folder / "new.csv")
    table.loc[:2, "gold"] = "businesss"
    table.loc[3:9, "gold"] = None
    table.to_csv(tmp_path / "typo.csv", index=False)
    command = ["cascade", "model", tmp_path / "typo.csv", "--gold-column", "gold"]
    status, said = run(*command, "--target", "0.7", "-o", tmp_path / "made")
    assert status == 0, said.err
    assert "3 texts have the gold label 'businesss'" in said.err
    assert "Did you mean 'business'?" in said.err
    assert "7 rows without a text or gold label are left out" in said.err
    assert CascadeClassifier.load(tmp_path / "made").n_held_out_ == 293


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_cascade_predicts_with_and_without_a_teacher(run, made, tmp_path, stories):
    path, _ = made
    decided = CascadeClassifier.load(path).decision(stories[0])
    lines = "".join(f"{json.dumps({'text': t})}\n" for t in (None, *stories[0]))
    (tmp_path / "some.jsonl").write_text(lines, encoding="utf-8")
    command = ["predict", path, tmp_path / "some.jsonl", "-o", tmp_path / "out.csv"]
    status, said = run(*command)
    assert status == 0, said.err
    first, *rows = rows_of(tmp_path / "out.csv")
    assert first["predicted"] == first["source"] == ""
    assert [row["source"] for row in rows] == decided.source.tolist()
    assert {"student", "abstained"} == set(decided.source)
    assert [row["predicted"] or None for row in rows] == decided.label.tolist()
    n = (decided.source == "student").sum()
    assert f"Of 400 texts: student {n / 400:.1%}" in said.err
    status, said = run(*command, "--teacher", "teacher.csv", "--teacher-price", "2")
    assert status == 0, said.err
    of_teacher = decided.source != "student"
    rows = rows_of(tmp_path / "out.csv")[1:]
    for row, gold, is_of_teacher in zip(rows, stories[1], of_teacher, strict=True):
        assert row["source"] == ("teacher" if is_of_teacher else "student")
        assert row["predicted"] == gold or not is_of_teacher
    assert f"{2 * (1 - n / 400):.4g} with the student, 2 without" in said.err


def test_a_cascade_writes_json_and_has_no_levels(run, made, tmp_path, stories):
    path, _ = made
    (tmp_path / "some.txt").write_text("goal\nlaw\n", encoding="utf-8")
    out = tmp_path / "out.jsonl"
    assert run("predict", path, tmp_path / "some.txt", "-o", out)[0] == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row.keys() for row in rows] == [
        {"text", "predicted", "confidence", "source"}
    ] * 2
    status, said = run("predict", path, tmp_path / "some.txt", "--level", "1")
    assert status == 1
    assert "--level" in said.err


def test_a_teacher_without_a_cascade_is_refused(run):
    status, said = run("predict", "model", "new.csv", "--teacher", "teacher.csv")
    assert status == 1
    assert "skllkd cascade" in said.err
