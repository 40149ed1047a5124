"""The report of a fitted classifier, and its summary in a notebook."""

import pickle
import shutil

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.inspection.agreement import agreement_of
from skllkd.refinement import Refinement
from skllkd.selection import SelectAll
from skllkd.students import SklearnStudent, TransformerStudent, feature_cache
from skllkd.students._torch import pretrained
from skllkd.teachers import EmbeddingTeacher, PrecomputedTeacher

from tests.conftest import TOPICS


def test_report_and_summary_tell_the_accuracy_on_gold_labels(
    quick_classifier, news, capsys
):
    texts, gold = news
    classifier = quick_classifier.fit(texts[:150], gold=dict(enumerate(gold[:30])))
    report = classifier.report()
    accuracy = classifier.gold_accuracy_
    assert report.gold_accuracy == accuracy
    printed = capsys.readouterr().out
    assert f"each put aside to judge:\n  teacher: {accuracy['teacher']}" in printed
    assert f"\n  refined labels: {accuracy['labels']}" in printed
    assert str(accuracy["labels"]) in classifier._repr_html_()
    plain = quick_classifier.fit(texts[:150])
    assert plain.report().gold_accuracy == {}
    assert "Accuracy on gold labels" not in capsys.readouterr().out
    assert "accuracy on gold labels" not in plain._repr_html_()


def test_the_agreement_on_no_texts_is_no_number():
    assert str(agreement_of("rare", np.zeros(0, dtype=bool))) == "-  of 0 texts"
    assert str(agreement_of("met", np.ones(1, dtype=bool))).startswith("100.0%  [20.7%")


def test_report_measures_what_it_says(quick_classifier, news, capsys):
    texts, _ = news
    classifier = quick_classifier.fit([*texts[:150], *texts[:10]])
    report = classifier.report()
    printed = capsys.readouterr().out
    agrees = classifier.predict(texts[:150]) == classifier.pseudo_labels_[:150]
    agrees = np.r_[agrees, agrees[:10]]
    assert report.overall.share == pytest.approx(agrees.mean())
    assert report.overall.low < report.overall.share <= report.overall.high
    assert [row.name for row in report.per_class] == TOPICS
    assert sum(row.n_texts for row in report.per_class) == 160
    assert (report.n_teacher_calls, report.n_teacher_calls_saved) == (150, 10)
    assert report.model_bytes > 1000
    assert report.texts_per_second > 0
    assert report.class_names == {}  # this student has no encoder
    for part in (
        "95 % interval",
        "Label issues",
        "150 made, 10 saved",
        "texts per second",
    ):
        assert part in printed
    for name in TOPICS:
        assert name in printed


def test_report_lists_the_teacher_s_confident_mistakes(news, capsys):
    texts, gold = news
    wrong = list(gold)
    for row in (3, 50):
        wrong[row] = TOPICS[(TOPICS.index(gold[row]) + 1) % 5]
    classifier = LLKDClassifier(
        PrecomputedTeacher(texts, (wrong, [0.95] * len(texts))),
        TOPICS,
        student=SklearnStudent(SGDClassifier(loss="log_loss", alpha=1e-5)),
        refine=None,
        selection=SelectAll(),
        n_epochs=10,
        batch_size=100,
        random_state=0,
    )
    held_out = [i for i in range(400) if i not in (3, 50)]
    classifier.fit([texts[i] for i in held_out])
    report = classifier.report(texts)
    confidence = classifier.predict_proba(texts).max(axis=1)
    predicted = classifier.predict(texts)
    sure = (confidence >= 0.8) & (predicted != np.array(wrong))
    assert {issue.row for issue in report.label_issues} == set(np.flatnonzero(sure))
    assert sure[[3, 50]].any()
    for issue in report.label_issues:
        assert issue.text == texts[issue.row]
        assert (issue.teacher, issue.student) == (
            wrong[issue.row],
            predicted[issue.row],
        )
        assert issue.confidence == pytest.approx(min(0.95, confidence[issue.row]))
    frame = report.to_frame()
    assert frame["row"].tolist() == [issue.row for issue in report.label_issues]
    assert frame["confidence"].is_monotonic_decreasing
    printed = capsys.readouterr().out
    assert f"disagree: {len(report.label_issues)}\n" in printed
    assert f"  {report.label_issues[0]}\n" in printed


