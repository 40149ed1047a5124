"""The report of a fitted classifier, and its summary in a notebook."""

import pickle
import shutil

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.selection import SelectAll
from skllkd.students import SklearnStudent, TransformerStudent, feature_cache
from skllkd.students._torch import pretrained
from skllkd.teachers import EmbeddingTeacher, PrecomputedTeacher

from tests.conftest import TOPICS


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


def test_report_finds_the_teacher_s_confident_mistakes(news):
    texts, gold = news
    wrong = list(gold)
    for row in (3, 50):
        wrong[row] = TOPICS[(TOPICS.index(gold[row]) + 1) % 5]
    classifier = LLKDClassifier(
        PrecomputedTeacher(texts, (wrong, [0.95] * len(texts))),
        TOPICS,
        student=SklearnStudent(SGDClassifier(loss="log_loss", alpha=1e-3)),
        selection=SelectAll(),
        n_epochs=5,
        random_state=0,
    )
    held_out = [i for i in range(400) if i not in (3, 50)]
    classifier.fit([texts[i] for i in held_out])
    issues = classifier.report(texts).label_issues
    confident = classifier.predict_proba(texts).max(axis=1) >= 0.8
    expected = [row for row in (3, 50) if confident[row]]
    assert set(expected) <= set(issues)
    assert (classifier.predict(texts)[issues] != np.array(wrong)[issues]).all()


def test_a_loaded_classifier_reports_on_texts_it_is_given(quick_classifier, news):
    texts, _ = news
    classifier = quick_classifier.fit(texts[:80])
    loaded = pickle.loads(pickle.dumps(classifier))
    with pytest.raises(InvalidParameterError, match="needs `X`"):
        loaded.report()
    assert loaded.report(texts[:80]).overall == classifier.report().overall
    for others in (texts[80:90], texts[80:160], texts[1:80] + texts[:1]):
        with pytest.raises(InvalidParameterError, match="teacher"):
            loaded.report(others)


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
