"""Labels asked for down a tree of classes, by a teacher whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from skllkd._core.classes import as_classes
from skllkd.exceptions import (
    BudgetReachedWarning,
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers import (
    BatchCalibration,
    CalibratedTeacher,
    CallableTeacher,
    EnsembleTeacher,
    MeteredTeacher,
    OpenAITeacher,
    Scores,
)
from skllkd.teachers.class_tree.questions import (
    first_question,
    joined_bias,
    questions_of,
    split_bias,
)
from skllkd.teachers.plan import TokenCount
from skllkd.teachers.sample import ask_sample

TREE = {
    "sport": {"football": "goals", "racket": ["tennis", "squash"]},
    "weather": "",
    "money": {"": "about it", "stocks": "", "banks": ""},
}
LEAVES = list(as_classes(TREE).names)
GROUPS = {
    "sport": ["football", "tennis", "squash"],
    "racket": ["tennis", "squash"],
    "money": ["stocks", "banks"],
}


def wished(text):
    """Return the distribution over the classes that a text stands for."""
    seed = int(text.split()[-1])
    return np.random.RandomState(seed).dirichlet(np.full(len(LEAVES), 0.7))


class TreeTeacher(MeteredTeacher):
    """A teacher that answers each question as the text's own distribution says."""

    _asks_groups = True
    _chunk_size = 4

    def __init__(
        self,
        calibration=None,
        max_calls=None,
        max_cost=None,
        price_per_million=None,
        examples=(),
        store=None,
        silent=(),
    ):
        self.calibration, self.max_calls, self.max_cost = (
            *(calibration, max_calls),
            max_cost,
        )
        self.price_per_million, self.examples = price_per_million, examples
        self.store, self.silent = store, silent

    def fingerprint(self, classes):
        return {
            "teacher": "tree",
            "classes": list(map(str, classes.names)),
            "about": list(classes.descriptions),
            "examples": [list(pair) for pair in self.examples],
        }

    def score_batch(self, texts, classes):
        ASKED.extend((text, classes.names) for text in texts)
        rows = np.array(
            [
                [
                    sum(wished(t)[LEAVES.index(leaf)] for leaf in GROUPS.get(n, [n]))
                    for n in classes.names
                ]
                for t in texts
            ]
        )
        log_prob = np.log(rows)
        if {*classes.names} & {*self.silent}:
            log_prob[:] = np.nan
        mass = np.full(len(texts), 0.5 if "tennis" in classes.names else 0.9)
        n_tokens = np.tile([10, 1], (len(texts), 1))
        return Scores(log_prob, mass, n_tokens=n_tokens)

    def _count_tokens(self, texts, classes):
        return TokenCount(10 * len(texts), len(texts), "counted")


ASKED = []
TEXTS = [f"text {i}" for i in range(30)]
WISHED = np.array([wished(text) for text in TEXTS])


@pytest.fixture(autouse=True)
def nothing_asked():
    ASKED.clear()


def n_asked_of(name):
    return sum(name in names for _, names in ASKED)


def test_the_likeliest_class_is_that_of_all_classes_at_once():
    labels = TreeTeacher().label(TEXTS, TREE)
    assert labels.classes == tuple(LEAVES)
    np.testing.assert_allclose(labels.proba.sum(axis=1), 1)
    assert (labels.proba.argmax(axis=1) == WISHED.argmax(axis=1)).all()


def test_probabilities_multiply_where_a_group_was_asked_about_and_are_shared_elsewhere():
    labels = TreeTeacher().label(TEXTS, TREE)
    asked = {(text, name) for text, names in ASKED for name in names}
    n_shared = 0
    for row, text in enumerate(TEXTS):
        for group, member in [
            *(("money", "stocks"), ("racket", "tennis")),
            ("sport", "football"),
        ]:
            columns = [LEAVES.index(leaf) for leaf in GROUPS[group]]
            if (text, group) in asked and (text, member) not in asked:
                n_shared += 1
                total = WISHED[row, columns].sum()
                np.testing.assert_allclose(
                    labels.proba[row, columns], total / len(columns)
                )
            elif (text, member) in asked and group != "sport":
                np.testing.assert_allclose(
                    labels.proba[row, columns], WISHED[row, columns]
                )
    assert n_shared > 10
    sums = labels.proba[:, [LEAVES.index(leaf) for leaf in GROUPS["money"]]].sum(axis=1)
    money = WISHED[:, [LEAVES.index(leaf) for leaf in GROUPS["money"]]].sum(axis=1)
    np.testing.assert_allclose(sums, money)


def test_only_groups_likelier_than_the_likeliest_class_are_asked_about():
    TreeTeacher().label(TEXTS, TREE)
    assert n_asked_of("sport") == len(TEXTS)
    asked = {text for text, names in ASKED if "stocks" in names}
    money = WISHED[:, [LEAVES.index(leaf) for leaf in GROUPS["money"]]].sum(axis=1)
    sport = WISHED[:, [LEAVES.index(leaf) for leaf in GROUPS["sport"]]].sum(axis=1)
    weather = WISHED[:, LEAVES.index("weather")]
    # Money is asked about if it is the likeliest of all, and not if weather is likelier;
    # if sport is, the classes found there decide.
    assert {*np.array(TEXTS)[money > np.maximum(sport, weather)]} <= asked
    assert not {*np.array(TEXTS)[weather > money]} & asked


