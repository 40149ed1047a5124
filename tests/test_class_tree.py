"""The classifier with classes in a tree: levels, files, and the command line."""

import io
import json
import pickle
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd._core.classes import as_classes
from skllkd.cli.classes import classes_of
from skllkd.cli.main import main, parser_of_all
from skllkd.cli.student import student_of
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, SklearnStudent

from tests.teachers.class_tree.test_descent import TreeTeacher

TREE = {"sport": {"football": "", "racket": ["tennis", "squash"]}, "weather": "rain"}
CLASSES = ["football", "squash", "tennis", "weather"]
TEXTS = [f"{name} story {i}" for i in range(16) for name in CLASSES]
GOLD = CLASSES * 16


def by_name(texts):
    return [text.split()[0] for text in texts]


@pytest.fixture(scope="module")
def fitted():
    student = SklearnStudent()
    how = {"selection": SelectAll(), "random_state": 0, "verbose": 0, "refine": None}
    classifier = LLKDClassifier(by_name, TREE, student=student, n_epochs=10, **how)
    return classifier.fit(TEXTS)


@pytest.fixture(scope="module")
def encoded(tiny_path):
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    how = {"selection": SelectAll(), "random_state": 0, "verbose": 0, "refine": None}
    return LLKDClassifier(by_name, TREE, student=student, n_epochs=30, **how).fit(TEXTS)


def test_classes_are_the_leaves_and_levels_are_named(fitted):
    assert fitted.classes_.tolist() == CLASSES
    assert {k: v.tolist() for k, v in fitted.level_classes_.items()} == {
        1: ["sport", "weather"],
        2: ["football", "racket", "weather"],
        3: CLASSES,
    }
    assert not hasattr(LLKDClassifier(by_name, CLASSES), "level_classes_")


def test_predictions_at_a_level_are_sums(fitted):
    proba = fitted.predict_proba(TEXTS)
    top = fitted.predict_proba(TEXTS, level=1)
    np.testing.assert_allclose(top[:, 0], proba[:, :3].sum(axis=1))
    assert (
        fitted.predict(TEXTS, level=1) == ["sport", "sport", "sport", "weather"] * 16
    ).all()
    np.testing.assert_array_equal(fitted.predict(TEXTS, level=3), fitted.predict(TEXTS))
    np.testing.assert_allclose(fitted.predict_proba(TEXTS, level=3), proba)
    with pytest.raises(InvalidParameterError, match="`level`"):
        fitted.predict(TEXTS, level=4)
    flat = LLKDClassifier(
        by_name, CLASSES, student=SklearnStudent(), random_state=0, verbose=0
    )
    with pytest.raises(InvalidParameterError, match="nested mapping"):
        flat.fit(TEXTS).predict(TEXTS, level=1)


def test_evaluation_at_a_level_takes_classes_and_groups(fitted):
    groups = ["sport", "sport", "sport", "weather"] * 16
    for gold in (GOLD, groups, np.array(groups)):
        found = fitted.evaluate(TEXTS, gold, teacher_labels=GOLD, level=1)
        assert found.accuracy.share == (fitted.predict(TEXTS, level=1) == groups).mean()
        assert "sport" in found.to_markdown() and "tennis" not in found.to_markdown()
    with pytest.raises(InvalidParameterError, match="sport"):
        fitted.evaluate(TEXTS, groups)


def test_files_keep_the_tree(encoded, tmp_path):
    encoded.save(tmp_path / "folder")
    encoded.export_onnx(tmp_path / "m.onnx", TEXTS)
    expected = encoded.predict_proba(TEXTS, level=1)
    for copy in (
        LLKDClassifier.load(tmp_path / "folder"),
        pickle.loads(pickle.dumps(encoded)),
        ONNXClassifier(tmp_path / "m.onnx"),
    ):
        np.testing.assert_allclose(
            copy.predict_proba(TEXTS, level=1), expected, atol=1e-5
        )
        assert copy.level_classes_[1].tolist() == ["sport", "weather"]
        assert (copy.predict(TEXTS, level=2) == encoded.predict(TEXTS, level=2)).all()
    assert LLKDClassifier.load(tmp_path / "folder").classes == {
        "sport": {"football": "", "racket": {"tennis": "", "squash": ""}},
        "weather": "rain",
    }


def test_a_fit_that_asks_down_the_tree_counts_questions_and_goes_on_with_its_bias():
    from skllkd.teachers import BatchCalibration

    tree = {"sport": ["football", "tennis"], "money": ["stocks", "banks"]}
    texts = [f"text {i}" for i in range(40)]
    teacher = TreeTeacher(BatchCalibration())
    classifier = LLKDClassifier(
        teacher, tree, student=SklearnStudent(), random_state=0, verbose=0
    )
    classifier.set_params(on_missing_class="warn").fit(texts)
    assert 80 <= classifier.n_teacher_calls_ <= 120
    np.testing.assert_allclose(
        classifier.label(texts), classifier.teacher_proba_, atol=1e-6
    )
    classifier.partial_fit(texts[:10])
    np.testing.assert_allclose(
        classifier.teacher_proba_, classifier.label(texts[:10]), atol=1e-6
    )


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_the_command_line(suffix, tiny_path, tmp_path, capsys, monkeypatch):
    answers = tmp_path / "answers.csv"
    pd.DataFrame({"text": TEXTS, "label": GOLD}).to_csv(answers, index=False)
    nested = tmp_path / f"classes.{suffix}"
    written = (
        'weather = "rain"\n[sport]\nfootball = ""\nracket = ["tennis", "squash"]\n'
    )
    nested.write_text(written if suffix == "toml" else json.dumps(TREE))
    arguments = ["fit", str(answers), "--teacher", str(answers), "--frozen"]
    arguments += ["--classes", str(nested), "--student", str(tiny_path)]
    arguments += ["--model", str(tmp_path / "model"), "--epochs", "10"]
    assert main(arguments) == 0
    assert "64 texts, 4 classes" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("text\nfootball story 1\n"))
    stdin = io.TextIOWrapper(io.BytesIO(b"text\nfootball story 1\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["predict", str(tmp_path / "model"), "--level", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split(",")[1] in ("sport", "weather")
    command = ["evaluate", str(tmp_path / "model"), str(answers), "--level", "1"]
    assert main(command) == 0
    assert "sport" in capsys.readouterr().out


def test_a_task_is_written_with_its_groups_and_lengths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classes.json").write_text(json.dumps(TREE))
    command = ["init", "x.csv", "--teacher", "m.gguf", "--classes", "classes.json"]
    assert main([*command, "--max-text-tokens", "300+100", "--window", "mean"]) == 0
    written = tomllib.loads((tmp_path / "skllkd.toml").read_text())
    assert written["classes"] == TREE
    assert written["prompt"]["max-text-tokens"] == "300+100"
    assert written["student"]["window"] == "mean"
    parser = parser_of_all()
    options = parser.parse_args(["plan"])
    assert as_classes(classes_of(options)).names == as_classes(TREE).names
    assert options.max_text_tokens == (300, 100)
    assert student_of(options).window == "mean"


def test_a_broken_file_of_classes_is_named(tmp_path, capsys):
    nested = tmp_path / "classes.toml"
    nested.write_text("[sport\n")
    command = ["plan", "x.csv", "--teacher", "t", "--classes", str(nested)]
    assert main(command) == 1
    assert "cannot be read" in capsys.readouterr().err
