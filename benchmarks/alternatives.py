"""Quality and cost beside what one would run instead, from the same teacher answers.

    SKLLKD_DATA=folder python -m benchmarks.alternatives --student frozen
    SKLLKD_DATA=folder python -m benchmarks.alternatives --student tuned --device cuda
    python -m benchmarks.alternatives_report

A cell is a student of ours, a data set, a method and a seed. The seed draws the pool (3,000
of the texts that a language model labelled, 1,200 for fine-tuning) and is the method's
own: every method of a seed learns from the same texts and answers, and predicts the same up
to 2,000 texts of the test split (of dev for ISEAR, whose test split is kept apart).
Encoder: all-MiniLM-L6-v2, for every method but the teacher.

- teacher: the language model's own answers; of the texts predicted where it labelled
  them, or else of its pool.
- class names: the class nearest to the text by cosine, each with its name and, if the
  prompt of the teacher had one, its description, which ours has too.
- regression: embeddings of sentence-transformers and `LogisticRegression`, on the
  teacher's choices ("hard"), on its distributions ("soft": each text once per class,
  weighted) or on gold labels; C is the best on dev for these labels (1, 10 and 10).
- cleanlab: `CleanLearning` around the regression on hard labels, with its defaults.
- Trainer: `transformers.Trainer` on hard or gold labels, with its defaults of 3 epochs
  and a learning rate of 5e-5, in the batches of 32 that ours has, and on hard labels
  also in its default ones of 8, which make four times as many steps.
- SetFit: `setfit.Trainer` with its defaults on the 16 answers of each class that the
  teacher is surest of, as it is made for 8 to 16 labels a class: the pairs of all texts
  would be hundreds of thousands. At most 112 steps of 16 pairs, which read as many texts
  as `Trainer` does. Both were set before any result was seen.
- ours: `LLKDClassifier` with its defaults, but for 10 epochs with a frozen encoder;
  there also with the default of 3; without refinement; and as in the paper, with
  `LLKDSelection` and without refinement ("LLKD").

Seconds of training include encoding and refinement, those of predicting the encoding of
the texts. Embeddings are computed once and kept on disk, and each method on a frozen
encoder counts the time of encoding a text: that of sentence-transformers or of our
student, measured on 256 texts of the set. On the CPU seconds are those that the process
computed, with OMP_NUM_THREADS=1 those of one thread, whatever else the machine does.
Sizes are of all files that predicting needs.

SetFit and cleanlab come with the extra `benchmarks`; `--only` leaves methods out.

A run that was stopped can be resumed: cells in the output file are not run again. With
`--workers` pools are spread over processes, and a pool's cells are kept when all are done.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from sklearn.metrics import f1_score
from sklearn.preprocessing import normalize
from skllkd._core.classes import as_classes
from skllkd._core.similarity import class_texts
from skllkd.datasets import minilm_path
from skllkd.students import FrozenEncoderStudent

from benchmarks.alternatives_methods import (
    METHODS,
    OURS,
    PREDICT_BATCH,
    THEIRS,
    Outcome,
    Task,
    seconds_per_text,
)
from benchmarks.cells import RESULTS, Cells, about
from benchmarks.data import Pool, add_data_option
from benchmarks.own_labels import DESCRIPTIONS
from benchmarks.selection import SETS, pool_of, test_texts

N_TEXTS = {"frozen": 3000, "tuned": 1200}
N_SEEDS = {"frozen": 5, "tuned": 3}
N_TIMED = 256  # texts of a set by which encoding is timed
TEACHER = "teacher"
PACKAGES = ["torch", "transformers", "sentence-transformers", "scikit-learn"]
OPTIONAL = ["cleanlab", "setfit"]


class Work(NamedTuple):
    """The methods to run on one pool."""

    student: str
    folder: Path
    seed: int
    n_texts: int
    n_test: int
    device: str
    methods: tuple[str, ...]

    def key(self, method: str) -> str:
        """Return the key of a cell."""
        return f"{self.student}/{self.folder.name}/{method}/{self.seed}"


@cache
def embedding(device: str) -> Callable[[list[str]], np.ndarray]:
    """Return the function from texts to rows of length 1; they are kept on disk."""
    student = FrozenEncoderStudent(minilm_path(), device=device, cache="disk")

    def embed(texts: list[str]) -> np.ndarray:
        return normalize(student.embed(texts))

    return embed


@cache
def encoding_seconds(folder: Path, device: str) -> dict[str, float]:
    """Return the seconds of encoding a text of a set, by what encodes."""
    from sentence_transformers import SentenceTransformer  # seconds: only where used

    clock = time.process_time if device == "cpu" else time.perf_counter
    model, texts = str(minilm_path()), pool_of(folder, 0, N_TIMED).texts
    theirs = SentenceTransformer(model, device=device)
    ours = FrozenEncoderStudent(model, device=device, cache=None)
    encode = partial(theirs.encode, batch_size=PREDICT_BATCH)
    return {
        THEIRS: seconds_per_text(encode, texts, clock),
        OURS: seconds_per_text(ours.embed, texts, clock),
    }


def descriptions(folder: Path, classes: list[str]) -> dict[str, str]:
    """Return the descriptions that the prompt of the teacher had."""
    known = DESCRIPTIONS.get(folder.name, {})
    named = {name.casefold(): text for name, text in known.items()}
    return {name: named.get(name.casefold(), "") for name in classes}


def quality(labels: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    """Return the scores of predicted labels."""
    f1 = f1_score(gold, labels, average="macro", zero_division=0)
    return {
        "macro_f1": round(float(f1), 5),
        "accuracy": round(float(np.mean(labels == gold)), 5),
    }


def cell_of(outcome: Outcome, gold: np.ndarray) -> dict[str, Any]:
    """Return the figures of a method."""
    return quality(outcome.labels, gold) | {
        "training_s": round(outcome.training_s, 2),
        "texts_per_s": round(len(gold) / max(outcome.predicting_s, 1e-6), 1),
        "megabytes": round(outcome.megabytes, 1),
    }


def teacher_cell(folder: Path, pool: Pool, texts: list[str]) -> dict[str, Any]:
    """Return the scores of the teacher, and the texts that they are of."""
    chosen, gold, where = _teacher_labels(folder, pool, texts)
    return quality(chosen, gold) | {"scored_on": where, "n": len(gold)}


def _teacher_labels(
    folder: Path, pool: Pool, texts: list[str]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the teacher's choices with gold labels, of the texts or else of the pool."""
    path = folder / "llm.jsonl"
    wanted = set(texts)
    if path.exists():
        with path.open(encoding="utf-8") as file:
            rows = [row for row in map(json.loads, file) if row["text"] in wanted]
        rows = [row for row in rows if row["split"] != "train" and "label" in row]
        if rows:
            chosen = np.array([row["llm_label"] for row in rows])
            return chosen, np.array([row["label"] for row in rows]), rows[0]["split"]
    chosen = np.array(pool.classes)[pool.teacher_proba.argmax(axis=1)]
    return chosen, pool.gold, "pool"


