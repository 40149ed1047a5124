"""A review where a text may have none, one or several classes."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.review.answers import Answer, AnswerFile
from skllkd.serving.review.order import DISAGREEMENT, ISSUE, RANDOM, REST, asking_order
from skllkd.serving.review.pool import LABELS, STUDENT, TEACHER
from skllkd.serving.review.results import results_of
from skllkd.serving.review.session import ReviewSession
from skllkd.serving.review.tag_results import TagScores

from tests.serving.review.reviewed import TAGS, THRESHOLDS, some_tag_pool


def told(pool, judge, rows):
    """Return the labels of a judge as answers."""
    return {row: pool.view(judge, row) for row in rows}


# ---- the views of the judges, and the order


def test_the_student_has_its_thresholds_and_the_others_one_half():
    pool = some_tag_pool()
    np.testing.assert_array_equal(pool.said(STUDENT), pool.proba[STUDENT] >= THRESHOLDS)
    np.testing.assert_array_equal(pool.said(LABELS), pool.proba[LABELS] >= 0.5)
    assert (pool.said(TEACHER)[-2:] < 0).all()
    assert pool.view(TEACHER, 39) is None
    row = int(pool.said(STUDENT).sum(axis=1).argmax())
    wanted = tuple(t for t, h in zip(TAGS, pool.said(STUDENT)[row], strict=True) if h)
    assert pool.view(STUDENT, row) == wanted
    assert len(wanted) > 1
    assert pool.words(wanted) == ", ".join(wanted)
    assert pool.words(()) == "none of them"
    assert (pool.sureness(TEACHER)[-2:] == 0).all()
    least = np.maximum(pool.proba[LABELS], 1 - pool.proba[LABELS]).min(axis=1)
    np.testing.assert_allclose(pool.sureness(LABELS), least)


def test_texts_with_a_tag_in_dispute_come_before_the_rest():
    pool = some_tag_pool(300)
    parts = asking_order(pool, 20)
    assert sorted(row for part in parts for row in part.rows) == list(range(300))
    names = [RANDOM, DISAGREEMENT, ISSUE, DISAGREEMENT, REST]
    assert [part.name for part in parts] == names
    differs = [
        len({pool.view(name, row) for name in pool.proba} - {None}) > 1
        for row in range(300)
    ]
    assert not any(differs[row] for row in parts[4].rows)
    assert all(differs[row] for part in parts[1:4] for row in part.rows)
    issues = parts[2].rows
    assert issues
    student, teacher = pool.proba[STUDENT][issues], pool.proba[TEACHER][issues]
    against = ((student >= 0.8) & (teacher <= 0.2)) | (
        (student <= 0.2) & (teacher >= 0.8)
    )
    assert against.any(axis=1).all()
    doubt = pool.sureness(LABELS)[parts[1].rows]
    assert (np.diff(doubt) >= 0).all()


# ---- answers


def test_answers_are_lists_in_the_file_and_none_is_one(tmp_path):
    path, pool = tmp_path / "review.csv", some_tag_pool()
    given = [("urgent", "billing"), (), None, ("legal",)]
    with AnswerFile(path, TAGS, multilabel=True) as answers:
        session = ReviewSession(pool, answers, 10)
        for gold in given:
            session.answer(session.row, gold)
        assert session.progress().n_unsure == 1
    lines = path.read_text(encoding="utf-8").splitlines()
    assert '"[""billing"", ""urgent""]"' in lines[1]
    assert '"[]"' in lines[2]
    with AnswerFile(path, TAGS, multilabel=True) as answers:
        golds = [answer.gold for answer in answers]
        assert golds == [("billing", "urgent"), (), None, ("legal",)]
        session = ReviewSession(pool, answers, 10)
        assert session.undo().gold == ("legal",)
        with pytest.raises(
            InvalidParameterError, match="'spam' is none of the classes"
        ):
            session.answer(session.row, ("legal", "spam"))
        assert len(answers) == 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("legal", "JSON list"),
        ('{"legal": 1}', "JSON list"),
        ('["legal", "spam"]', "'spam' in answer 1"),
        ("[1]", "class 1 in answer 1"),
        ("[[]]", "none of"),
        ("[" * 100_000, "JSON list"),
    ],
)
def test_a_cell_that_is_no_list_of_tags_is_named(tmp_path, cell, message):
    path = tmp_path / "review.csv"
    with AnswerFile(path, ["legal", "legal too"]) as file:
        file.append(Answer("a text", "legal", "", "", ""))
    content = path.read_text().replace('"legal"', json.dumps(cell).replace('\\"', '""'))
    path.write_text(content)
    with pytest.raises(InvalidParameterError, match=message):
        AnswerFile(path, ["legal", "legal too"], multilabel=True)


# ---- results


def test_scores_are_those_of_scikit_learn_on_the_random_sample():
    pool = some_tag_pool(60)
    sample = list(range(30))
    gold = told(pool, LABELS, range(40)) | {3: None}
    found = results_of(pool, gold, sample)
    rows = [row for row in sample if row != 3]
    wanted, said = pool.said(LABELS)[rows], pool.said(STUDENT)[rows]
    scores = found.tags[STUDENT]
    assert scores.micro_f1 == pytest.approx(f1_score(wanted, said, average="micro"))
    assert scores.macro_f1 == pytest.approx(f1_score(wanted, said, average="macro"))
    for interval, score in (
        (scores.micro_interval, scores.micro_f1),
        (scores.macro_interval, scores.macro_f1),
    ):
        assert interval[0] < score < interval[1]
    assert found.tags[LABELS].micro_f1 == 1
    assert found.accuracy[STUDENT].share == (wanted == said).all(axis=1).mean()
    for k, name in enumerate(TAGS):
        right = (wanted[:, k] == said[:, k]).mean()
        assert found.by_class[name][STUDENT].share == pytest.approx(right)
    assert found.n_undecided == 1
    assert found.confusion == {}
    assert found.comparison.n_texts == 29
    errors = {(p.gold, p.said): p.n_texts for p in found.confused[STUDENT]}
    every = [row for row in gold if row != 3]
    wanted, said = pool.said(LABELS)[every], pool.said(STUDENT)[every]
    for k, name in enumerate(TAGS):
        missed = int((wanted[:, k] > said[:, k]).sum())
        assert errors.get((name, f"not {name}"), 0) == missed
    assert list(errors.values()) == sorted(errors.values(), reverse=True)
    assert "all classes of a text right" in str(found)


def test_texts_without_an_answer_of_the_teacher_do_not_judge_it():
    pool = some_tag_pool()
    found = results_of(pool, told(pool, LABELS, range(30, 40)), list(range(40)))
    assert found.accuracy[STUDENT].n_texts == 10
    assert found.accuracy[TEACHER].n_texts == 8
    assert found.comparison.n_texts == 8
    nothing = results_of(pool, {}, list(range(40)))
    assert nothing.tags[STUDENT] == TagScores()
    assert nothing.accuracy[STUDENT].n_texts == 0
    assert "no answer yet" in str(nothing)


# ---- the interface


class Student:
    def predict_proba(self, X):
        return np.tile([0.9, 0.4, 0.25], (len(X), 1))


@pytest.fixture
def session(tmp_path):
    with AnswerFile(tmp_path / "review.csv", TAGS, multilabel=True) as answers:
        yield ReviewSession(some_tag_pool(), answers, n_random=10)


@pytest.fixture
def client(session):
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient
    from skllkd.serving.review.app import Reviewed, make_review_app

    app = make_review_app(
        session, Reviewed("model", Student(), 0.65, "again"), "secret"
    )
    with TestClient(app, base_url="http://127.0.0.1:1234/secret/") as client:
        yield client


def test_a_list_of_places_is_an_answer(client, session):
    state, row = client.get("state").json(), session.row
    assert state["multilabel"]
    key = state["asked"]["key"]
    after = client.post("answer", json={"key": key, "gold": [2, 0, 2]}).json()
    assert session.gold[row] == ("billing", "urgent")
    assert after["last"]["gold"] == "billing, urgent"
    views = {judge: view["name"] for judge, view in after["last"]["said"].items()}
    assert views[STUDENT] == session.pool.words(session.pool.view(STUDENT, row))
    key = after["asked"]["key"]
    after = client.post("answer", json={"key": key, "gold": []}).json()
    assert after["last"]["gold"] == "none of them"
    results = client.get("results").json()
    assert results["tags"][STUDENT]["micro_interval"]
    assert results["confusion"] == {}
    assert [row["name"] for row in results["by_class"]] == TAGS
    trial = client.post("try", json={"text": "a text"}).json()
    # .25 is nearest to its threshold, .3, which counts as one half; .4 is .6 for no.
    assert trial["confidence"] == pytest.approx(1 - 0.25 / 0.6)
    assert trial["proba"][0] == {"name": "billing", "p": 0.9}


@pytest.mark.parametrize("gold", [0, [3], [-1], ["legal"], [[0]], "0", {}])
def test_an_answer_of_another_form_is_refused(client, session, gold):
    key = client.get("state").json()["asked"]["key"]
    assert client.post("answer", json={"key": key, "gold": gold}).status_code == 422
    assert len(session.answers) == 0
