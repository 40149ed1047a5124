"""Several classes a text on the command line: asked for, written, and read again."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from skllkd import LLKDClassifier, Multilabel
from skllkd._core.classes import as_classes
from skllkd.cli.classes import classes_of, tags_of
from skllkd.cli.gold import gold_of
from skllkd.cli.main import main, parser_of_all
from skllkd.cli.settings import with_settings
from skllkd.cli.teacher import teacher_of
from skllkd.exceptions import InvalidParameterError
from skllkd.students import SklearnStudent
from skllkd.teachers import PrecomputedTeacher

NAMES = ["billing", "urgent", "legal"]
TAGS = Multilabel(NAMES)
TEXTS = ["an invoice now", "the law", "hello"]
HAS = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]])


@pytest.fixture
def answers(tmp_path):
    """A table with a column of probabilities for each class."""
    frame = pd.DataFrame({"text": TEXTS})
    frame[NAMES] = 0.2 + 0.6 * HAS
    frame.to_csv(path := tmp_path / "answers.csv", index=False)
    return path


def label(answers, target, *more):
    command = ["label", str(answers), "--teacher", str(answers), "--multilabel"]
    command += ["-o", str(target), "--output-column", "tags", *more]
    return main([*command, "--classes", *NAMES])


def lists_in(path):
    if path.suffix == ".parquet":
        return [list(tags) for tags in pd.read_parquet(path)["tags"]]
    if path.suffix == ".jsonl":
        return [json.loads(line)["tags"] for line in path.read_text().splitlines()]
    return [json.loads(cell) for cell in pd.read_csv(path)["tags"]]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_labels_are_lists_and_are_read_again(answers, tmp_path, suffix):
    target = tmp_path / f"out.{suffix}"
    assert label(answers, target) == 0
    assert lists_in(target) == [["billing", "urgent"], ["legal"], []]
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(suffix)
    frame = read(target) if read else pd.read_json(target, lines=True)
    np.testing.assert_allclose(frame["tags_proba_urgent"], [0.8, 0.2, 0.2])
    again = PrecomputedTeacher.from_table(target, label="tags")
    np.testing.assert_array_equal(again.label(TEXTS, TAGS).proba, HAS)
    columns = {name: f"tags_proba_{name}" for name in NAMES}
    again = PrecomputedTeacher.from_table(target, proba=columns)
    np.testing.assert_allclose(again.label(TEXTS, TAGS).proba, 0.2 + 0.6 * HAS)


def test_a_plan_shows_the_answers_about_each_class(answers, tiny_path, capsys):
    command = ["plan", str(answers), "--teacher", str(answers), "--multilabel"]
    command += ["--student", str(tiny_path), "--sample", "3"]
    assert main([*command, "--classes", *NAMES]) == 0
    out = capsys.readouterr().out
    assert "0.80 billing, 0.80 urgent, 0.20 legal" in out
    assert "tells the classes apart" in out or "often unsure" in out


def parsed(*options):
    command = ["fit", "x.csv", "--model", "m", "--teacher", "m.gguf", "--multilabel"]
    return parser_of_all().parse_args([*command, *options, "--classes", *NAMES])


def test_the_option_makes_tags_of_the_classes(tmp_path, monkeypatch):
    assert classes_of(parsed()) == TAGS
    (tmp_path / "skllkd.toml").write_text(
        'input = "x.csv"\nteacher = "m.gguf"\nmodel = "m"\nmultilabel = true\n'
        '[classes]\nbilling = "invoices"\n'
    )
    monkeypatch.chdir(tmp_path)
    parser = (
        parser_of_all()
        .parse_args(
            ["fit", "x", "--model", "m", "--teacher", "t", "--classes", "a", "b"]
        )
        .parser
    )
    options = parser.parse_args(with_settings(parser, []))
    assert classes_of(options) == Multilabel({"billing": "invoices"})


def test_gold_and_examples_hold_several_classes(tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "label": ["billing;urgent", "legal", "[]"]})
    frame["gold"] = [json.dumps(["billing"]), "", "[]"]
    frame.to_csv(path := tmp_path / "t.csv", index=False)
    options = parsed("--examples", str(path), "--gold", str(path))
    found = gold_of(options, TEXTS, classes_of(options))
    assert found == {TEXTS[0]: ["billing"], TEXTS[2]: []}
    assert teacher_of(options).examples == [
        (TEXTS[0], ["billing", "urgent"]),
        (TEXTS[1], ["legal"]),
        (TEXTS[2], []),
    ]
    frame.assign(gold="spam;legal").to_csv(path, index=False)
    with pytest.raises(InvalidParameterError, match="row 1: 'spam' is none"):
        gold_of(options, TEXTS, classes_of(options))


def test_an_empty_cell_says_nothing():
    classes = as_classes(TAGS)
    assert tags_of("", classes) is tags_of(None, classes) is None
    assert tags_of("[]", classes) == []


def test_predictions_are_lists_with_a_probability_for_each_class(tmp_path, monkeypatch):
    texts = [f"{a} {b} {i}" for i in range(15) for a in "xy" for b in "uv"]
    frame = pd.DataFrame({"text": texts})
    has = {
        name: [float(sign in t) for t in texts]
        for name, sign in zip("ab", "xu", strict=True)
    }
    classifier = LLKDClassifier(
        PrecomputedTeacher(texts, has),
        Multilabel(["a", "b"]),
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    ).fit(texts)
    monkeypatch.setattr("skllkd.cli.predict.load_model", lambda path: classifier)
    frame.to_csv(source := tmp_path / "in.csv", index=False)
    for suffix in ("csv", "jsonl"):
        target = tmp_path / f"out.{suffix}"
        assert main(["predict", "model", str(source), "-o", str(target)]) == 0
        read = pd.read_csv if suffix == "csv" else partial(pd.read_json, lines=True)
        found = read(target)
        assert list(found) == ["text", "predicted", "proba_a", "proba_b"]
        said = found["predicted"].tolist()
        names = classifier.classes_
        expected = [names[row > 0].tolist() for row in classifier.predict(texts)]
        assert expected == (list(map(json.loads, said)) if suffix == "csv" else said)
