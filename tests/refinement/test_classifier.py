"""Refinement through the classifier, with every student and kind of pool."""

import warnings
from dataclasses import dataclass

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from skllkd import LLKDClassifier, RefinementDisplay
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.refinement import (
    AnotherTeacher,
    ClassNames,
    Evidence,
    OutOfFold,
    Refinement,
    Rules,
)
from skllkd.selection import AcceptReject, SelectAll
from skllkd.students import (
    FrozenEncoderStudent,
    SklearnStudent,
    TransformerStudent,
    feature_cache,
)
from skllkd.teachers import CallableTeacher

WORDS = {
    "fruit": ["apple", "pear", "plum", "grape"],
    "town": ["street", "square", "bridge", "tower"],
}
NAMES = list(WORDS)


def pool(n_texts=120, seed=0):
    """Return texts of four words of their class, and the classes."""
    rng = np.random.RandomState(seed)
    gold = [NAMES[i % 2] for i in range(n_texts)]
    texts = [" ".join([*rng.choice(WORDS[g], 3), str(i)]) for i, g in enumerate(gold)]
    return texts, gold


TEXTS, GOLD = pool()
WRONG = [4, 31, 77]


def teacher_proba(wrong=WRONG, sureness=0.8, gold=GOLD):
    """Return distributions that are right but for some rows, of which less is sure."""
    column = np.array([NAMES.index(name) for name in gold])
    column[wrong] = 1 - column[wrong]
    proba = np.full((len(gold), 2), 1 - sureness)
    proba[np.arange(len(gold)), column] = sureness
    proba[wrong] = np.where(proba[wrong] > 0.5, 0.6, 0.4)
    return proba


#: For students without an encoder: by itself the out-of-fold model stands aside.
WITH_A_RULE = Refinement(
    (ClassNames(), Rules({"fruit": lambda text: "apple" in text}), OutOfFold())
)


def classifier(**params):
    params = {"student": SklearnStudent(), "selection": SelectAll()} | params
    if isinstance(params["student"], SklearnStudent):
        params = {"refine": WITH_A_RULE} | params
    return LLKDClassifier(classes=NAMES, random_state=0, verbose=0, **params)


def refined_labels(fitted):
    return fitted.classes_[fitted.refined_proba_.argmax(axis=1)].tolist()


@pytest.fixture(params=["sklearn", "frozen", "transformer"])
def student(request, tiny_path):
    kinds = {"frozen": FrozenEncoderStudent, "transformer": TransformerStudent}
    if request.param == "sklearn":
        return SklearnStudent()
    return kinds[request.param](tiny_path, device="cpu")


def test_wrong_labels_are_put_right_and_the_student_learns_the_refined_ones():
    fitted = classifier().fit(TEXTS, teacher_proba=teacher_proba())
    assert refined_labels(fitted) == GOLD
    assert sorted(fitted.refinement_.changed) == WRONG
    assert fitted.pseudo_labels_[4] != GOLD[4]  # that of the teacher
    np.testing.assert_allclose(fitted.teacher_proba_, teacher_proba(), rtol=1e-12)
    assert fitted.agreement_ == pytest.approx(1 - 3 / 120)  # with the teacher
    assert fitted.seconds_["refinement"] > 0
    plain = classifier(refine=None).fit(TEXTS, teacher_proba=teacher_proba())
    assert not hasattr(plain, "refined_proba_")
    assert not hasattr(plain, "refinement_")


