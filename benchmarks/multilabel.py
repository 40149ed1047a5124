"""Several classes a text: one model for all tags against one classifier for each.

Texts of none, one or two topics are joined from the training parts of two sets: news of
four topics, one or two a text, and tweets, which have none of them. SmolLM2 is the teacher.
Run as `python -m benchmarks.multilabel --data FOLDER`; with `--teacher encoder` class names
are the teacher. The costs are those of answers that are new.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, f1_score
from skllkd import LLKDClassifier, Multilabel
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import (
    BatchCalibration,
    EmbeddingTeacher,
    LlamaCppTeacher,
    TeacherLabels,
)
from skllkd.training.thresholds import best_thresholds

from benchmarks.cells import RESULTS, about
from benchmarks.data import add_data_option

#: The topics with their descriptions.
TAGS = {
    "World": "politics and conflicts",
    "Sports": "matches, players and teams",
    "Business": "companies, markets and money",
    "Sci/Tech": "science, computers and the internet",
}
#: Shares of texts with no topic, one and two.
_SHARES = (0.2, 0.4, 0.4)
EXAMPLES = [
    (
        "The champion won the final in straight sets. Shares of the sponsor rose by 4 "
        "percent on the news.",
        ["Sports", "Business"],
    ),
    ("i feel so calm after a long walk with the dog", []),
    (
        "Rebels and the government signed a truce on Monday. A new chip doubles the "
        "speed of phones, its makers say.",
        ["World", "Sci/Tech"],
    ),
]
#: The class of the texts that a tag does not apply to.
OTHER = "other"
_N_TEST = 1000
_N_WORDS = 30  # of each part, as titles and first sentences have


def read(folder: Path, name: str) -> list[dict]:
    """Read the training part of a set."""
    with (folder / name / "train.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def joined_texts(
    folder: Path, n: int, seed: int = 0, *, half: int = 0
) -> tuple[list[str], np.ndarray]:
    """Join texts of none, one or two topics; return them with their indicator.

    They are made of every second text: those of the other half are of other texts.
    """
    rng = np.random.RandomState(seed)
    news, tweets = (read(folder, name)[half::2] for name in ("agnews", "emotion"))
    of_topic = {
        tag: [row["text"] for row in news if row["label"] == tag] for tag in TAGS
    }
    other = [row["text"] for row in tweets]
    texts, has = [], np.zeros((n, len(TAGS)), dtype=int)
    for row, n_topics in enumerate(rng.choice(3, size=n, p=_SHARES)):
        topics = rng.choice(len(TAGS), size=n_topics, replace=False)
        has[row, topics] = 1
        pools = [of_topic[list(TAGS)[k]] for k in topics] or [other]
        parts = [pool[rng.randint(len(pool))].split()[:_N_WORDS] for pool in pools]
        texts.append(" ".join(word for part in parts for word in part))
    return texts, has


class Result(NamedTuple):
    """Answers about some texts, and the costs of getting there."""

    name: str
    proba: np.ndarray
    said: np.ndarray
    n_calls: int
    n_tokens: int
    seconds: float

    def scores(self, has: np.ndarray) -> dict[str, float]:
        """Return micro-F1, macro-F1 and average precision."""
        micro, macro = (
            float(f1_score(has, self.said, average=mean, zero_division=0))
            for mean in ("micro", "macro")
        )
        ranking = float(average_precision_score(has, self.proba, average="macro"))
        return {"micro_f1": micro, "macro_f1": macro, "ap": ranking}

    def against(self, has: np.ndarray) -> str:
        """Write the scores and costs in a line."""
        micro, macro, ranking = self.scores(has).values()
        return (
            f"{self.name:30s} micro-F1 {micro:.3f}  macro-F1 {macro:.3f}  AP {ranking:.3f}"
            f"  {self.n_calls:6,d} calls  {self.n_tokens:8,d} tokens  {self.seconds:5.0f} s"
        )


def labelled(name: str, parts: list[TeacherLabels], columns: list[int]) -> Result:
    """Put the labels of one labelling, or of one for each tag, together.

    The thresholds are those of the largest expected F1, as the classifier's.
    """
    proba = np.column_stack(
        [part.proba[:, k] for part, k in zip(parts, columns, strict=True)]
    )
    said = proba >= best_thresholds(proba, proba)
    distinct = {id(part): part.usage for part in parts}.values()
    return Result(
        name,
        proba,
        said,
        sum(usage.n_calls for usage in distinct),
        sum(usage.input_tokens for usage in distinct),
        sum(part.seconds for part in {id(part): part for part in parts}.values()),
    )


def teacher_of(kind: str, tag: str | None = None, **parameters):
    """Return the teacher of all tags at once, or of one tag against the rest."""
    if tag is not None:
        share = {tag: 1 / len(TAGS), OTHER: 1 - 1 / len(TAGS)}
        parameters["calibration"] = BatchCalibration(share)
    if kind == "encoder":
        return EmbeddingTeacher(minilm_path(), **parameters)
    examples: list = EXAMPLES
    if tag is not None:
        examples = [(text, tag if tag in tags else OTHER) for text, tags in EXAMPLES]
    return LlamaCppTeacher(smollm2_path(), examples=examples, **parameters)


def classes_of(tag: str) -> dict[str, str]:
    """Return the classes of one tag against the rest."""
    return {tag: TAGS[tag], OTHER: ""}


def teachers(kind: str, texts: list[str]) -> list[Result]:
    """Label all tags at once, and each by itself."""
    at_once = teacher_of(kind).label(texts, Multilabel(TAGS), verbose=1)
    each = [
        teacher_of(kind, tag).label(texts, classes_of(tag), verbose=1) for tag in TAGS
    ]
    return [
        labelled(
            "teacher, all tags at once", [at_once] * len(TAGS), [*range(len(TAGS))]
        ),
        labelled("teacher, one tag at a time", each, [0] * len(TAGS)),
    ]


def fitted(teacher, classes, texts: list[str]) -> LLKDClassifier:
    """Fit a classifier; the teacher knows the texts."""
    student = FrozenEncoderStudent(minilm_path())
    clf = LLKDClassifier(teacher, classes, student=student, random_state=0, verbose=0)
    return clf.fit(texts)


def classifiers(kind: str, texts: list[str], test: list[str]) -> list[Result]:
    """Fit a classifier of all tags, and one for each; predict the test texts."""
    start = time.perf_counter()
    clf = fitted(teacher_of(kind), Multilabel(TAGS), texts)
    order = [clf.classes_.tolist().index(tag) for tag in TAGS]
    said, proba = clf.predict(test)[:, order], clf.predict_proba(test)[:, order]
    seconds = time.perf_counter() - start
    together = Result("one classifier of all tags", proba, said, 0, 0, seconds)
    start, said, proba = time.perf_counter(), np.zeros_like(said), np.zeros_like(proba)
    for k, tag in enumerate(TAGS):
        clf = fitted(teacher_of(kind, tag), classes_of(tag), texts)
        said[:, k] = clf.predict(test) == tag
        proba[:, k] = clf.predict_proba(test)[:, clf.classes_.tolist().index(tag)]
    seconds = time.perf_counter() - start
    return [together, Result("a classifier for each tag", proba, said, 0, 0, seconds)]


def compare_priors(kind: str, texts: list[str], has: np.ndarray) -> None:
    """Print the quality of the teacher's answers under different priors."""
    for name, prior in {
        "no calibration": None,
        "1 / n_classes": BatchCalibration(),
        "half": BatchCalibration([0.5] * len(TAGS)),
        "em": BatchCalibration("em"),
        "true shares": BatchCalibration(has.mean(axis=0).tolist()),
    }.items():
        teacher = teacher_of(kind, calibration=prior)
        labels = teacher.label(texts, Multilabel(TAGS))
        found = labelled(name, [labels] * len(TAGS), [*range(len(TAGS))])
        print(
            found.against(has), "says", labels.proba.mean(axis=0).round(2), flush=True
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_option(parser)
    parser.add_argument("--n", type=int, default=1500, help="texts of the pool")
    parser.add_argument("--teacher", choices=["smollm2", "encoder"], default="smollm2")
    parser.add_argument("--seeds", type=int, default=1, help="pools and test texts")
    parser.add_argument("--output", type=Path, default=RESULTS / "multilabel.json")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for seed in range(options.seeds):
        texts, has = joined_texts(options.data, options.n, seed)
        test, truth = joined_texts(options.data, _N_TEST, seed, half=1)
        print(f"{options.teacher}, {len(texts)} texts, seed {seed}", flush=True)
        told = [(result, has) for result in teachers(options.teacher, texts)]
        of_students = classifiers(options.teacher, texts, test)
        told += [(result, truth) for result in of_students]
        for result, gold in told:
            print(result.against(gold), flush=True)
            found[f"{options.teacher}/{result.name}/{seed}"] = result.scores(gold)
        if seed == 0:
            compare_priors(options.teacher, texts, has)
    head = about(f"multilabel --teacher {options.teacher}", "torch", "scikit-learn")
    content = head | {"n_texts": options.n, "cells": found}
    options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
