"""Budgets, plans, reasons, tables: what every teacher that is asked has in common."""

import warnings
from collections import Counter

import numpy as np
import pandas
import pytest
from skllkd import LLKDClassifier
from skllkd.exceptions import (
    BudgetReachedWarning,
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.students import SklearnStudent
from skllkd.teachers import CallableTeacher, LabelStore, MeteredTeacher, Scores
from skllkd.teachers.labels import NO_ANSWER, Usage
from skllkd.teachers.metered.budget import Budget, Meter
from skllkd.teachers.plan import TokenCount

AB = ["a", "b"]
TEXTS = [f"{'ab'[i % 2]} text {i}" for i in range(20)]


class PaidTeacher(MeteredTeacher):
    """A teacher whose texts cost 10 tokens to read and 1 to write."""

    asked: list[str] = []  # noqa: RUF012  (shared by clones, to count over all of them)

    def __init__(
        self,
        refuses=(),
        fails=(),
        calibration=None,
        max_calls=None,
        max_cost=None,
        price_per_million=None,
        store=None,
    ):
        self.refuses = refuses
        self.fails = fails
        self.calibration = calibration
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.price_per_million = price_per_million
        self.store = store

    _chunk_size = 1  # so that a cost is noticed after each text

    def fingerprint(self, classes):
        return {"teacher": "paid", "classes": list(classes.words)}

    def _count_tokens(self, texts, classes):
        return TokenCount(10 * len(texts), len(texts), "counted")

    def score_batch(self, texts, classes):
        self.asked.extend(texts)
        scores = Scores(
            np.log([[0.9, 0.1] if text[0] == "a" else [0.2, 0.8] for text in texts]),
            label_mass=np.ones(len(texts)),
            n_tokens=np.tile([10, 1], (len(texts), 1)),
        )
        for row, text in enumerate(texts):
            if text in self.refuses or text in self.fails:
                scores.log_prob[row] = np.nan
                scores.error[row] = "said no" if text in self.refuses else "HTTP 500"
                scores.is_final[row] = text in self.refuses
        return scores


@pytest.fixture(autouse=True)
def nothing_asked():
    PaidTeacher.asked.clear()


def quietly(teacher, texts, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return teacher.label(texts, AB, **more)


# --- Budgets --------------------------------------------------------------------------


def test_calls_stop_at_the_limit_keep_what_was_bought_and_go_on_when_it_is_raised():
    teacher = PaidTeacher(max_calls=7)
    with (
        pytest.warns(BudgetReachedWarning, match="max_calls=7 is reached: 13 distinct"),
        pytest.warns(MissingLabelWarning, match="13 not sent: max_calls=7 is reached"),
    ):
        labels = teacher.label(TEXTS, AB)
    assert len(PaidTeacher.asked) == 7 == labels.n_asked == (~labels.missing).sum()
    assert quietly(teacher, TEXTS).n_asked == 0  # the limit is over all runs
    more = quietly(teacher.set_params(max_calls=12), TEXTS)
    assert more.n_asked == 5 and len(PaidTeacher.asked) == 12
    assert Counter(more.source) == {"store": 7, "model": 5, "": 8}
    assert teacher.set_params(max_calls=None).label(TEXTS, AB).n_asked == 8
    assert max(Counter(PaidTeacher.asked).values()) == 1


def test_a_limit_that_is_large_enough_warns_of_nothing():
    assert PaidTeacher(max_calls=20).label(TEXTS, AB).n_asked == 20
    assert PaidTeacher(max_calls=20).label(TEXTS, AB).n_asked == 0


def test_the_cost_stops_at_the_limit_at_the_users_price():
    # 10 tokens read at 1 and 1 written at 5, each a million: 15e-6 a text
    teacher = PaidTeacher(max_cost=60e-6, price_per_million=(1.0, 5.0))
    with (
        pytest.warns(BudgetReachedWarning, match="max_cost=6e-05 is reached"),
        pytest.warns(MissingLabelWarning),
    ):
        labels = teacher.label(TEXTS, AB)
    assert labels.n_asked == 4
    assert labels.usage[:3] == (4, 40, 4)
    assert quietly(teacher, TEXTS).n_asked == 0
    assert quietly(teacher.set_params(max_cost=75e-6), TEXTS).n_asked == 1


def test_refusals_and_failures_count_as_calls():
    teacher = PaidTeacher(fails=TEXTS[:3], max_calls=5)
    labels = quietly(teacher, TEXTS)
    assert labels.n_asked == 5 and (~labels.missing).sum() == 2


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"max_calls": -1}, "`max_calls`"),
        ({"max_calls": 1.5}, "`max_calls`"),
        ({"max_cost": 1}, "price_per_million"),
        ({"max_cost": -1, "price_per_million": (1, 1)}, "`max_cost`"),
        ({"price_per_million": 3}, "`price_per_million`"),
        ({"price_per_million": (1, -1)}, "`price_per_million`"),
        ({"price_per_million": (1, float("nan"))}, "`price_per_million`"),
    ],
)
def test_bad_budgets_are_named_before_anything_is_asked(parameters, named):
    for act in ("label", "plan"):
        with pytest.raises(InvalidParameterError, match=named):
            getattr(PaidTeacher(**parameters), act)(TEXTS, AB)
    assert PaidTeacher.asked == []