def test_a_student_without_encoder_and_other_evidence_learns_the_teacher_s_labels():
    default, plain = (
        classifier(refine=refine).fit(TEXTS, teacher_proba=teacher_proba())
        for refine in (Refinement(), None)
    )
    assert len(default.refinement_.changed) == 0
    names, out_of_fold = default.refinement_.sources
    assert (names.weight, out_of_fold.weight) == (0, 0)
    assert out_of_fold.missing == "an encoder or other evidence"
    assert out_of_fold.agreement > 0.9  # its predictions are known nevertheless
    np.testing.assert_array_equal(
        default.predict_proba(TEXTS), plain.predict_proba(TEXTS)
    )
    with_gold = classifier(refine=Refinement()).fit(
        TEXTS, teacher_proba=teacher_proba(), gold={0: "fruit", 1: "town"}
    )
    assert with_gold.refinement_.sources[-1].n_texts == 120


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["sorted", "reversed"])
def test_predictions_out_of_fold_and_agreements_are_kept(order):
    texts = [*TEXTS, "  "]
    proba = np.vstack([teacher_proba()[:, order], [0.5, 0.5]])
    fitted = classifier(refine=Refinement()).set_params(
        classes=[NAMES[i] for i in order]
    )
    with pytest.warns(MissingLabelWarning):
        fitted.fit(texts, teacher_proba=proba)
    for state in (fitted._fitted, fitted._fitted.portable()):
        predicted = state.out_of_fold
        assert predicted[-1] == -1  # of the blank text
        assert fitted.classes_[predicted[:-1]].tolist() == GOLD
    names, out_of_fold = fitted.refinement_.sources
    assert out_of_fold.agreement == pytest.approx(1 - 3 / 120)  # with the teacher
    assert names.agreement is None  # it has no encoder
    without = classifier(refine=None).fit(TEXTS, teacher_proba=teacher_proba())
    assert without._fitted.out_of_fold is None


def test_no_evidence_leaves_everything_as_without_refinement():
    plain, empty = (
        classifier(refine=refine).fit(TEXTS, teacher_proba=teacher_proba())
        for refine in (None, Refinement(()))
    )
    np.testing.assert_array_equal(
        plain.predict_proba(TEXTS), empty.predict_proba(TEXTS)
    )
    assert plain.agreement_ == empty.agreement_


def test_every_student_is_refined_for_and_says_what_stood_aside(student):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = classifier(student=student, n_epochs=1)
        # of 0.7: that a random encoder agrees in fewer is no reason to stand aside
        fitted.fit(TEXTS, teacher_proba=teacher_proba(sureness=0.7))
    names, *_, out_of_fold = fitted.refinement_.sources
    assert out_of_fold.n_texts == 120
    has_encoder = not isinstance(student, SklearnStudent)
    assert (names.agreement is not None) == has_encoder
    needed = "class names: stood aside (needs the student's pretrained encoder)"
    assert (needed in repr(fitted.refinement_)) != has_encoder
    np.testing.assert_allclose(fitted.refined_proba_.sum(axis=1), 1)


@pytest.mark.parametrize("kind", [FrozenEncoderStudent, TransformerStudent])
def test_the_pool_is_encoded_once_and_a_frozen_student_encodes_nothing_more(
    kind, tiny_path, monkeypatch
):
    encoded = []
    encode = feature_cache._encoded

    def count(text_of, function):
        encoded.extend(text_of.values())
        return encode(text_of, function)

    monkeypatch.setattr(feature_cache, "_encoded", count)
    monkeypatch.setattr(feature_cache, "memory", feature_cache._Memory())
    fitted = classifier(student=kind(tiny_path, device="cpu"), n_epochs=1)
    fitted.fit(TEXTS, teacher_proba=teacher_proba())
    assert sorted(encoded) == sorted([*TEXTS, *NAMES])


# ---- pools of every kind


def test_texts_without_a_teacher_s_label_are_labelled_and_learned():
    texts, proba = (
        [*TEXTS, "", " "],
        np.vstack([teacher_proba(), np.full((2, 2), np.nan)]),
    )
    proba[60:120] = np.nan
    with pytest.warns(MissingLabelWarning, match="62 of 122"):
        fitted = classifier().fit(texts, teacher_proba=proba)
    assert refined_labels(fitted)[:120] == GOLD
    assert (fitted.times_selected_[:120] == 3).all()
    assert fitted.pseudo_labels_[60:].tolist() == [None] * 62
    assert np.isnan(fitted.refined_proba_[120:]).all()
    assert fitted.times_selected_[120:].tolist() == [0, 0]
    assert fitted.refinement_.n_new == 60
    plain = classifier(refine=None)
    with pytest.warns(MissingLabelWarning, match="62 of 122"):
        plain.fit(texts, teacher_proba=proba)
    assert (plain.times_selected_[60:] == 0).all()


