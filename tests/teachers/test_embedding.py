"""A sentence encoder as a teacher, with a tiny one."""

import pickle

import numpy as np
import pytest
import skllkd.students._torch.pretrained
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd._core.similarity import class_name_log_prob
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    SavedModelError,
    TruncationWarning,
)
from skllkd.students import FrozenEncoderStudent, SklearnStudent, feature_cache
from skllkd.students.text_encoder import TextEncoder, read_encoder
from skllkd.teachers import (
    BatchCalibration,
    CalibratedTeacher,
    EmbeddingTeacher,
    EnsembleTeacher,
    PrecomputedTeacher,
)

TEXTS = [
    "the match was won",
    "a bank failed",
    "the team lost",
    "shares of the firm rose",
]
CLASSES = ["sports", "money"]


@pytest.fixture(autouse=True)
def nothing_remembered():
    feature_cache.memory = feature_cache._Memory()
    skllkd.students._torch.pretrained._known.clear()


@pytest.fixture
def encoded(monkeypatch):
    """Return the list of texts the encoder is given, as it grows."""
    seen = []
    encode = TextEncoder._encode

    def counting(self, texts):
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextEncoder, "_encode", counting)
    return seen


@pytest.fixture
def teacher(tiny_path):
    return EmbeddingTeacher(tiny_path, device="cpu")


def embedded(path, texts):
    return read_encoder(path, device="cpu").features(texts)[0]


def test_the_calibrated_answer_is_the_centred_similarity(teacher, tiny_path):
    expected = class_name_log_prob(
        embedded(tiny_path, TEXTS), embedded(tiny_path, CLASSES), 0.05
    )
    labels = teacher.label(TEXTS, CLASSES)
    np.testing.assert_allclose(labels.proba, np.exp(expected), atol=1e-9)
    assert np.isnan(labels.label_mass).all()
    assert (labels.n_asked, labels.usage.n_calls) == (0, 0)


def test_without_calibration_a_text_does_not_depend_on_the_others(teacher):
    teacher.set_params(calibration=None)
    together = teacher.label(TEXTS, CLASSES).proba
    alone = teacher.label(TEXTS[1:2], CLASSES).proba
    np.testing.assert_allclose(together[1:2], alone, atol=1e-6)


def test_a_description_is_read_with_the_name_and_an_underscore_is_a_space(
    teacher, encoded
):
    teacher.label(TEXTS[:1], {"ball_games": "a match of two teams", "money": None})
    assert encoded == ["ball games: a match of two teams", "money", TEXTS[0]]


def test_the_columns_follow_the_classes(teacher):
    one = teacher.label(TEXTS, CLASSES).proba
    np.testing.assert_allclose(
        teacher.label(TEXTS, CLASSES[::-1]).proba, one[:, ::-1], atol=1e-9
    )


def test_the_temperature_changes_how_sure_it_is_and_nothing_else(teacher):
    sharp = teacher.label(TEXTS, CLASSES).proba
    soft = teacher.set_params(temperature=0.5).label(TEXTS, CLASSES).proba
    assert (sharp.argmax(axis=1) == soft.argmax(axis=1)).all()
    assert (sharp.max(axis=1) > soft.max(axis=1)).all()


def test_a_student_with_the_same_encoder_reads_nothing_again(
    tiny_path, encoded, capsys
):
    classifier = LLKDClassifier(
        EmbeddingTeacher(tiny_path, device="cpu"),
        CLASSES,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
        verbose=0,
    ).fit(TEXTS * 8)
    assert sorted(encoded) == sorted([*CLASSES, *TEXTS])
    assert classifier.n_teacher_calls_ == 0
    classifier.predict(TEXTS)
    assert len(encoded) == len(CLASSES) + len(TEXTS)