def test_answers_are_stored_question_by_question_and_shared():
    teacher = TreeTeacher()
    first = teacher.label(TEXTS, TREE)
    n_first = len(ASKED)
    assert first.n_asked == n_first == first.usage.n_calls
    again = teacher.label(TEXTS[::-1], TREE)
    assert len(ASKED) == n_first and again.n_asked == 0
    assert again.n_reused == len(TEXTS) and (again.source == "store").all()
    np.testing.assert_allclose(again.proba[::-1], first.proba)
    teacher.label(TEXTS, {"sport": "", "weather": "", "money": "about it"})
    assert len(ASKED) == n_first  # it is the question at the top


def test_the_group_s_description_and_names_are_asked():
    top = first_question(as_classes(TREE))
    assert top.names == ("sport", "weather", "money")
    assert top.descriptions == ("", "", "about it")
    questions = questions_of(as_classes(TREE))
    assert [q.classes.names for q in questions[1:]] == [
        *(("football", "racket"), ("stocks", "banks")),
        ("tennis", "squash"),
    ]
    assert questions[1].classes.descriptions == ("goals", "")
    sample = ask_sample(TreeTeacher(), TEXTS, TREE, 3)
    assert len(sample.labels) == 3


def test_a_group_of_one_is_no_question():
    tree = {"news": {"sport": ["football", "tennis"], "sky": ["weather"]}}
    GROUPS["sky"] = ["weather"]
    teacher = TreeTeacher(store=False)
    proba = teacher.label(TEXTS, tree).proba
    del GROUPS["sky"]
    assert {len(names) for _, names in ASKED} == {2}
    assert proba.shape == (30, 3)
    assert np.isfinite(proba).all()


def test_each_question_is_calibrated_and_new_texts_keep_the_calibration():
    many = [f"text {i}" for i in range(60)]
    teacher = TreeTeacher(BatchCalibration())
    labels = teacher.label(many, TREE)
    assert labels.class_bias.shape == (len(LEAVES),)
    assert not np.allclose(labels.proba, TreeTeacher().label(many, TREE).proba)
    some = teacher.label(many[:7], TREE, class_bias=labels.class_bias)
    np.testing.assert_allclose(some.proba, labels.proba[:7], atol=1e-6)
    plain = teacher.label(many[:7], TREE, class_bias=np.zeros(len(LEAVES)))
    np.testing.assert_allclose(plain.proba, TreeTeacher().label(many[:7], TREE).proba)
    top = teacher.label(many, first_question(as_classes(TREE)))
    money = labels.proba[:, [LEAVES.index(leaf) for leaf in GROUPS["money"]]].sum(
        axis=1
    )
    assert np.abs(money - top.proba[:, 2]).max() < 0.05  # less drawn to none


def test_a_class_prior_is_summed_for_each_question():
    prior = dict(zip(LEAVES, [0.3, 0.1, 0.1, 0.2, 0.2, 0.1], strict=True))
    labels = [
        TreeTeacher(BatchCalibration(p)).label(TEXTS, TREE)
        for p in (prior, list(prior.values()), "em")
    ]
    np.testing.assert_allclose(labels[0].proba, labels[1].proba)
    assert np.isfinite(labels[2].proba).all()


def test_biases_of_questions_are_joined_and_split_again():
    questions = questions_of(as_classes(TREE))
    rng = np.random.RandomState(0)
    biases = [rng.randn(len(q.classes)) for q in questions]
    centred = [bias - bias.mean() for bias in biases]
    joined = joined_bias(questions, biases)
    for bias, other in zip(centred, split_bias(questions, joined), strict=True):
        np.testing.assert_allclose(bias, other, atol=1e-12)
    assert all((b == 0).all() for b in split_bias(questions, np.zeros(len(LEAVES))))


@pytest.mark.parametrize("limit", [{"max_calls": 44}, {"max_calls": 0}])
def test_limits_hold_over_all_questions_and_runs(limit):
    teacher = TreeTeacher(**limit)
    most = limit["max_calls"]
    for _ in range(2):
        with pytest.warns(BudgetReachedWarning, match=f"max_calls={most} is reached"):
            labels = _quiet_label(teacher, TEXTS)
        assert len(ASKED) == most
    assert labels.missing.any()
    assert all("max_calls" in error for error in labels.error[labels.missing])
    more = TreeTeacher(max_calls=most + 7)
    with pytest.warns(BudgetReachedWarning):
        _quiet_label(more, TEXTS)
    assert len(ASKED) == most + 7
    whole = TreeTeacher().label(TEXTS, TREE)
    assert not whole.missing.any()


def _quiet_label(teacher, texts):
    with pytest.warns(MissingLabelWarning):
        return teacher.label(texts, TREE)


