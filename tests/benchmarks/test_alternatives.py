"""The benchmark against alternatives: its methods, its cells and its tables."""

import json

import numpy as np
import pytest
from benchmarks.alternatives_methods import Task
from benchmarks.data import Pool

from benchmarks import alternatives, alternatives_methods, alternatives_report

WORDS = {"rain": "cloud storm wind", "sport": "goal match team"}
ON_EMBEDDINGS = ["class names", "regression, hard", "regression, soft"]


def some_rows(n, split):
    """Return texts of two topics, every fifth with a wrong answer of the teacher."""
    names = sorted(WORDS)
    rows = []
    for i in range(n):
        words = np.random.RandomState(i).permutation(WORDS[names[i % 2]].split())
        said = names[(i + (i % 5 == 0)) % 2]
        row = {"text": f"{' '.join(words)} {split} {i}", "label": names[i % 2]}
        rows.append(row | {"llm_label": said, "llm_confidence": 0.8, "split": split})
    return rows


@pytest.fixture
def folder(tmp_path):
    """Return a data set that a teacher labelled, but for its test split."""
    path = tmp_path / "data" / "weather"
    path.mkdir(parents=True)
    rows = {split: some_rows(40, split) for split in ("train", "test")}
    for split, found in rows.items():
        lines = [json.dumps(row) for row in found]
        (path / f"{split}.jsonl").write_text("\n".join(lines))
    (path / "llm.jsonl").write_text("\n".join(map(json.dumps, rows["train"])))
    return path


def counted(texts):
    """Return rows of length 1 that count the words of each topic."""
    known = [[name, *words.split()] for name, words in sorted(WORDS.items())]
    rows = [[len({*t.split()} & {*words}) + 0.01 for words in known] for t in texts]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def task(tmp_path):
    rows = some_rows(40, "train")
    gold = np.array([row["label"] for row in rows])
    chosen = np.array([row["llm_label"] for row in rows])[:, None]
    proba = np.where(chosen == np.array(sorted(WORDS)), 0.8, 0.2)
    pool = Pool([row["text"] for row in rows], gold, proba, sorted(WORDS))
    texts = [row["text"] for row in some_rows(20, "test")]
    names, none = sorted(WORDS), {"sentence-transformers": 0.0, "skllkd": 0.0}
    return Task(pool, names, names, texts, 0, str(tmp_path), "cpu", counted, none)


def test_soft_labels_that_are_sure_are_hard_ones(task):
    sure = task.pool._replace(teacher_proba=np.eye(2)[task.gold])
    task.pool = sure
    soft = alternatives_methods.regression_soft(task).labels
    gold = alternatives_methods.regression_gold(task).labels
    np.testing.assert_array_equal(soft, gold)
    assert list(gold) == [row["label"] for row in some_rows(20, "test")]


def test_every_method_counts_the_time_of_encoding(task):
    task.encoding_s = {"sentence-transformers": 10.0, "skllkd": 0.0}
    found = alternatives_methods.regression_hard(task)
    assert 0 < found.training_s - 400 < 10 and 0 < found.predicting_s - 200 < 10


def test_the_time_of_encoding_is_the_best_of_three_per_text():
    asked, ticks = [], iter([0, 9, 9, 13, 13, 19])
    texts = ["a", "b", "c", "d"]
    found = alternatives_methods.seconds_per_text(asked.append, texts, ticks.__next__)
    assert found == 1.0 and asked == [["a"], texts, texts, texts]


def test_class_names_are_compared_with_the_texts(task):
    found = alternatives_methods.class_names(task)
    assert list(found.labels) == [row["label"] for row in some_rows(20, "test")]


def test_a_class_the_teacher_never_chose_is_no_gap_for_cleanlab(task):
    pytest.importorskip("cleanlab")
    proba = np.insert(task.pool.teacher_proba, 1, 0.0, axis=1)
    names = ["rain", "snow", "sport"]
    task.pool = task.pool._replace(teacher_proba=proba, classes=names)
    found = alternatives_methods.cleanlab(task).labels
    assert set(found) == {"rain", "sport"}


def run(folder, output, monkeypatch, *only):
    monkeypatch.setattr(alternatives, "SETS", [folder.name])
    none = {"sentence-transformers": 0.0, "skllkd": 0.0}
    monkeypatch.setattr(alternatives, "embedding", lambda device: counted)
    monkeypatch.setattr(alternatives, "encoding_seconds", lambda *_: none)
    monkeypatch.setattr(alternatives, "minilm_path", lambda: folder)
    given = [
        "--student",
        "frozen",
        "--data",
        str(folder.parent),
        "--output",
        str(output),
    ]
    given += ["--sets", folder.name, "--seeds", "2", "--only", *only]
    alternatives.main(given)
    return json.loads(output.read_text(encoding="utf-8"))["cells"]