def test_fit_learns_from_what_the_budget_bought():
    clf = LLKDClassifier(
        PaidTeacher(max_calls=10), AB, student=SklearnStudent(), random_state=0
    )
    with pytest.warns(BudgetReachedWarning), pytest.warns(MissingLabelWarning):
        clf.fit(TEXTS)
    assert clf.n_teacher_calls_ == 10
    assert sum(label is None for label in clf.pseudo_labels_) == 10


def test_a_callable_has_a_budget_too():
    teacher = CallableTeacher(
        lambda texts: [t[0] for t in texts], cache_key="k", max_calls=6, batch_size=4
    )
    assert (~quietly(teacher, TEXTS).missing).sum() == 6


# --- Reasons --------------------------------------------------------------------------


def test_reasons_are_told_and_only_refusals_are_remembered():
    teacher = PaidTeacher(refuses=TEXTS[:2], fails=TEXTS[2:5])
    texts = [*TEXTS, " ", TEXTS[0]]
    with pytest.warns(
        MissingLabelWarning, match=r"7 of 22.*3 said no, 3 HTTP 500, 1 empty"
    ):
        labels = teacher.label(texts, AB)
    assert labels.error[[0, 2, 20, 21, 6]].tolist() == [
        "said no",
        "HTTP 500",
        "empty or white space",
        "said no",
        "",
    ]
    PaidTeacher.asked.clear()
    again = quietly(teacher, texts)
    assert sorted(PaidTeacher.asked) == sorted(TEXTS[2:5])
    assert again.error[0] == NO_ANSWER and again.n_asked == 3
    with LabelStore() as store:
        assert len(store) == 15
        store.prune(unanswered_only=True)
    PaidTeacher.asked.clear()
    quietly(teacher, texts)
    assert sorted(PaidTeacher.asked) == sorted(TEXTS[:5])


def test_a_pool_without_an_answer_says_why():
    clf = LLKDClassifier(PaidTeacher(fails=TEXTS), AB, student=SklearnStudent())
    with (
        pytest.warns(MissingLabelWarning, match="20 HTTP 500"),
        pytest.raises(ValueError, match="none of the 20 texts"),
    ):
        clf.fit(TEXTS)


# --- Plans ----------------------------------------------------------------------------


def test_a_plan_asks_nothing_and_counts_everything():
    teacher = PaidTeacher(price_per_million=(1.0, 5.0), refuses=TEXTS[:1], max_calls=30)
    quietly(teacher, TEXTS[:5])
    PaidTeacher.asked.clear()
    plan = teacher.plan([*TEXTS, *TEXTS, "", "\n"], AB)
    assert PaidTeacher.asked == []
    assert (plan.n_texts, plan.n_distinct, plan.n_blank) == (42, 20, 2)
    assert (plan.n_stored, plan.n_to_ask, plan.n_calls) == (5, 15, 15)
    assert plan.tokens == TokenCount(150, 15, "counted")
    assert plan.cost == pytest.approx(15 * 15e-6)
    assert plan.spent.n_calls == 5 and plan.spent_cost == pytest.approx(5 * 15e-6)
    assert plan.seconds > 0  # from the pace of the five
    printed = str(plan)
    for part in ("42", "to be labelled", "tokens read, counted", "150", "limit 30"):
        assert part in printed
    done = quietly(teacher, TEXTS)
    assert done.n_asked == plan.n_to_ask
    assert teacher.plan(TEXTS, AB).seconds == 0


def test_a_plan_says_what_it_does_not_know():
    plan = CallableTeacher(lambda texts: ["a"] * len(texts)).plan(TEXTS, AB)
    assert plan.tokens.input is None and plan.cost is None and plan.seconds is None
    assert "unknown" in str(plan) and "tokens" not in str(plan)


# --- Tables ---------------------------------------------------------------------------