def cells_of(work: Work) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run methods on one pool, and yield the cells as they come."""
    pool = pool_of(work.folder, work.seed, work.n_texts)
    texts, gold = test_texts(work.folder)
    texts, gold = texts[: work.n_test], gold[: work.n_test]
    described = descriptions(work.folder, pool.classes)
    classes = described if any(described.values()) else pool.classes
    task = Task(
        pool,
        class_texts(as_classes(classes)),
        classes,
        texts,
        work.seed,
        str(minilm_path()),
        work.device,
        embedding(work.device),
        encoding_seconds(work.folder, work.device),
    )
    for method in work.methods:
        if method == TEACHER:
            yield work.key(method), teacher_cell(work.folder, pool, texts)
        else:
            outcome = METHODS[work.student][method](task)
            yield work.key(method), cell_of(outcome, gold)


def begin_process(n_threads: int | None = None) -> None:
    """Keep what is said during the run to the figures."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if n_threads:
        torch.set_num_threads(n_threads)


def finished(work: Work) -> list[tuple[str, dict[str, Any]]]:
    """Run methods on one pool in a process of its own."""
    return list(cells_of(work))


def run(cells: Cells, every: list[Work], n_workers: int) -> None:
    """Run the work, here or in processes."""
    if n_workers == 1:
        begin_process()
        for work in every:
            for key, cell in cells_of(work):
                cells.run(key, lambda found=cell: found)
        return
    n_threads = max(1, (os.cpu_count() or 1) // n_workers)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, context, begin_process, (n_threads,)) as pool:
        for future in as_completed(pool.submit(finished, work) for work in every):
            for key, cell in future.result():
                cells.run(key, lambda found=cell: found)
            cells.write()


def missing(cells: Cells, options: argparse.Namespace) -> list[Work]:
    """Return the work whose cells are not known, seed by seed."""
    student = options.student
    methods = options.only or [TEACHER, *METHODS[student]]
    n_texts, device = options.texts or N_TEXTS[student], options.device
    every = [
        Work(
            student, Path(options.data) / name, seed, n_texts, options.test, device, ()
        )
        for seed in range(options.seeds or N_SEEDS[student])
        for name in options.sets
    ]
    left = [
        work._replace(methods=tuple(m for m in methods if work.key(m) not in cells))
        for work in every
    ]
    return [work for work in left if work.methods]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_option(parser)
    parser.add_argument("--student", choices=[*METHODS], required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--only", nargs="*", help="methods to run, all by default")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--texts", type=int, help="texts of a pool")
    parser.add_argument("--test", type=int, default=2000, help="texts to predict")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--commit", help="what is measured, where git does not know")
    parser.add_argument("--output", type=Path)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the cells that are missing."""
    options = parse(arguments)
    head = about(
        f"alternatives --student {options.student}",
        *PACKAGES,
        *(name for name in OPTIONAL if find_spec(name)),
        n_threads=torch.get_num_threads(),
        device=options.device,
        workers=options.workers,
        **({"commit": options.commit} if options.commit else {}),
    )
    path = options.output or RESULTS / f"alternatives_{options.student}.json"
    with Cells(path, head) as cells:
        run(cells, missing(cells, options), options.workers)


if __name__ == "__main__":
    main()