def test_a_limit_on_the_cost_holds_over_all_questions():
    teacher = TreeTeacher(max_cost=0.5, price_per_million=(1000, 0))
    with pytest.warns(BudgetReachedWarning, match="max_cost"):
        _quiet_label(teacher, TEXTS)
    assert 48 <= len(ASKED) <= 54


def test_a_text_one_of_whose_questions_has_no_answer_is_missing():
    with pytest.warns(MissingLabelWarning):
        labels = TreeTeacher(silent=["stocks"], store=False).label(TEXTS, TREE)
    asked = {text for text, names in ASKED if "stocks" in names}
    assert labels.missing.tolist() == [text in asked for text in TEXTS]
    assert 0 < len(asked) < 30
    known = ~labels.missing
    assert (labels.proba.argmax(axis=1) == WISHED.argmax(axis=1))[known].all()
    with pytest.warns(MissingLabelWarning, match="30 of 30"):
        TreeTeacher(silent=["sport"], store=False).label(TEXTS, TREE)


def test_the_label_mass_is_the_least_on_the_way():
    labels = TreeTeacher().label(TEXTS, TREE)
    deep = {text for text, names in ASKED if "tennis" in names}
    expected = [0.5 if text in deep else 0.9 for text in TEXTS]
    np.testing.assert_allclose(labels.label_mass, expected)


def test_examples_stand_in_the_questions_about_their_groups():
    examples = [("a", "tennis"), ("b", "banks"), ("c", "weather")]
    seen = {}

    class Noting(TreeTeacher):
        def score_batch(self, texts, classes):
            seen[classes.names] = list(self.examples)
            return super().score_batch(texts, classes)

    Noting(examples=examples, store=False).label(TEXTS, TREE)
    assert seen["sport", "weather", "money"] == [
        *(("a", "sport"), ("b", "money")),
        ("c", "weather"),
    ]
    assert seen["football", "racket"] == [("a", "racket")]
    assert seen["stocks", "banks"] == [("b", "banks")]
    with pytest.raises(InvalidParameterError, match="got 'chess' at index 0"):
        Noting(examples=[("a", "chess")]).label(TEXTS, TREE)


def test_repeats_and_empty_texts_are_not_asked():
    with pytest.warns(MissingLabelWarning, match="1 empty"):
        labels = TreeTeacher(store=False).label(["text 1", "", "text 1"], TREE)
    assert labels.n_blank == 1 and len({text for text, _ in ASKED}) == 1
    np.testing.assert_array_equal(labels.proba[0], labels.proba[2])


def test_other_teachers_are_asked_for_the_classes_at_once():
    teacher = CallableTeacher(lambda texts: [wished(t).tolist() for t in texts])
    np.testing.assert_allclose(teacher.label(TEXTS, TREE).proba, WISHED)
    both = EnsembleTeacher([teacher, TreeTeacher()], calibration=None)
    assert both.label(TEXTS, TREE).proba.argmax(axis=1).tolist() == (
        WISHED.argmax(axis=1).tolist()
    )


def test_confidence_of_a_tree_is_calibrated_on_gold_of_its_classes():
    gold = [LEAVES[k] for k in WISHED.argmax(axis=1)]
    calibrated = CalibratedTeacher(TreeTeacher(), TEXTS, gold).label(TEXTS, TREE)
    assert (calibrated.proba.argmax(axis=1) == WISHED.argmax(axis=1)).all()
    assert calibrated.proba.max(axis=1).mean() > WISHED.max(axis=1).mean()


def test_the_plan_counts_a_question_on_each_level_and_what_is_stored():
    teacher = TreeTeacher(max_calls=500)
    plan = teacher.plan(TEXTS, TREE)
    # of 6 classes sport holds 3, racket 2, money 2
    assert plan.n_calls == 30 + 15 + 10 + 10
    assert plan.tokens == (650, 65, "estimated")
    assert (plan.n_texts, plan.n_distinct, plan.n_to_ask) == (30, 30, 30)
    assert plan.max_calls == 500
    assert "3 questions about each text" in str(plan) and "4 at most" in str(plan)
    teacher.label(TEXTS, TREE)
    after = teacher.plan(TEXTS, TREE)
    assert after.n_calls < 10 and after.spent.n_calls == len(ASKED)


def test_a_job_of_the_batch_api_cannot_go_down_a_tree():
    teacher = OpenAITeacher("m", base_url="http://localhost:9/v1")
    with pytest.raises(InvalidParameterError, match="tree"):
        teacher.submit(TEXTS, TREE)


def test_texts_that_are_cut_are_warned_of_once():
    class Cutting(TreeTeacher):
        def score_batch(self, texts, classes):
            scores = super().score_batch(texts, classes)
            return replace(scores, is_truncated=np.ones(len(texts), dtype=bool))

    with pytest.warns(TruncationWarning, match="30 of the texts") as found:
        clone(Cutting(store=False)).label(TEXTS, TREE)
    assert len(found) == 1
