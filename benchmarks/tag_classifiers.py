"""One classifier of all tags against a classifier for each tag, with the same labels.

    SKLLKD_DATA=folder python -m benchmarks.tag_classifiers [--sets joined packages]

`joined`: texts of one or two parts that large language models labelled, so that the labels
are theirs (`benchmarks.tag_sets`). `packages`: descriptions of packages of Debian, with
several tags by nature, and the class names as the teacher. 600 texts, a frozen MiniLM,
500 others to judge, five pools; differences with 95 % intervals. Resumable.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, f1_score
from skllkd import LLKDClassifier, Multilabel
from skllkd.datasets import minilm_path
from skllkd.exceptions import SkllkdWarning
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import EmbeddingTeacher, PrecomputedTeacher
from skllkd.training.thresholds import best_thresholds

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option
from benchmarks.tables import difference, interval, markdown_table
from benchmarks.tag_sets import TagPool, joined_pool, package_pool

N_TEXTS, N_HELD_OUT, SEEDS = 600, 500, range(5)
SCORES = ("micro_f1", "macro_f1", "ap")
METHODS = ("teacher", "one of all tags", "one for each tag", "one of gold labels")


def scores(gold: np.ndarray, said: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    """Return micro-F1, macro-F1 and average precision, the mean over tags that occur."""
    occurs = gold.any(axis=0)
    return {
        "micro_f1": float(f1_score(gold, said, average="micro", zero_division=0)),
        "macro_f1": float(f1_score(gold, said, average="macro", zero_division=0)),
        "ap": float(average_precision_score(gold[:, occurs], proba[:, occurs])),
    }


def with_labels(pool: TagPool) -> TagPool:
    """Return a pool with the labels of class names, if no language model labelled it."""
    if pool.teacher_proba is not None:
        return pool
    names = EmbeddingTeacher(minilm_path(), device="cpu", cache="disk")
    labels = names.label(pool.texts, Multilabel(pool.tags))
    return pool._replace(teacher_proba=labels.proba)


def fitted(texts: list[str], classes: Any, teacher: Any, y: Any = None) -> Any:
    """Return a fitted classifier."""
    classifier = LLKDClassifier(
        teacher,
        classes,
        student=FrozenEncoderStudent(minilm_path(), device="cpu", cache="disk"),
        n_epochs=10,
        on_missing_class="warn",
        random_state=0,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        return classifier.fit(texts, y)


def of_all(pool: TagPool, test: TagPool, *, gold: bool = False) -> tuple[Any, Any]:
    """Return labels and probabilities of one classifier of all tags."""
    teacher = PrecomputedTeacher(pool.texts, pool.teacher_proba, calibration=None)
    given = (None, pool.gold) if gold else (teacher, None)
    clf = fitted(pool.texts, Multilabel(pool.tags), *given)
    order = [clf.classes_.tolist().index(tag) for tag in pool.tags]
    return clf.predict(test.texts)[:, order], clf.predict_proba(test.texts)[:, order]


def of_each(pool: TagPool, test: TagPool) -> tuple[Any, Any]:
    """Return labels and probabilities of a classifier for each tag."""
    proba = np.zeros(test.gold.shape)
    for k, tag in enumerate(pool.tags):
        yes = pool.teacher_proba[:, k]
        given = np.column_stack([1 - yes, yes])
        teacher = PrecomputedTeacher(pool.texts, given, calibration=None)
        clf = fitted(pool.texts, {"other": "", tag: ""}, teacher)
        column = clf.classes_.tolist().index(tag)
        proba[:, k] = clf.predict_proba(test.texts)[:, column]
    return proba >= 0.5, proba


def one_cell(method: str, pool: TagPool, test: TagPool) -> dict[str, float]:
    """Return the scores of a method, and the seconds of process time it took."""
    start = time.process_time()
    if method == "teacher":
        proba = pool.teacher_proba
        said = proba >= best_thresholds(proba, proba)
        return scores(pool.gold, said, proba)
    if method == "one for each tag":
        said, proba = of_each(pool, test)
    else:
        said, proba = of_all(pool, test, gold=method == "one of gold labels")
    seconds = time.process_time() - start
    return scores(test.gold, said, proba) | {"seconds": round(seconds, 1)}


def pools(name: str, folder: Path, seed: int) -> tuple[TagPool, TagPool]:
    """Return the texts to learn from, with labels, and others to judge."""
    sizes = (N_TEXTS, N_HELD_OUT)
    if name == "packages":
        pair = [package_pool(n, seed, half=h) for h, n in enumerate(sizes)]
    else:
        pair = [joined_pool(folder, n, seed, half=h) for h, n in enumerate(sizes)]
    return with_labels(pair[0]), pair[1]


def show(cells: Cells, name: str) -> None:
    """Print the means of the methods, and how one classifier differs from several."""

    def of(method: str, score: str) -> np.ndarray:
        return np.array([cells[f"{name}/{method}/{seed}"][score] for seed in SEEDS])

    rows = [
        [method, *(f"{interval(of(method, score))[0]:.3f}" for score in SCORES)]
        for method in METHODS
    ]
    print(markdown_table([name, *SCORES], rows))
    for score in SCORES:
        gain = of("one of all tags", score) - of("one for each tag", score)
        print(f"{score}: one of all against one for each: {difference(gain)}")


def main() -> None:
    """Run the cells that are missing, and print the tables."""
    parser = benchmark_parser(__doc__, "tag_classifiers")
    add_data_option(parser)
    parser.add_argument("--sets", nargs="*", default=["joined", "packages"])
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    options = parser.parse_args()
    head = about("tag_classifiers", "scikit-learn", "torch", n_texts=N_TEXTS)
    with Cells(options.output, head) as cells:
        for name in options.sets:
            for seed in options.seeds:
                keys = [f"{name}/{method}/{seed}" for method in METHODS]
                if all(key in cells for key in keys):
                    continue
                pair = pools(name, options.data, seed)
                for key, method in zip(keys, METHODS, strict=True):
                    cells.run(key, one_cell, method, *pair)
                cells.write()
            if all(f"{name}/{METHODS[-1]}/{seed}" in cells for seed in SEEDS):
                show(cells, name)


if __name__ == "__main__":
    main()
