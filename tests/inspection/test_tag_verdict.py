"""The verdict on tags: its outcomes and reasons; how often it is right is a benchmark's."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from skllkd import LLKDClassifier, Multilabel
from skllkd.exceptions import MissingLabelWarning
from skllkd.inspection.tag_verdict import (
    FOUND,
    MISSED,
    UNCLEAR,
    TagSignals,
    tag_signals,
)
from skllkd.inspection.verdict import verdict_of
from skllkd.selection import SelectAll
from skllkd.students import SklearnStudent

TAGS = ["town", "fruit", "tool"]  # not in the order of `classes_`
WORDS = {"town": "street square", "fruit": "apple pear", "tool": "hammer saw"}
N = 200
HAS = np.random.RandomState(0).rand(N, 3) < [0.4, 0.3, 0.3]
TEXTS = [
    " ".join([WORDS[t].split()[i % 2] for t, h in zip(TAGS, row, strict=True) if h])
    + f" word {i}"
    for i, row in enumerate(HAS)
]


def shuffled(rows):
    return np.random.RandomState(2).permutation(rows)


def proba_of(has, high=0.9, low=0.04):
    noise = np.random.RandomState(1).uniform(0, 0.05, has.shape)
    return np.where(has, high, low) + noise


@pytest.fixture(scope="module")
def fitted_on():
    """Return a function that fits a classifier, once for each teacher."""
    known = {}

    def fit(kind, proba, **params):
        if kind not in known:
            classifier = LLKDClassifier(
                classes=Multilabel(TAGS),
                student=SklearnStudent(),
                selection=SelectAll(),
                batch_size=100,
                random_state=0,
                **{"verbose": 0, "on_missing_class": "warn"} | params,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MissingLabelWarning)
                known[kind] = classifier.fit(TEXTS, teacher_proba=proba)
        return known[kind]

    return fit


@pytest.fixture(scope="module")
def good(fitted_on):
    return fitted_on("good", proba_of(HAS))


def outcomes(verdict):
    return {tag.name: tag.outcome for tag in verdict.tags}


def test_a_good_teacher_works_and_names_tags_in_the_order_of_classes(good):
    found = verdict_of(good._fitted)
    assert outcomes(found) == dict.fromkeys(sorted(TAGS), FOUND)
    assert found.outcome == "works"
    assert found.reasons == ()
    assert "of 3 tags 3 probably found, 0 doubtful, 0 hardly found" in found.in_one_line
    for tag in found.tags:
        assert tag.signals.share == pytest.approx(
            HAS[:, TAGS.index(tag.name)].mean(), abs=0.05
        )
        assert tag.signals.expected == pytest.approx(N * tag.signals.share)
        assert tag.signals.class_names is None  # this student has no encoder
    lines = str(found).splitlines()
    assert lines[0] == "Verdict: this probably works."
    assert [line.split()[0] for line in lines[-3:]] == sorted(TAGS)
    assert all(len(line) <= 88 for line in lines)


def test_the_report_and_the_summary_hold_it(good, capsys):
    verdict = good.report().verdict
    assert str(verdict) in capsys.readouterr().out
    assert verdict == verdict_of(good._fitted)
    assert "probably found" in good._repr_html_()


def test_noise_about_a_tag_is_hardly_found_and_the_others_are(fitted_on):
    proba = proba_of(HAS)
    proba[:, 1] = shuffled(proba[:, 1])
    found = verdict_of(fitted_on("noise", proba)._fitted)
    assert outcomes(found) == {"town": FOUND, "fruit": MISSED, "tool": FOUND}
    assert found.outcome == "doubtful"
    assert found.reasons[0].startswith("Hardly found: fruit. Give the teacher examples")


def test_a_teacher_of_noise_does_not_work(fitted_on):
    proba = proba_of(shuffled(HAS))
    found = verdict_of(fitted_on("all noise", proba)._fitted)
    assert found.outcome == "does not work"
    assert min(tag.signals.confidence for tag in found.tags) > 0.7  # it is sure


def test_a_flat_teacher_is_judged_though_it_never_says_yes(fitted_on):
    proba = proba_of(HAS, 0.3, 0.25)
    found = verdict_of(fitted_on("flat", proba)._fitted)
    assert min(tag.signals.out_of_fold for tag in found.tags) > 0.4
    assert set(outcomes(found).values()) == {MISSED}
    assert any(
        "no text likelier than not to have: fruit, tool, town" in reason
        and f"up to {proba.max():.2f}" in reason
        and "class_prior" in reason
        for reason in found.reasons
    )


def test_rare_and_common_tags_are_named(fitted_on):
    proba = proba_of(HAS)
    proba[:, 0] = 0.93 + 0.05 * HAS[:, 0]
    proba[:, 2] *= 0.02
    found = verdict_of(fitted_on("rare", proba)._fitted)
    few = next(reason for reason in found.reasons if "Fewer than 30" in reason)
    assert f"tool ({proba[:, 2].sum():.0f})" in few
    assert "fruit" not in few
    assert any("Nearly all texts have: town (9" in reason for reason in found.reasons)
    assert outcomes(found)["tool"] != FOUND


def test_labels_without_confidences_are_doubtful(fitted_on):
    found = verdict_of(fitted_on("certain", HAS.astype(float))._fitted)
    assert set(outcomes(found).values()) == {UNCLEAR}
    assert any("no confidences" in reason for reason in found.reasons)
    assert all(tag.signals.confidence is None for tag in found.tags)


def test_without_refinement_the_confidence_alone_is_known(fitted_on):
    sure = verdict_of(fitted_on("sure", proba_of(HAS), refine=None)._fitted)
    assert set(outcomes(sure).values()) == {UNCLEAR}
    assert any("own confidence" in reason for reason in sure.reasons)
    proba = proba_of(HAS, 0.3, 0.28)
    flat = verdict_of(fitted_on("flat alone", proba, refine=None)._fitted)
    assert flat.outcome == "does not work"


def test_nothing_is_said_where_nothing_is_known():
    labels = [[t for t, h in zip(TAGS, row, strict=True) if h] for row in HAS]
    bought = LLKDClassifier(
        classes=Multilabel(TAGS), student=SklearnStudent(), random_state=0, verbose=0
    ).fit(TEXTS, labels)
    assert verdict_of(bought._fitted) is None


def test_a_teacher_that_is_the_class_names_is_not_confirmed_by_them(good):
    state = good._fitted
    names = replace(state.sources[0], name="class names", by_class=(0.99,) * 3)
    own = verdict_of(replace(state, sources=(*state.sources, names)))
    assert set(outcomes(own).values()) == {UNCLEAR}
    assert any("repeats the class names" in reason for reason in own.reasons)
    other = replace(names, by_class=(0.5,) * 3)
    confirmed = verdict_of(replace(state, sources=(*state.sources, other)))
    assert confirmed.outcome == "works"
    against = replace(names, by_class=(0.0, 0.5, 0.5))  # of `town`, the first given
    found = verdict_of(replace(state, sources=(*state.sources, against)))
    assert outcomes(found) == {"town": MISSED, "fruit": FOUND, "tool": FOUND}


def test_the_joint_figure_rises_with_each():
    base = TagSignals(10_000, 900.0, 0.4, 0.41, 0.41)
    assert base.joint == pytest.approx(0.4)
    for better in ({"confidence": 0.6}, {"out_of_fold": 0.6}, {"class_names": 0.6}):
        assert base._replace(**better).joint > 0.4
    assert base._replace(out_of_fold=None).joint is None
    assert base._replace(out_of_fold=-0.2).joint == 0
    assert base._replace(n_texts=100).joint < 0.35  # agreement by chance is likelier


def test_many_tags_are_listed_up_to_a_number(good):
    found = verdict_of(good._fitted)
    tags = tuple(
        replace(found.tags[0], name=f"tag {i}", outcome=MISSED if i > 38 else FOUND)
        for i in range(40)
    )
    lines = str(replace(found, tags=tags)).splitlines()
    assert lines[3].startswith("tag 39 ")  # those hardly found come first
    assert lines[-1] == "and 10 more"


def test_files_keep_the_figures(tiny_path, tmp_path):
    from skllkd.students import FrozenEncoderStudent

    classifier = LLKDClassifier(
        classes=Multilabel(TAGS),
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        n_epochs=1,
        on_missing_class="warn",
        random_state=0,
        verbose=0,
    ).fit(TEXTS[:60], teacher_proba=proba_of(HAS[:60]))
    signals = tag_signals(classifier._fitted)
    assert all(of.class_names is not None for of in signals)
    classifier.save(tmp_path)
    state = LLKDClassifier.load(tmp_path)._fitted
    assert state.sources == classifier._fitted.sources
    assert np.allclose(tag_signals(state), signals, atol=1e-4)
    assert str(verdict_of(state)) == str(verdict_of(classifier._fitted))
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "## Verdict" in card