@pytest.mark.parametrize("way", ["max_calls", "acquisition"])
def test_a_budget_buys_labels_for_the_whole_pool(way):
    label_of = dict(zip(TEXTS, GOLD, strict=True))
    asked = []

    def teacher(texts):
        asked.extend(texts)
        return [label_of[text] for text in texts]

    params = {"acquisition": AcceptReject(40, n_rounds=1)}
    if way == "max_calls":
        params = {}
        teacher = CallableTeacher(teacher, max_calls=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = classifier(teacher=teacher, **params).fit(TEXTS)
    assert len(asked) == fitted.n_teacher_calls_ == 40
    assert refined_labels(fitted) == GOLD
    assert (fitted.times_selected_ == 3).all()


def test_labels_in_y_are_kept_as_they_are():
    y = list(GOLD)
    y[4], y[5] = GOLD[5], None
    with pytest.warns(MissingLabelWarning, match="1 of 120"):
        fitted = classifier().fit(TEXTS, y)
    assert not hasattr(fitted, "refinement_")
    assert fitted.pseudo_labels_[4] == y[4]
    assert fitted.times_selected_[5] == 0


def test_a_teacher_without_confidences():
    """A hard label stands against 1 to 10,000: it hardly changes, but its rank does."""
    hard = np.eye(2)[teacher_proba().argmax(axis=1)]
    fitted = classifier().fit(TEXTS, teacher_proba=hard)
    confidence = fitted.refined_proba_.max(axis=1)
    assert confidence[WRONG].max() < np.delete(confidence, WRONG).min()


def test_columns_follow_sorted_classes_whatever_order_was_given():
    params = {"student": SklearnStudent(), "random_state": 0, "verbose": 0}
    order = NAMES[::-1]
    fitted = LLKDClassifier(classes=order, refine=WITH_A_RULE, **params)
    fitted.fit(TEXTS, teacher_proba=teacher_proba()[:, ::-1])
    assert refined_labels(fitted) == GOLD
    rules = Rules({"town": lambda text: text.startswith("tower")})
    fitted.set_params(refine__evidence=[rules])
    fitted.fit(TEXTS, teacher_proba=teacher_proba()[:, ::-1])
    tower = [text.startswith("tower") for text in TEXTS]
    shift = fitted.refined_proba_[:, 1] - teacher_proba()[:, 1]
    assert shift[tower].min() > 0
    assert np.abs(shift[~np.array(tower)]).max() < 1e-9


def test_150_classes_some_of_which_the_teacher_never_chose(tiny_path):
    names = [f"class {i:03}" for i in range(150)]
    gold = np.arange(600) % 145
    texts = [f"word{label} of text {i}" for i, label in enumerate(gold)]
    proba = np.full((600, 150), 0.3 / 149)
    proba[np.arange(600), gold] = 0.7
    quick = SklearnStudent(MultinomialNB(alpha=0.01))
    for student in (quick, FrozenEncoderStudent(tiny_path, device="cpu")):
        fitted = LLKDClassifier(
            classes=names,
            student=student,
            on_missing_class="warn",
            n_epochs=1,
            random_state=0,
            verbose=0,
        )
        with pytest.warns(MissingLabelWarning, match="5 of the 150"):
            fitted.fit(texts, teacher_proba=proba)
        label = fitted.refined_proba_.argmax(axis=1)
        assert np.mean(label == gold) > 0.9
        assert set(label) == set(gold)


@pytest.mark.parametrize("n_texts", [2, 3, 5])
def test_a_handful_of_texts_keeps_its_labels(n_texts, student):
    fitted = classifier(student=student, n_epochs=1)
    fitted.fit(TEXTS[:n_texts], teacher_proba=teacher_proba()[:n_texts])
    assert fitted.refined_proba_.shape == (n_texts, 2)
    right = [row for row in range(n_texts) if row not in WRONG]
    assert [refined_labels(fitted)[row] for row in right] == [GOLD[r] for r in right]


@dataclass(frozen=True)
class Large(Evidence):
    """Evidence from numbers: those of towns are large."""

    def log_prob(self, context):
        is_large = context.texts[:, 0] > 4
        return np.log(np.where(is_large[:, None], [0.4, 0.6], [0.6, 0.4]))


def test_rows_of_numbers_are_refined_by_the_student_and_evidence_of_one_s_own():
    rng = np.random.RandomState(0)
    column = np.array([NAMES.index(name) for name in GOLD])
    X = rng.normal(size=(120, 4)) + 4 * column[:, None]
    refine = Refinement((ClassNames(), Large(), OutOfFold()))
    student = SklearnStudent(vectorizer="passthrough")
    fitted = classifier(student=student, refine=refine)
    fitted.fit(X, teacher_proba=teacher_proba())
    assert refined_labels(fitted) == GOLD
    names, large, out_of_fold = fitted.refinement_.sources
    assert names.missing and large.n_texts == out_of_fold.n_texts == 120


def test_weights_of_samples_are_heeded():
    """The wrong half, if it weighs nothing, teaches nothing."""
    proba = teacher_proba(wrong=list(range(50)), sureness=0.6)
    weight = np.where(np.arange(120) < 50, 0.0, 1.0)
    fitted = classifier().fit(TEXTS, sample_weight=weight, teacher_proba=proba)
    assert refined_labels(fitted) == GOLD


def test_early_stopping_measures_the_labels_that_are_learned():
    fitted = classifier(early_stopping=True, n_epochs=4)
    fitted.fit(TEXTS, teacher_proba=teacher_proba())
    assert len(fitted.validation_agreement_) >= 2
    assert fitted.validation_agreement_.max() > 0.9  # 0.8 is the teacher's own sureness


# ---- going on


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_new_texts_are_refined_by_themselves(way, student):
    later, gold = pool(80, seed=1)
    proba = teacher_proba([2, 7], gold=gold)
    fitted = classifier(student=student, n_epochs=1, warm_start=way == "warm_start")
    fitted.fit(TEXTS, teacher_proba=teacher_proba())
    go_on = fitted.fit if way == "warm_start" else fitted.partial_fit
    go_on(later, teacher_proba=proba)
    assert fitted.refined_proba_.shape == (80, 2)
    assert fitted.refinement_.n_texts == 80
    if isinstance(student, SklearnStudent):
        assert refined_labels(fitted) == gold
    fitted.partial_fit(["grape"], teacher_proba=[[0.7, 0.3]])
    np.testing.assert_allclose(fitted.refined_proba_, [[0.7, 0.3]])
    fitted.set_params(refine=None).partial_fit(["plum"], teacher_proba=[[0.7, 0.3]])
    assert not hasattr(fitted, "refined_proba_")


# ---- a source of one's own, a second teacher, rules


@dataclass(frozen=True)
class Starts(Evidence):
    """A source of one's own takes one method."""

    with_word: str = "apple"

    def log_prob(self, context):
        proba = np.full(context.teacher_proba.shape, np.nan)
        starts = [text.startswith(self.with_word) for text in context.texts]
        is_fruit = np.array(context.classes.names) == "fruit"
        proba[starts] = np.where(is_fruit, 0.9, 0.1)
        return np.log(proba)


def test_a_source_of_one_s_own_has_its_weight_and_takes_part():
    apples = [row for row, text in enumerate(TEXTS) if text.startswith("apple")]
    proba = teacher_proba(apples[:2])
    fitted = classifier(refine=Refinement([Starts()]))
    fitted.fit(TEXTS, teacher_proba=proba)
    (source,) = fitted.refinement_.sources
    assert source.name == "starts"
    assert source.n_texts == len(apples)
    assert source.weight > 0.3
    assert sorted(fitted.refinement_.changed) == apples[:2]
    before, after = proba[apples], fitted.refined_proba_[apples]
    assert (after[:, 0] > before[:, 0]).all()


def test_a_second_teacher_and_rules_take_part():
    label_of = dict(zip(TEXTS, GOLD, strict=True))
    second = AnotherTeacher(lambda texts: [label_of[text] for text in texts])
    rules = Rules({name: lambda text, w=w: w[0] in text for name, w in WORDS.items()})
    fitted = classifier(refine=Refinement([second, rules]))
    fitted.fit(TEXTS, teacher_proba=teacher_proba())
    assert refined_labels(fitted) == GOLD
    by_name = fitted.refinement_.weights
    assert by_name.keys() == {"another teacher", "rules"}
    assert by_name["another teacher"] > 0.2
    assert [source.missing for source in fitted.refinement_.sources] == ["", ""]


# ---- searches, files and reports


def test_a_search_over_refinement():
    grid = [
        {"refine": [None, Refinement([OutOfFold()])]},
        {"refine__n_rounds": [1, 3]},
    ]
    label_of = dict(zip(TEXTS, GOLD, strict=True))
    label = lambda texts: [label_of[text] for text in texts]  # noqa: E731
    base = classifier(teacher=label, refine=Refinement())
    search = GridSearchCV(base, grid, cv=2, error_score="raise").fit(TEXTS, GOLD)
    tried = [params.get("refine", "") for params in search.cv_results_["params"]]
    assert tried == [None, Refinement([OutOfFold()]), "", ""]
    assert base.refine == Refinement()


def test_files_hold_labels_and_record_and_leave_functions_behind(tiny_path, tmp_path):
    never = Rules({"fruit": lambda text: False})
    evidence = (ClassNames(temperature=0.1), never, Starts(), OutOfFold(5))
    fitted = classifier(
        refine=Refinement(evidence, n_rounds=1),
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
    ).fit(TEXTS, teacher_proba=teacher_proba())
    fitted.save(tmp_path / "folder")
    joblib.dump(fitted, tmp_path / "pickle")
    loaded = LLKDClassifier.load(tmp_path / "folder")
    unpickled = joblib.load(tmp_path / "pickle")
    for other in (loaded, unpickled):
        np.testing.assert_allclose(
            other.refined_proba_, fitted.refined_proba_, rtol=1e-6
        )
        assert other.refinement_.sources == fitted.refinement_.sources
        assert other.refinement_.per_class == fitted.refinement_.per_class
    kept = (ClassNames(temperature=0.1), OutOfFold(5))
    assert loaded.refine == Refinement(kept, n_rounds=1)
    assert unpickled.refine == Refinement((kept[0], Starts(), kept[1]), n_rounds=1)
    assert fitted.refine.evidence == evidence


def test_files_without_refinement(tiny_path, tmp_path):
    fitted = classifier(
        refine=None, student=FrozenEncoderStudent(tiny_path, device="cpu")
    ).fit(TEXTS, teacher_proba=teacher_proba())
    fitted.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    assert loaded.refine is None
    assert not hasattr(loaded, "refined_proba_")


@pytest.mark.parametrize("kind", [FrozenEncoderStudent, TransformerStudent])
def test_a_loaded_classifier_goes_on_and_says_if_the_encoder_is_gone(
    kind, tiny_path, tmp_path
):
    fitted = classifier(student=kind(tiny_path, device="cpu"), n_epochs=1)
    fitted.fit(TEXTS, teacher_proba=teacher_proba()).save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    loaded.partial_fit(TEXTS, teacher_proba=teacher_proba())
    lacks = ["encoder" in source.missing for source in loaded.refinement_.sources]
    assert lacks == [kind is TransformerStudent] * 2


def test_report_and_notebook_show_the_changed_labels(capsys):
    fitted = classifier().fit(TEXTS, teacher_proba=teacher_proba())
    report = fitted.report()
    printed = capsys.readouterr().out
    assert "Refinement: 3 of 120 labels changed" in printed
    assert "out of fold: weight 0.71" in printed
    first = report.changed_labels[0]
    assert f"{first.teacher} -> {first.refined}: {first.text}" in printed
    assert first.refined == GOLD[first.row] != first.teacher
    assert [label.row for label in report.changed_labels] == list(
        fitted.refinement_.changed
    )
    assert "3 of 120 labels changed" in fitted._repr_html_()
    plain = classifier(refine=None).fit(TEXTS, teacher_proba=teacher_proba())
    assert plain.report().refinement is None
    assert "Refinement" not in capsys.readouterr().out


def test_display_lists_the_texts_and_draws_the_classes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    fitted = classifier().fit(TEXTS, teacher_proba=teacher_proba())
    display = RefinementDisplay.from_estimator(fitted)
    frame = display.to_frame()
    assert frame["row"].tolist() == fitted.refinement_.changed.tolist()
    assert frame["text"].tolist() == [TEXTS[row] for row in frame["row"]]
    assert frame["confidence"].is_monotonic_decreasing
    assert len(display.ax_.get_yticks()) == 2
    with pytest.raises(InvalidParameterError, match="120 texts"):
        RefinementDisplay.from_estimator(fitted, TEXTS[:5])
    plain = classifier(refine=None).fit(TEXTS, teacher_proba=teacher_proba())
    with pytest.raises(InvalidParameterError, match="not refined"):
        RefinementDisplay.from_estimator(plain)
    matplotlib.pyplot.close("all")
