"""The demonstration's table and verdict."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from skllkd import LLKDClassifier
from skllkd.cli.demo import BACK_ENDS, CLASSES, EXAMPLES, demo_teacher
from skllkd.cli.demo_figures import (
    DemoFigures,
    figures_of,
    format_table,
    format_verdict,
)
from skllkd.cli.demo_task import (
    LANGUAGE_MODEL,
    NEW_STORIES,
    STORIES,
    write_task,
    write_teacher,
)
from skllkd.cli.main import main, parser_of_all
from skllkd.cli.teacher import teacher_of
from skllkd.datasets import smollm2_path
from skllkd.exceptions import InvalidParameterError, MissingDependencyError
from skllkd.students import FrozenEncoderStudent

FIGURES = DemoFigures(
    pool=1200,
    held_out=400,
    most_frequent=0.24,
    labels_right=0.7,
    refined_labels_right=0.8,
    teacher_accuracy_raw=0.5,
    teacher_accuracy_calibrated=0.75,
    student_accuracy=0.825,
    student_lead=0.075,
    student_lead_error=0.02,
    selected_per_step=0.3,
    selected_distinct=0.5,
    teacher_calls=1600,
    teacher_calls_saved=0,
    seconds_labelling=200.0,
    seconds_training=60.0,
    seconds_predicting=1.0,
    teacher_texts_per_second=8.0,
    student_texts_per_second=400.0,
)


def in_one_line(text):
    return " ".join(text.split())


def test_the_table_says_when_nothing_was_asked():
    repeated = FIGURES._replace(teacher_calls=0, teacher_texts_per_second=None)
    table = format_table(repeated)
    assert "0 teacher calls: every label was in the store" in table
    assert "82.5%" in table
    assert "0 teacher calls" not in format_table(FIGURES)
    assert "as its teacher" not in format_verdict(repeated)


@pytest.mark.parametrize(
    ("lead", "error", "said"),
    [
        (0.075, 0.02, "It surpasses its teacher, which is right on 75%"),
        (0.03, 0.02, "Its teacher is right on 75%: no clear difference."),
        (0.0, 0.0, "Its teacher is right on 75%: no clear difference."),
        (-0.05, 0.02, "Its teacher is right on 75%: give it more stories"),
    ],
)
def test_the_verdict_compares_student_and_teacher(lead, error, said):
    figures = FIGURES._replace(student_lead=lead, student_lead_error=error)
    verdict = in_one_line(format_verdict(figures))
    assert verdict.startswith("Verdict: this worked. Without a label of yours,")
    assert "right on 82% of the stories" in verdict  # 0.825, to even
    assert "(95 % interval 78% to 86%)" in verdict
    assert said in verdict
    assert "400 texts a second, 50 times as many as its teacher" in verdict


def test_a_student_hardly_better_than_one_answer_did_not_work():
    verdict = in_one_line(format_verdict(FIGURES._replace(student_accuracy=0.36)))
    assert verdict.startswith("Verdict: this did not work.")
    assert "Always naming the most frequent topic is right on 24%." in verdict
    assert "this worked" in format_verdict(FIGURES._replace(student_accuracy=0.4))


def test_figures_are_those_of_the_held_out_stories():
    """Four stories: the teacher is right on 1 raw and on 2 calibrated, the student on 3."""
    gold = np.array(["a", "a", "b", "a"])
    labels = SimpleNamespace(
        classes=["a", "b"],
        raw_proba=np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]),
        proba=np.array([[0.6, 0.4], [0.4, 0.6], [0.3, 0.7], [0.4, 0.6]]),
        n_asked=3,
        seconds=2.0,
    )
    classifier = SimpleNamespace(
        history_={"n_selected": np.array([1, 2]), "n_presented": np.array([4, 2])},
        times_selected_=np.array([0, 3, 0, 0, 1]),
        n_teacher_calls_=5,
        classes_=np.array(["a", "b"]),
        pseudo_labels_=np.array(["a", "a", "b", "b", "a"], dtype=object),
        refined_proba_=np.array([[1, 0], [0, 1], [1, 0], [0, 1], [0, 1]]),
        seconds_={"labelling": 2.0, "training": 9.0},
    )
    predicted, pool_gold = np.array(["a", "a", "b", "b"]), np.array(list("abbbb"))
    figures = figures_of(classifier, labels, predicted, pool_gold, gold, 0.5)
    assert figures == DemoFigures(
        pool=5,
        held_out=4,
        most_frequent=0.75,
        labels_right=0.6,
        refined_labels_right=0.8,
        teacher_accuracy_raw=0.25,
        teacher_accuracy_calibrated=0.5,
        student_accuracy=0.75,
        student_lead=0.25,
        student_lead_error=pytest.approx(np.std([0, 1, 0, 0]) / 2),
        selected_per_step=0.5,
        selected_distinct=0.4,
        teacher_calls=8,
        teacher_calls_saved=1,
        seconds_labelling=4.0,
        seconds_training=9.0,
        seconds_predicting=0.5,
        teacher_texts_per_second=2.0,
        student_texts_per_second=8.0,
    )


def test_either_back_end_asks_the_same_question(monkeypatch):
    pytest.importorskip("llama_cpp")
    for name, kind in BACK_ENDS.items():
        teacher = demo_teacher(name)
        assert type(teacher) is kind
        assert (teacher.examples, teacher.chat) == (EXAMPLES, False)
    assert {label for _, label in EXAMPLES} == set(CLASSES)
    with pytest.raises(InvalidParameterError, match="`teacher` must be one of"):
        demo_teacher("gpt")
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(MissingDependencyError, match=r"skllkd\[llama\]"):
        demo_teacher("llama.cpp")


def test_commands_ask_the_language_model_as_the_demonstration_did(
    tmp_path, monkeypatch
):
    write_teacher(smollm2_path(), EXAMPLES, CLASSES, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    command = ["serve", "cascade", "--config", LANGUAGE_MODEL]
    teacher = teacher_of(parser_of_all().parse_args(command))
    expected = demo_teacher("transformers")
    assert type(teacher) is type(expected)
    assert (teacher.examples, teacher.chat) == (expected.examples, expected.chat)
    assert teacher.model == str(expected.model)


def test_the_task_fits_again_without_the_language_model(
    news, tiny_path, tmp_path, monkeypatch
):
    """The folder of the demonstration is a task of `skllkd review` and `skllkd fit`."""
    texts, topics = (part[:60] for part in news)
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    clf = LLKDClassifier(
        lambda some: [topics[texts.index(text)] for text in some],
        CLASSES,
        student=student,
        random_state=0,
        verbose=0,
    ).fit(texts)
    write_task(clf, texts, news[0][60:70], tmp_path)
    clf.save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n2\n"))
    assert main(["review", "model", STORIES, "--terminal"]) == 0
    assert main(["fit", "--gold", "model-review.csv", "--frozen"]) == 0
    assert pd.read_csv(NEW_STORIES)["text"].tolist() == news[0][60:70]
    again = LLKDClassifier.load("model")
    np.testing.assert_allclose(again.teacher_proba_, clf.teacher_proba_, rtol=1e-5)
    assert again.gold_accuracy_["teacher"].n_texts == 2