def test_without_a_label_issue_the_report_says_how_often_the_teacher_is_sure(
    quick_classifier, news, capsys
):
    texts, _ = news
    unsure = np.full((60, 5), 0.15)
    unsure[np.arange(60), np.arange(60) % 5] = 0.4
    report = quick_classifier.fit(texts[:60], teacher_proba=unsure).report()
    assert report.label_issues == []
    said = "disagree: 0 (the teacher is sure of 0% of the texts)"
    assert said in capsys.readouterr().out
    assert len(report.to_frame()) == 0


def test_agreement_on_held_out_texts_stands_beside_that_on_training_texts(
    quick_classifier, news, capsys
):
    """A student that learns noise by heart agrees with it, but not on other texts."""
    texts, _ = news
    noise = [TOPICS[i] for i in np.random.RandomState(0).randint(5, size=200)]
    classifier = quick_classifier.set_params(
        teacher=PrecomputedTeacher(texts[:200], noise),
        refine=Refinement(),
        student=SklearnStudent(),
        selection=SelectAll(),
        n_epochs=10,
        batch_size=100,
    ).fit(texts[:200])
    report = classifier.report()
    assert report.is_pool
    assert report.overall.share > 0.9
    assert report.held_out.n_texts == 200
    assert report.held_out.high < 0.4
    printed = capsys.readouterr().out
    assert "Agreement with the teacher on the texts it was fitted on" in printed
    assert f"On held-out texts, by a quick student: {report.held_out}" in printed
    without = classifier.set_params(refine=None).fit(texts[:200]).report()
    assert without.held_out is None
    assert "It is lower on other texts" in capsys.readouterr().out


def test_the_classes_that_are_confused_are_named(quick_classifier, news, capsys):
    """Of politics a teacher calls every second text business."""
    texts, gold = news
    said = list(gold)
    politics = [i for i, name in enumerate(gold) if name == "politics"][::2]
    for row in politics:
        said[row] = "business"
    classifier = quick_classifier.set_params(
        teacher=PrecomputedTeacher(texts, said), refine=Refinement()
    )
    report = classifier.fit(texts[:300]).report()
    of_pair = {(c.teacher, c.student): c for c in report.confusions}
    found = of_pair["politics", "business"]
    n_teacher = said[:300].count("politics")
    assert found.share == pytest.approx(found.n_texts / n_teacher)
    assert found.share > 0.5
    shown = f"Classes confused the most:\n  {report.confusions[0]}\n"
    assert shown in capsys.readouterr().out
    counts = [confusion.n_texts for confusion in report.confusions]
    assert counts == sorted(counts, reverse=True)
    assert all(c.teacher != c.student and c.n_texts for c in report.confusions)


def test_calls_for_the_report_are_counted(quick_classifier, news, capsys):
    texts, _ = news
    classifier = quick_classifier.fit(texts[:60])
    report = classifier.report([*texts[100:150], texts[100], texts[0]])
    assert not report.is_pool
    assert (report.n_teacher_calls, report.n_report_calls) == (110, 50)
    printed = capsys.readouterr().out
    assert "Teacher calls: 110 made (50 of them for this report), 0 saved" in printed
    assert "Agreement with the teacher on these texts" in printed
    again = classifier.report([*texts[100:150], texts[100], texts[0]])
    assert (again.n_teacher_calls, again.n_report_calls) == (60, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        ["Business", "politics"],  # another spelling
        ["business", 3],
        [1, 2],
        ["business", None],
    ],
)
def test_scores_of_labels_that_are_no_classes_are_refused(
    wrong, quick_classifier, news
):
    classifier = quick_classifier.fit(news[0][:60])
    with pytest.raises(
        InvalidParameterError, match="`y` must hold (a label|labels) (for|in|of)"
    ):
        classifier.score(news[0][:2], wrong)