def test_blank_texts_are_missing_and_repeats_read_once(teacher, encoded):
    with pytest.warns(MissingLabelWarning, match="2 of 5 texts"):
        labels = teacher.label([TEXTS[0], " ", TEXTS[1], TEXTS[0], ""], CLASSES)
    assert labels.missing.tolist() == [False, True, False, False, True]
    np.testing.assert_array_equal(labels.proba[0], labels.proba[3])
    assert encoded == [*CLASSES, *TEXTS[:2]]


def test_blank_texts_only_need_no_encoder(teacher, encoded):
    with pytest.warns(MissingLabelWarning):
        assert teacher.label(["", " "], CLASSES).missing.all()
    assert encoded == []


def test_texts_longer_than_the_window_are_warned_of(teacher):
    teacher.set_params(max_length=4)
    with pytest.warns(TruncationWarning, match=r"4 of the texts .* `max_length`"):
        assert teacher.label(TEXTS, CLASSES).n_truncated == 4


def test_an_ensemble_takes_its_mean_with_others(teacher):
    other = PrecomputedTeacher(TEXTS, [[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
    labels = EnsembleTeacher([teacher, other], calibration=None).label(TEXTS, CLASSES)
    parts = [t.label(TEXTS, CLASSES).raw_proba for t in (teacher, other)]
    mean = np.exp(np.log(parts).mean(axis=0))
    np.testing.assert_allclose(labels.proba, mean / mean.sum(axis=1, keepdims=True))


def test_both_calibrations_and_gold_labels_work(teacher, tiny_path):
    teacher.set_params(calibration=BatchCalibration("em"))
    assert np.isfinite(teacher.label(TEXTS, CLASSES).proba).all()
    texts = [f"{text} {i}" for i in range(3) for text in TEXTS]
    gold = CalibratedTeacher(teacher, texts, ["sports", "money"] * 6)
    assert np.isfinite(gold.label(TEXTS, CLASSES).proba).all()


def test_it_is_a_specification_without_weights(teacher):
    teacher.label(TEXTS, CLASSES)
    data = pickle.dumps(teacher)
    assert len(data) < 1000
    assert repr(pickle.loads(data)) == repr(teacher) == repr(clone(teacher))


def test_a_plan_costs_nothing_and_reads_nothing(teacher, encoded):
    plan = teacher.plan([*TEXTS, TEXTS[0]], CLASSES)
    assert (plan.n_calls, plan.n_to_ask, plan.n_distinct) == (0, 0, 4)
    assert encoded == []


def test_progress_shows(teacher, monkeypatch, capsys):
    from skllkd._core import progress

    monkeypatch.setattr(progress, "_DELAY_S", 0.0)
    teacher.label(TEXTS, CLASSES, verbose=1)
    assert "encoder" in capsys.readouterr().err
    teacher.label(TEXTS, CLASSES)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("temperature", 0),
        ("temperature", "warm"),
        ("max_length", 1),
        ("cache", "cloud"),
        ("batch_size", 0.5),
        ("device", "abacus"),
    ],
)
def test_a_bad_parameter_is_named(teacher, parameter, value):
    teacher.set_params(**{parameter: value})
    with pytest.raises(InvalidParameterError, match=f"`{parameter}`") as raised:
        teacher.label(TEXTS, CLASSES)
    assert repr(value) in str(raised.value)


def test_an_encoder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SavedModelError, match="no-such-folder"):
        EmbeddingTeacher(tmp_path / "no-such-folder").label(TEXTS, CLASSES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SavedModelError, match="empty.*cannot be loaded"):
        EmbeddingTeacher(tmp_path / "empty").label(TEXTS, CLASSES)


def test_rows_of_numbers_are_refused_by_name(teacher):
    with pytest.raises(InvalidParameterError, match="EmbeddingTeacher reads texts"):
        teacher.label(np.ones((3, 2)), CLASSES)
    classifier = LLKDClassifier(teacher, CLASSES, student=SklearnStudent())
    with pytest.raises(InvalidParameterError, match="`X` must have one dimension"):
        classifier.fit(np.ones((3, 2)))
