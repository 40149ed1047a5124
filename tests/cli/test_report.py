"""The commands that measure a classifier."""

import json

import pandas as pd
import pytest
from skllkd import LLKDClassifier
from skllkd.cli.main import main

from tests.conftest import TOPICS


@pytest.fixture(scope="module")
def model(news, tiny_path, tmp_path_factory):
    """Return the folder of a classifier, and its texts with gold labels as a file."""
    from skllkd.students import FrozenEncoderStudent

    folder = tmp_path_factory.mktemp("model")
    texts, gold = (part[:120] for part in news)
    frame = pd.DataFrame({"text": texts, "label": gold})
    frame.to_csv(folder / "texts.csv", index=False)
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    classifier = LLKDClassifier(student=student, n_epochs=5, random_state=0, verbose=0)
    classifier.fit(texts, gold).save(folder / "model")
    return folder / "model", folder / "texts.csv"


def test_report_writes_a_page_and_a_table_of_issues(model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    page, issues = tmp_path / "report.html", tmp_path / "issues.csv"
    arguments = [
        "report",
        *map(str, model),
        "--html",
        str(page),
        "--issues",
        str(issues),
    ]
    assert main(arguments) == 0
    out, error = capsys.readouterr()
    assert "Agreement with the teacher on the texts it was fitted on" in out
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    report = LLKDClassifier.load(model[0]).report(pd.read_csv(model[1])["text"])
    assert f"{len(report.label_issues):,} label issues written" in error
    if report.label_issues:
        assert pd.read_csv(issues)["row"].tolist() == [
            i.row for i in report.label_issues
        ]


def test_evaluate_prints_and_writes(model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    frame = pd.read_csv(model[1]).iloc[:60]
    frame["said"] = TOPICS[0]
    frame.loc[5, "label"] = None
    path, output = tmp_path / "gold.jsonl", tmp_path / "evaluation"
    frame.to_json(path, orient="records", lines=True)
    arguments = ["evaluate", str(model[0]), str(path), "--teacher-column", "said"]
    assert main([*arguments, "-o", str(output)]) == 0
    out, error = capsys.readouterr()
    assert "1 rows without a text or gold label are left out" in error
    assert "| the class names alone |" in out
    names = ["evaluation.md", "evaluation.json"]
    names += ["confusion.png", "calibration.png", "coverage.png"]
    assert {found.name for found in output.iterdir()} == set(names)
    content = json.loads((output / "evaluation.json").read_text())
    known = frame[frame["label"].notna()]
    score = LLKDClassifier.load(model[0]).score(known["text"], known["label"])
    assert content["accuracy"]["share"] == pytest.approx(score)
    assert content["accuracy"]["n_texts"] == 59
    of_teacher = {
        rival["name"]: rival["accuracy"]["n_right"] for rival in content["rivals"]
    }
    assert of_teacher["the teacher"] == (known["label"] == TOPICS[0]).sum()


def test_evaluate_asks_a_teacher(model, tmp_path, capsys):
    frame = pd.read_csv(model[1]).iloc[:20]
    answers = tmp_path / "answers.csv"
    frame.to_csv(answers, index=False)
    arguments = ["evaluate", str(model[0]), str(answers), "--teacher", str(answers)]
    assert main([*arguments, "--classes", *TOPICS]) == 0
    assert "| the teacher | 100.0% " in capsys.readouterr().out


def test_classes_that_are_numbers_are_read_from_text(news, tiny_path, tmp_path, capsys):
    from skllkd.students import FrozenEncoderStudent

    texts, gold = (part[:60] for part in news)
    numbers = [TOPICS.index(name) for name in gold]
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    classifier = LLKDClassifier(student=student, random_state=0, verbose=0)
    classifier.fit(texts, numbers).save(tmp_path / "model")
    frame = pd.DataFrame({"text": texts, "label": numbers})
    frame.to_csv(tmp_path / "gold.csv", index=False)
    assert main(["evaluate", str(tmp_path / "model"), str(tmp_path / "gold.csv")]) == 0
    share = classifier.score(texts, numbers)
    assert f"- Accuracy: {share:.1%} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-column", "topic"], "no column 'topic'; the columns are"),
        (["--teacher-column", "topic"], "no column 'topic'"),
        (["--label-column", "text"], "`y` must hold labels in the classes"),
    ],
)
def test_columns_that_hold_no_labels_are_named(arguments, message, model, capsys):
    assert main(["evaluate", *map(str, model), *arguments]) == 1
    assert message in capsys.readouterr().err