def test_labels_become_a_table(tmp_path):
    teacher = PaidTeacher(refuses=TEXTS[:1])
    texts = [*TEXTS, " "]
    labels = quietly(teacher, texts)
    table = labels.to_pandas(texts)
    assert table.columns.tolist() == [
        "text",
        "label",
        "proba_a",
        "proba_b",
        "label_mass",
        "source",
        "error",
    ]
    assert pandas.isna(table.label[0]) and table.error[0] == "said no"
    assert table.label[2] == "a" and table.proba_a[2] == pytest.approx(0.9)
    assert table.source[1] == "model" and quietly(teacher, texts).source[1] == "store"
    labels.to_parquet(tmp_path / "labels.parquet", texts)
    back = pandas.read_parquet(tmp_path / "labels.parquet")
    assert back.text.tolist() == texts and back.proba_b[2] == table.proba_b[2]
    assert "text" not in labels.to_pandas().columns


def test_the_table_of_integer_classes_keeps_them():
    labels = CallableTeacher(lambda texts: [1] * len(texts)).label(["x", "y"], [0, 1])
    assert labels.to_pandas().label.tolist() == [1, 1]


# --- Over joblib's workers ------------------------------------------------------------


def _initial(texts):
    return [text[0] for text in texts]


def many(n):
    return [f"{'ab'[i % 2]} text {i}" for i in range(n)]


def test_a_budget_holds_over_workers():
    import joblib

    teacher = CallableTeacher(_initial, cache_key="spread", max_calls=700)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        labels = quietly(teacher, many(1500))
    assert (~labels.missing).sum() == 700


def test_an_error_in_a_worker_keeps_what_was_answered():
    import joblib

    answered = []

    def breaks(texts):
        if len(answered) >= 13:
            raise OSError("the line is dead")
        answered.append(len(texts))
        return _initial(texts)

    teacher = CallableTeacher(breaks, cache_key="breaks", batch_size=32)
    with (
        joblib.parallel_config(backend="threading", n_jobs=2),
        pytest.raises(OSError, match="the line is dead"),
    ):
        teacher.label(many(3000), AB)
    with LabelStore() as store:
        assert len(store) == sum(answered)


def test_usage_adds_up_in_the_labels():
    labels = PaidTeacher().label(TEXTS, AB)
    assert labels.usage[:3] == Usage(20, 200, 20)[:3] and labels.usage.seconds > 0


def test_a_cost_that_cannot_be_kept_is_said_after_the_first_chunk():
    class SilentTeacher(PaidTeacher):
        def score_batch(self, texts, classes):
            scores = super().score_batch(texts, classes)
            scores.n_tokens[:] = 0
            return scores

    asked = SilentTeacher(price_per_million=(1, 1), max_cost=1.0)
    with (
        pytest.warns(BudgetReachedWarning, match="no tokens are reported"),
        pytest.warns(MissingLabelWarning, match="19 not sent: max_cost=1.0 cannot"),
    ):
        assert asked.label(TEXTS, AB).n_asked == 1


def test_an_interrupt_says_how_far_it_came_and_how_to_go_on(own_store):
    class Interrupted(PaidTeacher):
        def score_batch(self, texts, classes):
            if len(self.asked) == 12:
                raise KeyboardInterrupt
            return super().score_batch(texts, classes)

    quietly(PaidTeacher(), TEXTS[:5])
    with pytest.raises(KeyboardInterrupt) as caught:
        Interrupted().label(TEXTS, AB)
    (note,) = caught.value.__notes__
    assert note.startswith("7 of the 15 texts that were not known are labelled.")
    assert "in the store" in note and "the same call goes on" in note
    assert quietly(PaidTeacher(), TEXTS).n_asked == 8
    PaidTeacher.asked.clear()
    with pytest.raises(KeyboardInterrupt) as caught:
        Interrupted(store=False).label(TEXTS, AB)
    assert "not kept" in caught.value.__notes__[0]


def test_progress_tells_calls_speed_and_cost():
    meter = Meter(Budget(None, None, (1000, 0)), Usage(3, 500, 0), 1)
    assert meter.progress(0.0) == "0 calls, cost so far 0.5000"
    meter.settle(1, Usage(1, 200, 100))
    assert meter.progress(2.0) == "1 calls, 150 tokens/s, cost so far 0.7000"
    assert Meter(Budget(None, None, None), Usage(), 1).progress(1.0) == "0 calls"


def test_the_order_of_classes_counts_for_functions_alone():
    def function(texts):
        return [[0.9, 0.1]] * len(texts)

    for classes in (AB, AB[::-1]):  # columns without names are in the user's order
        labels = CallableTeacher(function, cache_key="k").label(["t"], classes)
        assert labels.proba[0].argmax() == 0
    first = quietly(PaidTeacher(), TEXTS)
    again = PaidTeacher().label(TEXTS, AB[::-1])
    assert again.n_asked == 0
    np.testing.assert_array_equal(again.log_prob, first.log_prob[:, ::-1])
