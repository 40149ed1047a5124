"""Comparison of prompts without gold labels."""

import zlib

import numpy as np
import pytest
from skllkd.exceptions import BudgetReachedWarning, InvalidParameterError
from skllkd.teachers import CallableTeacher, EmbeddingTeacher, MeteredTeacher, Scores
from skllkd.teachers.label_free import predictability

WORDS = ["goal", "match", "vote", "law"]
TEXTS = [f"the {WORDS[i % 4]} number {i} of {i * 7 % 11}" for i in range(60)]
GOLD = np.array([i % 4 >= 2 for i in range(60)]).astype(int)
CLASSES = ["sports", "politics"]


class Prompted(MeteredTeacher):
    """A teacher whose instruction says how it answers."""

    def __init__(
        self, instruction="by word", calibration=None, max_calls=None, store=None
    ):
        self.instruction, self.calibration = instruction, calibration
        self.max_calls, self.store = max_calls, store

    def fingerprint(self, classes):
        return {"instruction": self.instruction, "classes": list(classes.words)}

    def score_batch(self, texts, classes):
        ASKED.extend((self.instruction, text) for text in texts)
        side = np.array([any(w in text for w in WORDS[2:]) for text in texts])
        if self.instruction == "at random":
            side = np.array([zlib.crc32(text.encode()) % 2 == 0 for text in texts])
        if self.instruction == "always one":
            side[:] = False
        sure = 0.6 if self.instruction == "unsure" else 0.9
        proba = np.where(side[:, None], [1 - sure, sure], [sure, 1 - sure])
        log_prob = np.log(proba)
        if self.instruction == "silent":
            log_prob[::2] = np.nan
        mass = np.full(len(texts), 0.3 if self.instruction == "unsure" else 0.8)
        n_tokens = np.full((len(texts), 2), [10 + len(self.instruction), 1])
        return Scores(log_prob, mass, n_tokens=n_tokens)


ASKED = []


@pytest.fixture(autouse=True)
def nothing_asked():
    ASKED.clear()


def compare(instructions, **more):
    prompts = {name: {"instruction": name} for name in instructions}
    return Prompted().compare(prompts, TEXTS, CLASSES, **more)


def test_labels_that_follow_the_texts_come_before_noise_and_before_one_for_all():
    comparison = compare(["always one", "at random", "by word"])
    assert comparison.best.name == "by word"
    score = {one.name: one for one in comparison}
    assert score["by word"].predictability > 0.3
    assert abs(score["always one"].predictability) < 0.01  # as sure as it is worthless
    assert score["at random"].predictability < 0.05
    assert comparison.best.params == {"instruction": "by word"}


def test_each_score_is_what_it_says():
    comparison = compare(["by word", "unsure", "silent"])
    score = {one.name: one for one in comparison}
    assert score["by word"].confidence == pytest.approx(0.9)
    assert score["unsure"].confidence == pytest.approx(0.6)
    assert score["unsure"].label_mass == pytest.approx(0.3)
    assert score["silent"].answered == 0.5
    assert score["by word"].labels.proba.argmax(axis=1).tolist() == GOLD.tolist()
    assert comparison.sorted_by("label_mass").scores[-1].name == "unsure"
    assert comparison.sorted_by("confidence").scores[-1].name == "unsure"
    assert comparison.sorted_by("answered").scores[-1].name == "silent"
    with pytest.raises(InvalidParameterError, match="`score`.*'accuracy'"):
        comparison.sorted_by("accuracy")


def test_nothing_is_paid_twice_and_the_cost_is_known_all_the_same():
    first = compare(["by word", "unsure"])
    assert len(ASKED) == 120
    again = compare(["by word", "unsure"])
    assert len(ASKED) == 120
    assert Prompted("unsure").label(TEXTS, CLASSES).n_asked == 0
    for before, after in zip(first, again, strict=True):
        assert (before.n_calls, after.n_calls) == (60, 0)
        assert before.tokens_per_call == after.tokens_per_call
        assert before.tokens_per_call == 11 + len(before.name)
        assert after.seconds_per_call == pytest.approx(before.seconds_per_call, rel=0.5)


def test_the_teacher_itself_stays_as_it_was():
    teacher = Prompted()
    teacher.compare({"other": {"instruction": "unsure"}}, TEXTS, CLASSES)
    assert teacher.instruction == "by word"


def test_classes_may_be_worded_otherwise():
    prompts = {"plain": {}, "reworded": {"classes": ["sport", "the state"]}}
    comparison = Prompted().compare(prompts, TEXTS, CLASSES)
    worded = {one.name: one.classes.words for one in comparison}
    assert worded == {"plain": tuple(CLASSES), "reworded": ("sport", "the state")}
    assert {one.name: one.params for one in comparison}["reworded"] == {}