def test_without_a_teacher_a_class_may_be_missing_in_a_fold_and_not_all(news):
    texts, gold = news
    kept = [i for i in range(80) if gold[i] != "sports"]
    classifier = LLKDClassifier(student=SklearnStudent(), random_state=0)
    classifier.fit([texts[i] for i in kept], [gold[i] for i in kept])
    assert 0 < classifier.score(texts[:80], gold[:80]) < 1
    with pytest.raises(InvalidParameterError, match="80 of 80 are none, as 0 .int."):
        classifier.score(texts[:80], list(range(80)))


def test_a_loaded_classifier_reports_on_texts_it_is_given(
    quick_classifier, news, capsys
):
    texts, _ = news
    classifier = quick_classifier.fit(texts[:80])
    loaded = pickle.loads(pickle.dumps(classifier))
    with pytest.raises(InvalidParameterError, match="needs `X`"):
        loaded.report()
    assert loaded.report(texts[:80]).overall == classifier.report().overall
    capsys.readouterr()
    for others in (texts[80:90], texts[80:160], texts[1:80] + texts[:1]):
        report = loaded.report(others)  # about the student alone
        assert report.overall.n_texts == 0
        labels, counts = np.unique(loaded.predict(others), return_counts=True)
        assert {k: n for k, n in report.predicted.items() if n} == dict(
            zip(labels.tolist(), counts.tolist(), strict=True)
        )
        printed = capsys.readouterr().out
        assert "not known of these texts, without a teacher" in printed
        assert "nan" not in printed


def test_the_class_names_alone_stand_beside_teacher_and_student(
    news, tiny_path, tmp_path, capsys
):
    texts, gold = [*news[0][:59], " "], np.array(news[1][:60])
    folder = shutil.copytree(tiny_path, tmp_path / "encoder")
    described = {name: f"about {name}" for name in reversed(TOPICS)}
    classifier = LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        described,
        student=TransformerStudent(folder, device="cpu"),
        n_epochs=1,
        random_state=0,
    )
    with pytest.warns(MissingLabelWarning):
        classifier.fit(texts)
    names = EmbeddingTeacher(tiny_path, device="cpu").label(texts[:59], described)
    closest = np.array(names.classes)[names.proba.argmax(axis=1)]
    report = classifier.report()
    agreements = report.class_names
    assert agreements["teacher"].share == pytest.approx((closest == gold[:59]).mean())
    student = classifier.predict(texts[:59])
    assert agreements["student"].share == pytest.approx((closest == student).mean())
    assert agreements["student"].n_texts == 59
    shown = f"{agreements['teacher'].share:.1%} with the teacher"
    assert f"Class names alone agree: {shown}" in capsys.readouterr().out
    shutil.rmtree(folder)  # the encoder before it was tuned is gone
    pretrained._known.clear()
    feature_cache.memory = feature_cache._Memory()
    assert classifier.report().class_names == {}
    assert "Class names" not in capsys.readouterr().out


def test_html_shows_parameters_and_once_fitted_a_summary(quick_classifier, news):
    assert "skllkd-summary" not in quick_classifier._repr_html_()
    classifier = quick_classifier.set_params(
        classes=[*TOPICS[:4], "<tech>"],
        teacher=lambda t: [TOPICS[len(x) % 4] for x in t],
    ).set_params(on_missing_class="warn")
    with pytest.warns(UserWarning, match="tech"):
        classifier.fit(news[0][:60])
    html = classifier._repr_html_()
    for part in ("skllkd-summary", "5 classes", "60 made", "% of what was presented"):
        assert part in html
    assert "agreement with the teacher" in html
    assert "&lt;tech&gt;" in html
    assert "<tech>" not in html
    assert "skllkd-summary" in classifier._repr_mimebundle_()["text/html"]
