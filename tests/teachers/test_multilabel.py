"""Several classes a text: answers of all kinds, calibration, tables and comparison."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from skllkd import LLKDClassifier, Multilabel
from skllkd._core.classes import as_classes
from skllkd._core.log_odds import log_complement, log_odds, log_prob_of_odds
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TeacherOutputError,
)
from skllkd.teachers import (
    BatchCalibration,
    CalibratedTeacher,
    CallableTeacher,
    EnsembleTeacher,
    LabelStore,
    PrecomputedTeacher,
    SklearnTeacher,
    Teacher,
    TeacherLabels,
)
from skllkd.teachers.calibration import tag_bias
from skllkd.teachers.labels import label_columns
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.tag_outputs import tags_in_cell

TAGS = Multilabel(["billing", "urgent", "legal"])
CLASSES = as_classes(TAGS)
TEXTS = ["an invoice now", "the law", "hello"]
HAS = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
LISTS = [["billing", "urgent"], ["legal"], []]


def proba(output, n=3, classes=CLASSES):
    return np.exp(log_prob_of_output(output, n, classes))


def test_a_teacher_of_one_class_a_text_refuses_several():
    class Old(Teacher):
        pass

    for ask in (Old().label, Old().plan):
        with pytest.raises(InvalidParameterError, match=r"Multilabel\(\['billing'"):
            ask(["a text"], TAGS)


def test_the_classifier_takes_no_single_names_for_several_classes_a_text():
    with pytest.raises(InvalidParameterError, match="Put a single name in a list"):
        LLKDClassifier(classes=TAGS).fit(["a", "b"], ["billing", "urgent"])


def test_log_odds_are_exact_at_both_ends():
    odds = np.array([-700.0, -40.0, -1e-3, 0.0, 2.0, 40.0, 700.0])
    np.testing.assert_allclose(log_odds(log_prob_of_odds(odds)), odds, rtol=1e-12)
    np.testing.assert_array_equal(log_odds(np.array([0.0, -np.inf])), [np.inf, -np.inf])
    np.testing.assert_allclose(np.exp(log_complement(np.log([0.2, 0.9]))), [0.8, 0.1])


# ---- answers


@pytest.mark.parametrize(
    "output",
    [
        LISTS,
        [set(names) for names in LISTS],
        tuple(tuple(names) for names in LISTS),
        [np.array(names, dtype=object) for names in LISTS],
        [[{"label": name, "score": 1.0} for name in names] for names in LISTS],
        [dict.fromkeys(names, True) for names in LISTS],
        HAS,
        HAS.astype(bool),
        HAS.tolist(),
        HAS.astype(float).tolist(),
        csr_matrix(HAS),
        pd.DataFrame(HAS, columns=["billing", "urgent", "legal"])[
            ["legal", "billing", "urgent"]
        ],
        {f"proba_{name}": HAS[:, k] for k, name in enumerate(CLASSES.names)},
        pd.DataFrame({"label": LISTS}),
        pd.Series(LISTS),
    ],
    ids=lambda output: type(output).__name__,
)
def test_answers_of_every_kind(output):
    np.testing.assert_allclose(proba(output), HAS)


def test_probabilities_need_not_sum_to_one():
    given = np.array([[0.9, 0.8, 0.1], [0.2, 0.2, 0.2]])
    np.testing.assert_allclose(proba(given, 2), given)
    scored = [{"billing": 0.9, "urgent": 0.8}, [{"label": "legal", "score": 0.3}]]
    np.testing.assert_allclose(proba(scored, 2), [[0.9, 0.8, 0], [0, 0, 0.3]])


def test_no_answer_is_not_an_empty_one():
    found = proba([None, [], float("nan"), ["legal"]], 4)
    assert np.isnan(found).all(axis=1).tolist() == [True, False, True, False]
    assert (found[1] == 0).all()
    rows = np.array([[np.nan] * 3, [0.0, 1.0, 0.5]])
    assert np.isnan(proba(rows, 2)[0]).all()


def test_integers_are_names_in_lists_and_a_matrix_in_arrays():
    numbers = as_classes(Multilabel([0, 1]))
    np.testing.assert_allclose(proba([[0, 1], [1]], 2, numbers), [[1, 1], [0, 1]])
    matrix = np.array([[0, 1], [1, 0]])
    np.testing.assert_allclose(proba(matrix, 2, numbers), matrix)
    np.testing.assert_allclose(proba([[0.0, 1.0]], 1, numbers), [[0, 1]])


@pytest.mark.parametrize(
    ("output", "match"),
    [
        ([["billing"]], "1 answers for 3 texts"),
        ([["spam"], [], []], "'spam' at row 0"),
        (np.array([[0.5, 1.2, 0]] * 3), "1.2 at row 0"),
        ([[0.5, 0.5]] * 3, "each of the 3 classes"),
        ((names for names in LISTS), "generator"),
        ("billing", "str"),
    ],
)
def test_answers_that_cannot_be_read(output, match):
    with pytest.raises(TeacherOutputError, match=match):
        proba(output)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("billing;urgent", ["billing", "urgent"]),
        ("billing | legal", ["billing", "legal"]),
        ("urgent, legal", ["urgent", "legal"]),
        ('["billing", "urgent"]', ["billing", "urgent"]),
        ("[]", []),
        ("", None),
        (None, None),
        ("urgent", ["urgent"]),
        (np.array(["legal"]), ["legal"]),
        ("spam;urgent", ["spam", "urgent"]),
    ],
)
def test_cells_of_tables(cell, names):
    assert tags_in_cell(cell, CLASSES) == names


def test_a_json_list_holds_any_names():
    odd = as_classes(Multilabel(["a;b", "c", "[d]", "é, f"]))
    for has in range(16):
        names = [name for k, name in enumerate(odd.names) if has >> k & 1]
        assert tags_in_cell(json.dumps(names), odd) == names
    numbers = as_classes(Multilabel([1, 2, 3]))
    assert tags_in_cell("1;3", numbers) == tags_in_cell("[1, 3]", numbers) == [1, 3]


# ---- teachers


def test_a_function_and_its_labels():
    teacher = CallableTeacher(lambda texts: [LISTS[TEXTS.index(t)] for t in texts])
    with pytest.warns(MissingLabelWarning, match="1 of 4"):
        labels = teacher.label([*TEXTS, " "], TAGS)
    np.testing.assert_array_equal(labels.proba[:3], HAS)
    assert labels.multilabel
    assert labels.missing.tolist() == [False] * 3 + [True]
    assert pickle.loads(pickle.dumps(labels)).multilabel


def test_one_class_and_several_are_stored_apart(tmp_path):
    def first(texts):
        return [["billing"]] * len(texts)

    store = tmp_path / "labels.sqlite"
    for key in ("mine", None):
        teacher = CallableTeacher(first, cache_key=key, store=store)
        one = teacher.label(["x"], ["billing", "urgent"])
        tags = teacher.label(["x"], Multilabel(["billing", "urgent"]))
        assert (one.n_asked, tags.n_asked) == (1, 1)
        assert tags.log_prob.tolist() == [[0.0, -np.inf]]
        assert teacher.label(["x"], Multilabel(["billing", "urgent"])).n_asked == 0
    with LabelStore(store) as opened:
        kinds = [
            entry.description.get("multilabel", False) for entry in opened.contents()
        ]
    assert sorted(kinds) == [False, True]


@pytest.mark.parametrize(
    "answers",
    [
        LISTS,
        HAS,
        {"legal": HAS[:, 2], "billing": HAS[:, 0], "urgent": HAS[:, 1]},
        ["billing;urgent", "legal", "[]"],
    ],
    ids=["lists", "matrix", "columns", "cells"],
)
def test_answers_that_are_there_already(answers):
    teacher = PrecomputedTeacher(TEXTS, answers)
    np.testing.assert_array_equal(teacher.label(TEXTS, TAGS).proba, HAS)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "frame"])
def test_tables_hold_lists_or_a_column_for_each_class(kind, tmp_path):
    lists = pd.DataFrame({"text": TEXTS, "label": LISTS})
    columns = pd.DataFrame({"text": TEXTS, "n": ["a", "b", "c"]})
    columns[["billing", "urgent", "legal"]] = HAS
    for table in (lists, columns):
        path = table
        if kind == "parquet":
            table.to_parquet(path := tmp_path / "t.parquet")
        elif kind == "jsonl":
            table.to_json(path := tmp_path / "t.jsonl", orient="records", lines=True)
        elif kind == "csv":
            if "label" in table:
                table = table.assign(label=table["label"].map(json.dumps))
            table.to_csv(path := tmp_path / "t.csv", index=False)
        teacher = PrecomputedTeacher.from_table(path)
        np.testing.assert_array_equal(teacher.label(TEXTS, TAGS).proba, HAS)


def test_written_labels_are_read_again(tmp_path):
    given = [[0.9, 0.6, 0.1], [0.2, 0.3, 0.4], [0.5, 0.0, 1.0]]
    labels = PrecomputedTeacher(TEXTS, given).label(TEXTS, TAGS)
    assert label_columns(labels)["label"].tolist() == [
        ["billing", "urgent"],
        [],
        ["billing", "legal"],
    ]
    labels.to_parquet(tmp_path / "labels.parquet", TEXTS)
    again = PrecomputedTeacher.from_table(tmp_path / "labels.parquet")
    np.testing.assert_allclose(again.label(TEXTS, TAGS).proba, given)


@pytest.mark.parametrize("wrap", [OneVsRestClassifier, MultiOutputClassifier])
def test_multilabel_classifiers_teach(wrap):
    texts, has = TEXTS * 4, np.tile(HAS, (4, 1))
    model = make_pipeline(TfidfVectorizer(), wrap(LogisticRegression(C=100)))
    model.fit(texts, has)
    labels = SklearnTeacher(model).label(TEXTS, TAGS)
    np.testing.assert_array_equal(labels.proba > 0.5, HAS)
    with pytest.raises(InvalidParameterError, match="fitted on"):
        SklearnTeacher(model).label(TEXTS, Multilabel(["billing", "urgent"]))


def test_an_ensemble_averages_log_odds():
    a, b = np.array([0.9, 0.2, 0.5]), np.array([0.6, 0.1, 0.5])
    members = [lambda t, p=p: np.tile(p, (len(t), 1)) for p in (a, b)]
    ensemble = EnsembleTeacher(members, weights=[3, 1], calibration=None)
    odds = 0.75 * np.log(a / (1 - a)) + 0.25 * np.log(b / (1 - b))
    np.testing.assert_allclose(
        ensemble.label(["x"], TAGS).proba, [1 / (1 + np.exp(-odds))]
    )


def test_examples_are_proposed_with_all_their_classes():
    given = [[0.9, 0.8, 0.1], [0.1, 0.1, 0.9], [0.1, 0.1, 0.2]]
    texts = ["an invoice !!", "some law suit", "hello friends"]
    labels = PrecomputedTeacher(texts, given).label(texts, TAGS)
    assert labels.propose_examples(texts) == [
        ("an invoice !!", ["billing", "urgent"]),
        ("some law suit", ["legal"]),
        ("hello friends", []),
    ]


def test_prompts_are_compared_by_each_class():
    def teach(texts):
        return [
            [0.9 if w in t else 0.1 for w in ("invoice", "now", "law")] for t in texts
        ]

    texts = [
        f"{a} {b} {i}" for a in ("invoice", "law") for b in ("now", "x") for i in "ab"
    ]
    teacher = CallableTeacher(teach, store=False)
    best = teacher.compare({"as it is": {}}, texts, TAGS).best
    assert best.confidence == pytest.approx(0.9)
    assert 0.2 < best.predictability <= 1
    embedded = teacher.compare(
        {"as it is": {}}, texts, TAGS, embed=lambda ts: np.ones((len(ts), 2))
    )
    assert -1 <= embedded.best.class_names <= 1


# ---- calibration


def simulated(n=4000, share=(0.1, 0.5, 0.9), bias=(2.0, -1.0, 0.0), seed=0):
    rng = np.random.RandomState(seed)
    has = rng.rand(n, 3) < share
    odds = np.where(has, 2.0, -2.0) + rng.randn(n, 3) + np.array(bias)
    return has, odds


def test_calibration_finds_the_bias_of_each_class():
    has, odds = simulated()
    log_prob = log_prob_of_odds(odds)

    def error(prior):
        bias = 0 if prior is None else BatchCalibration(prior).class_bias(*given)
        return np.abs((odds - bias > 0).mean(axis=0) - has.mean(axis=0)).mean()

    given = log_prob, CLASSES
    assert error((0.1, 0.5, 0.9)) < 0.05 < error(None)


def test_classes_are_calibrated_by_themselves():
    _, odds = simulated(500)
    log_prob = log_prob_of_odds(odds)
    every = tag_bias(log_prob, np.array([0.2, 0.3, 0.4]), is_estimated=False)
    for k, share in enumerate([0.2, 0.3, 0.4]):
        own = tag_bias(log_prob[:, [k]], np.array([share]), is_estimated=False)
        assert own == pytest.approx(every[k])


def test_the_bias_is_of_log_odds():
    labels = TeacherLabels(
        ("a", "b"),
        np.log([[0.5, 0.9]]),
        np.array([np.nan]),
        class_bias=np.array([0.0, np.log(9)]),
        multilabel=True,
    )
    np.testing.assert_allclose(labels.proba, [[0.5, 0.5]])
    np.testing.assert_allclose(labels.raw_proba, [[0.5, 0.9]])


@pytest.mark.parametrize("prior", [[0.5, 0.5, 1.0], {"billing": 0.5}, [0.5]])
def test_shares_of_classes_are_checked(prior):
    teacher = PrecomputedTeacher(TEXTS, HAS, calibration=BatchCalibration(prior))
    with pytest.raises(InvalidParameterError, match="class_prior"):
        teacher.label(TEXTS, TAGS)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_gold_labels_calibrate_each_class(method):
    has, odds = simulated(600)
    texts = [str(i) for i in range(600)]
    teacher = PrecomputedTeacher(texts, 1 / (1 + np.exp(-odds)))
    names = np.array(CLASSES.names)
    gold = [names[row].tolist() for row in has[:300]]
    for y in (gold, has[:300].astype(int)):
        calibrated = CalibratedTeacher(teacher, texts[:300], y, method=method)
        proba = calibrated.label(texts, TAGS).proba
        gap = np.abs(proba[300:].mean(axis=0) - has[300:].mean(axis=0))
        assert (gap < 0.06).all()
    assert np.abs(1 / (1 + np.exp(-odds)) - has).mean() > np.abs(proba - has).mean()
