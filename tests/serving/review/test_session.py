"""A review: its order, its answers, and the figures that are honest."""

import numpy as np
import pytest
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.review import pool as pool_module
from skllkd.serving.review.answers import AnswerFile
from skllkd.serving.review.order import DISAGREEMENT, ISSUE, RANDOM, REST, asking_order
from skllkd.serving.review.pool import LABELS, STUDENT, TEACHER, ReviewPool, read_pool
from skllkd.serving.review.results import Comparison, results_of
from skllkd.serving.review.session import AnsweredError, ReviewSession
from skllkd.students import SklearnStudent

from tests.serving.review.reviewed import CLASSES, one_sided, some_pool
from tests.serving.told import ToldStudent


@pytest.fixture
def begun(tmp_path):
    """Return a function that begins, or resumes, a review; its files are closed."""
    open_files = []

    def begin(pool, n_random=10):
        while open_files:
            open_files.pop().close()
        open_files.append(AnswerFile(tmp_path / "review.csv", pool.classes))
        return ReviewSession(pool, open_files[0], n_random)

    yield begin
    for file in open_files:
        file.close()


def test_the_parts_hold_each_text_once_in_the_order_that_serves():
    pool = some_pool(300)
    parts = asking_order(pool, 20)
    rows = [row for part in parts for row in part.rows]
    assert sorted(rows) == list(range(300))
    assert [part.name for part in parts] == [
        RANDOM,
        DISAGREEMENT,
        ISSUE,
        DISAGREEMENT,
        REST,
    ]
    assert parts[0].rows == list(range(20))
    said = np.array([pool.said(name) for name in pool.judges])
    differ = said.min(axis=0) != said.max(axis=0)
    assert not differ[parts[4].rows].any()
    assert all(differ[row] for part in parts[1:4] for row in part.rows)
    sure = np.minimum(*(pool.proba[name].max(axis=1) for name in (STUDENT, TEACHER)))
    issues = parts[2].rows
    assert issues
    assert sure[issues].min() >= 0.8
    assert (said[0, issues] != said[1, issues]).all()
    doubt = pool.proba[LABELS].max(axis=1)[parts[1].rows]
    assert (np.diff(doubt) >= 0).all()


def test_the_sample_is_the_same_however_the_table_is_sorted():
    clf = LLKDClassifier(
        lambda texts: [CLASSES["b" in text] for text in texts],
        CLASSES,
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    )
    texts = [f"{letter} {i}" for i in range(20) for letter in "ab"]
    clf.fit(texts)
    pool = read_pool(clf, texts)
    other = read_pool(clf, [*texts[::-1], "", texts[0], "b one more"])
    assert pool.texts != texts
    assert [text for text in other.texts if text in texts] == pool.texts
    assert len(other.texts) == len(texts) + 1
    assert pool.judges == [STUDENT, TEACHER, LABELS]
    assert other.judges == [STUDENT]  # others than those of `fit`, and no teacher
    of_row = dict(zip(texts, clf.teacher_proba_, strict=True))
    expected = [of_row[text] for text in pool.texts]
    np.testing.assert_allclose(pool.proba[TEACHER], expected)
    asked = read_pool(clf, other.texts, teacher=lambda texts: ["ham"] * len(texts))
    assert (asked.said(TEACHER) == 0).all()
    with pytest.raises(InvalidParameterError, match="all are empty"):
        read_pool(clf, ["", " "])


def test_of_many_texts_some_are_drawn_at_random(monkeypatch):
    texts = [f"{i} 0.9 ham ham" for i in range(50)]
    student = ToldStudent().fit(texts)
    every = read_pool(student, texts).texts
    monkeypatch.setattr(pool_module, "MAX_TEXTS", 20)
    assert read_pool(student, texts).texts == every[:20]


def test_gold_labels_that_were_learned_judge_nobody(begun):
    texts = [f"{letter} {i}" for i in range(20) for letter in "ab"]
    gold = {text: CLASSES["b" in text] for text in texts[:12]}
    clf = LLKDClassifier(
        lambda texts: [CLASSES["b" in text] for text in texts],
        CLASSES,
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    ).fit(texts, gold=gold)
    pool = read_pool(clf, texts)
    learned = {pool.texts[row] for row in np.flatnonzero(pool.is_learned)}
    assert learned == set(gold)
    session = begun(pool)
    for text, label in gold.items():
        session.answer(pool.texts.index(text), label)
    assert session.results().accuracy[STUDENT].n_texts == 0
    assert session.progress().n_sample_asked == 0
    assert pool.texts[session.row] not in gold


def test_each_text_has_one_answer(begun, tmp_path):
    session = begun(some_pool())
    row = session.row
    session.answer(row, "ham", "  sure\nof it ")
    for gold in ("spam", None):
        with pytest.raises(AnsweredError):
            session.answer(row, gold)
    with pytest.raises(AnsweredError):
        session.skip(row)
    assert len(session.answers) == 1
    assert session.answers.last.note == "sure\nof it"
    assert session.answers.last.asked == RANDOM
    with pytest.raises(InvalidParameterError, match="eggs"):
        session.answer(session.row, "eggs")