def test_features_tell_what_words_do_not():
    answer = {text: i // 15 % 2 for i, text in enumerate(TEXTS)}
    teacher = CallableTeacher(lambda ts: np.eye(2)[[answer[t] for t in ts]] * 0.8 + 0.1)
    by_words = teacher.compare({"it": {}}, TEXTS, CLASSES).best

    def embed(texts):
        return np.array([[answer.get(t, t == "politics"), 0.5] for t in texts])

    by_features = teacher.compare({"it": {}}, TEXTS, CLASSES, embed=embed).best
    assert by_features.predictability > by_words.predictability + 0.3


def by_side(texts):
    """Embed texts, and the names of the classes, by the side they are on."""
    words = [*WORDS[2:], "politics"]
    side = np.array([any(word in text for word in words) for text in texts])
    return np.column_stack([side, ~side, np.arange(len(texts)) % 3 == 0]).astype(float)


def test_prompts_that_agree_with_the_class_names_come_first():
    comparison = compare(["at random", "always one", "by word"], embed=by_side)
    score = {one.name: one.class_names for one in comparison}
    assert comparison.sorted_by("class_names").best.name == "by word"
    assert comparison.best.name == "by word" and score["by word"] == 1
    assert abs(score["at random"]) < 0.3 and score["always one"] == 0
    assert all(np.isnan(one.class_names) for one in compare(["by word"]))


def test_the_mean_rank_is_that_over_the_scores_that_are_known():
    # By predictability, confidence and label mass; ties share their ranks.
    comparison = compare(["always one", "by word", "unsure"])
    rank = {one.name: one.mean_rank for one in comparison}
    assert rank["by word"] == pytest.approx((1.5 + 1.5 + 1.5) / 3)
    assert rank["always one"] == pytest.approx((3 + 1.5 + 1.5) / 3)
    assert rank["unsure"] == pytest.approx((1.5 + 3 + 3) / 3)
    assert [one.name for one in comparison] == ["by word", "always one", "unsure"]
    assert comparison.sorted_by("mean_rank") == comparison


def test_a_wording_in_another_order_is_put_in_the_order_of_the_classes():
    prompts = {"turned": {"classes": {"politics": "the state", "sports": "games"}}}
    one = Prompted().compare(prompts, TEXTS, CLASSES, embed=by_side).best
    assert one.labels.classes == tuple(CLASSES) == one.classes.names
    assert one.classes.descriptions == ("games", "the state") and one.class_names == 1


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        ("MiniLM", "`embed` must be a function.*'MiniLM'"),
        (lambda texts: np.ones(len(texts)), r"`embed` must return.*\(60,\)"),
        (lambda texts: np.full((len(texts), 2), np.nan), "finite numbers"),
        (lambda texts: None, "`embed` must return"),
    ],
)
def test_a_bad_function_of_texts_is_named(embed, message):
    with pytest.raises(InvalidParameterError, match=message):
        compare(["by word"], embed=embed)
    assert ASKED == []


def test_it_prints_as_a_table_and_makes_a_frame():
    comparison = compare(["by word", "unsure"])
    head, first, second = repr(comparison).splitlines()
    assert head.split()[:3] == ["prompt", "mean", "rank"] and len(comparison) == 2
    assert len(head) == len(first) == len(second)
    assert first.split()[-7:-1] != second.split()[-7:-1]
    frame = comparison.to_frame()
    assert frame.index.tolist() == [score.name for score in comparison]
    assert frame.loc["unsure", "label_mass"] == pytest.approx(0.3)
    assert frame.loc["unsure", "params"] == {"instruction": "unsure"}


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([{"instruction": "a"}], "`prompts` must map a name"),
        ({}, "`prompts` must map a name"),
        ({"a": "Is it spam?"}, r"`prompts\['a'\]` must be a dict.*Is it spam"),
        ({"ok": {}, "a": {"prompt": ""}}, r"`prompts\['a'\]` sets 'prompt'"),
        ({"ok": {}, "a": {"classes": ["x", "y", "z"]}}, r"all 2 classes.*got 3"),
        ({"ok": {}, "a": {"max_calls": -1}}, "`max_calls`"),
    ],
)
def test_a_bad_prompt_is_named_before_anything_is_asked(prompts, message):
    with pytest.raises(InvalidParameterError, match=message):
        Prompted().compare(prompts, TEXTS, CLASSES)
    assert ASKED == []


def test_a_limit_on_calls_leaves_texts_unanswered():
    with pytest.warns(BudgetReachedWarning):
        comparison = Prompted(max_calls=30).compare({"plain": {}}, TEXTS, CLASSES)
    assert comparison.best.answered == 0.5


def test_few_or_no_answers_predict_nothing():
    assert predictability(np.empty((0, 2)), np.empty((0, 3))) == 0
    assert predictability(np.eye(2)[[0, 1]], np.eye(2)) == 0
    one = Prompted(max_calls=0)
    with pytest.warns(BudgetReachedWarning):
        score = one.compare({"none": {}}, TEXTS, CLASSES).best
    assert score.answered == 0 and np.isnan(score.confidence)


def test_a_class_that_is_in_one_fold_only_is_no_error():
    label = np.array([0] * 19 + [1])
    assert -1 < predictability(np.eye(2)[label], np.ones((20, 1))) < 0


def test_predictability_is_information_over_the_most_there_can_be():
    label = np.arange(400) % 4
    four = np.eye(4)[label]
    assert predictability(four, 100 * four) == pytest.approx(1, abs=0.02)
    halves = np.eye(2)[
        label // 2
    ]  # tells which of two classes, half of the information
    assert predictability(four, 100 * halves) == pytest.approx(0.5, abs=0.02)
    assert predictability(four, np.ones((400, 1))) == pytest.approx(0, abs=0.02)


def test_a_teacher_without_calls_compares_wordings(tiny_path):
    teacher = EmbeddingTeacher(tiny_path, device="cpu")
    prompts = {
        "names": {},
        "described": {"classes": dict.fromkeys(CLASSES, "the news")},
    }
    comparison = teacher.compare(prompts, TEXTS, CLASSES)
    assert comparison.best.n_calls == 0 and np.isnan(comparison.best.tokens_per_call)
    assert "-" in repr(comparison)