def test_a_run_is_resumed_and_its_pools_are_the_same_for_all(
    folder, tmp_path, monkeypatch
):
    output = tmp_path / "cells.json"
    first = run(folder, output, monkeypatch, "teacher", "regression, hard")
    teacher = first["frozen/weather/teacher/0"]
    assert teacher["scored_on"] == "pool" and teacher["accuracy"] == 0.8
    every = run(folder, output, monkeypatch, "teacher", *ON_EMBEDDINGS)
    assert {key: every[key] for key in first} == first  # timings too: they were not run
    assert len(every) == 2 * 4
    assert every["frozen/weather/regression, hard/1"]["accuracy"] > 0.9


def test_the_teacher_is_scored_on_the_texts_predicted_where_it_labelled_them(folder):
    rows = some_rows(40, "train") + some_rows(10, "test")
    (folder / "llm.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pool = Pool([], np.array([]), np.zeros((0, 2)), sorted(WORDS))
    texts = [row["text"] for row in rows]
    cell = alternatives.teacher_cell(folder, pool, texts)
    assert cell["scored_on"] == "test" and cell["n"] == 10


def cells_of(f1):
    """Return cells of one set by method, of two seeds each."""
    same = {"accuracy": 0.5, "training_s": 1.0, "texts_per_s": 10.0, "megabytes": 90.0}
    return {
        f"frozen/weather/{method}/{seed}": same
        | {"macro_f1": value, "scored_on": "dev"}
        for method, values in f1.items()
        for seed, value in enumerate(values)
    }


def test_the_table_of_sets_marks_differences_beyond_their_interval(tmp_path):
    path = tmp_path / "cells.json"
    f1 = {"ours": [0.60, 0.62], "class names": [0.50, 0.52], "teacher": [0.7, 0.7]}
    f1 |= {"cleanlab": [0.50, 0.70], "regression, gold": [0.80, 0.82]}
    path.write_text(json.dumps({"cells": cells_of(f1)}))
    found = alternatives_report.read(path)
    table = alternatives_report.per_set_table(found, "frozen")
    assert "class names alone, by cosine | 0.510 ▲ |" in table
    assert "`CleanLearning` | 0.600 |" in table
    assert "gold labels* | 0.810 ▼ |" in table


def found_in(tmp_path, f1):
    """Return the cells of a file as the report reads them."""
    path = tmp_path / "cells.json"
    path.write_text(json.dumps({"cells": cells_of(f1)}))
    return alternatives_report.read(path)


def test_a_method_is_compared_on_the_seeds_it_has(tmp_path):
    found = found_in(tmp_path, {"ours": [0.6, 0.6, 0.9], "cleanlab": [0.5, 0.4]})
    differences = alternatives_report.paired(found, "cleanlab")["weather"]
    np.testing.assert_allclose(differences, [0.1, 0.2])
    assert alternatives_report.extent(found, "cleanlab") == "1, 2"


def test_seeds_without_ours_are_left_out(tmp_path):
    found = found_in(tmp_path, {"ours": [0.6, 0.6], "cleanlab": [0.5, 0.4, 0.1]})
    assert alternatives_report.mean(found, "cleanlab") == "0.450"


def test_a_method_that_lacks_a_set_has_a_difference_and_no_mean(tmp_path):
    cells = cells_of({"ours": [0.6], "cleanlab": [0.5], "class names": [0.4]})
    for n, other in enumerate(("snow", "sun")):
        more = {"ours": [0.7], "class names": [0.4]} | (
            {} if n else {"cleanlab": [0.6]}
        )
        moved = cells_of(more).items()
        cells |= {key.replace("weather", other): cell for key, cell in moved}
    path = tmp_path / "cells.json"
    path.write_text(json.dumps({"cells": cells}))
    table = alternatives_report.summary_table(alternatives_report.read(path), "frozen")
    assert "by cosine | 3, 1 | 0.400 |" in table
    assert "`CleanLearning` | 2, 1 |  |  | **+0.100 ± 0.000** |  |" in table


@pytest.mark.parametrize(
    ("differences", "sign"),
    [([0.1, 0.11], 1), ([-0.1, -0.11], -1), ([0.0, 0.2], 0), ([0.3], 0)],
)
def test_a_verdict_needs_two_seeds_and_a_difference_beyond_their_interval(
    differences, sign
):
    assert alternatives_report.verdict(np.array(differences)) == sign


def test_setfit_gets_the_surest_answers_of_each_class():
    proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.8, 0.2], [0.2, 0.8]])
    chosen = alternatives_methods.surest(proba, 2)
    assert list(chosen) == [0, 3, 2, 4]