def test_a_review_goes_on_where_it_was(begun):
    pool = some_pool()
    session, asked = begun(pool), []
    for gold in ("ham", None, "spam"):
        asked.append(session.row)
        session.answer(session.row, gold)
    session.skip(session.row)
    state = session.progress(), session.gold
    again = begun(pool)
    assert (again.gold, again.last_row) == (state[1], asked[-1])
    assert again.progress() == state[0]._replace(n_skipped=0)
    assert again.row not in asked
    assert state[0][:3] == (2, 1, 1)


def test_undo_goes_back_step_by_step_and_into_earlier_runs(begun):
    pool = some_pool()
    session = begun(pool)
    rows = []
    for gold in ("ham", "spam"):
        rows.append(session.row)
        session.answer(session.row, gold, gold)
    session = begun(pool)
    rows.append(session.row)
    session.skip(session.row)
    assert session.row not in rows
    assert session.undo().note == ""
    assert session.row == rows[2]
    assert session.progress().n_skipped == 0
    assert session.undo().note == "spam"
    assert session.row == rows[1]
    session.answer(session.row, "ham")
    assert session.undo() and session.undo()
    assert session.row == rows[0]
    assert session.undo() is None
    assert session.progress().n_answered == 0


def test_skipped_texts_come_last(begun):
    session = begun(some_pool(5), n_random=2)
    first = session.row
    session.skip(first)
    for _ in range(4):
        assert session.row != first
        session.answer(session.row, "ham")
    assert session.row == first
    session.answer(first, "spam")
    assert session.row is None
    assert session.part == ""


def test_answers_to_other_texts_stay_and_do_not_count(begun):
    session = begun(some_pool(seed=1))
    session.answer(session.row, "ham")
    other = begun(some_pool(seed=2))
    assert other.progress().n_answered == 0
    assert other.undo() is None
    assert len(other.answers) == 1


def test_the_accuracy_is_that_of_the_random_sample(begun):
    pool = some_pool(300)
    session = begun(pool, n_random=100)
    truth = np.random.default_rng(5).integers(2, size=300)
    for _ in range(200):
        row = session.row
        gold = None if row == 7 else CLASSES[truth[row]]
        session.answer(row, gold)
    results = session.results()
    rows = np.array([row for row in range(100) if row != 7])
    for name in pool.judges:
        right = (pool.said(name)[rows] == truth[rows]).sum()
        assert (results.accuracy[name].n_texts, results.accuracy[name].n_right) == (
            99,
            right,
        )
        for k, label in enumerate(CLASSES):
            own = rows[truth[rows] == k]
            found = results.by_class[label][name]
            assert found.n_texts == len(own)
            assert found.n_right == (pool.said(name)[own] == k).sum()
    assert results.n_undecided == 1
    answered = [row for row, gold in session.gold.items() if gold is not None]
    for k in range(2):
        for j in range(2):
            n = sum(truth[r] == k and pool.said(TEACHER)[r] == j for r in answered)
            assert results.confusion[TEACHER][k, j] == n
    pair = results.confused[STUDENT][0]
    k, j = CLASSES.index(pair.gold), CLASSES.index(pair.said)
    assert pair.n_texts == results.confusion[STUDENT][k, j]
    assert all(text in pool.texts for text in pair.examples)
    student, teacher = (
        pool.said(name)[rows] == truth[rows] for name in (STUDENT, TEACHER)
    )
    found = results.comparison
    assert found.n_texts == 99
    assert found.n_student_only == (student & ~teacher).sum()
    assert found.n_teacher_only == (teacher & ~student).sum()
    assert "Accuracy on the random sample" in str(results)


def test_the_comparison_says_who_is_right_more_often():
    assert "The teacher is right more often" in str(Comparison(50, 1, 9, 0.02))
    assert "No difference" in str(Comparison(50, 4, 5, 1.0))
    views = {
        STUDENT: one_sided([0] * 12, 0.9),
        TEACHER: np.vstack([one_sided([1] * 10, 0.9), np.full((2, 2), np.nan)]),
    }
    texts = [str(i) for i in range(12)]
    pool = ReviewPool(texts, texts, CLASSES, views, np.zeros(12, dtype=bool))
    results = results_of(pool, dict.fromkeys(range(12), "ham"), list(range(12)))
    assert results.accuracy[STUDENT].n_texts == 12
    assert results.accuracy[TEACHER].n_texts == 10
    assert results.comparison == Comparison(10, 10, 0, pytest.approx(2 * 0.5**10))


def test_without_answers_nothing_is_known(begun):
    results = begun(some_pool()).results()
    assert results.accuracy[STUDENT].n_texts == 0
    assert results.comparison == Comparison(0, 0, 0, 1.0)
    assert "cannot be compared yet" in str(results)
