"""How often the verdict without gold labels is right: visible sets, teachers good and bad.

    SKLLKD_DATA=folder python -m benchmarks.verdict [--store labels.sqlite]
    SKLLKD_DATA=folder python -m benchmarks.verdict --student tuned

Each cell fits a classifier with a frozen MiniLM, or one that is fine-tuned for three
epochs, on a pool of the train split and judges it by `skllkd.inspection.verdict`, which
sees no gold label. Gold labels of the pool and of 500 texts of the dev split then judge the
verdict. The teachers of a set are

- the language model that labelled it: on 1,500, 600 and 150 texts, and without confidences;
- the same, right as often as the key says, with the errors and confidences of the real one,
  and with its answers shuffled;
- the class names alone;
- eight prompts of SmolLM2 on 200 texts, and two on 400 BBC News stories, from the store
  that `--store` names: the first are asked by `benchmarks.prompt_choice`, the others here.

The figures of the BBC News stories were not seen when the rule was made. The estimates
printed are those of constants fitted without the set they are tried on. Some 10 s a cell on
one core, once the texts are encoded. A fine-tuned student is tried on 1,000 texts of each
set, with the language model's answers and with the same made right in 70 %: a minute or
more each. Nothing of the rule or its constants was chosen by them.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.cli.demo import CLASSES, EXAMPLES, split_bbc_news
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.exceptions import MissingLabelWarning
from skllkd.inspection.verdict import verdict_of
from skllkd.students import FrozenEncoderStudent, Student, TransformerStudent
from skllkd.teachers import EmbeddingTeacher, TransformersTeacher

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import Pool, add_data_option, gold_texts, labelled_pool, noisy
from benchmarks.prompt_choice import sample_of
from benchmarks.prompt_variants import prompts_of
from benchmarks.tables import markdown_table

SIZES, N_HELD_OUT, N_BBC = (1500, 600, 150), 500, 400
N_TUNED, MADE_RIGHT = 1000, "made right in 70 %"
#: Accuracies of teachers that are made worse than the real one.
ACCURACIES = (0.27, 0.4, 0.55, 0.7, 0.85)
#: The figures that an estimate rests on.
FIGURES = ("all", "without class names", "confidence alone")
#: The teacher's accuracy above guessing that a user may call good, and how far the
#: student may be below it.
GOOD, MARGIN = 1 / 3, 0.05


def some_of(pool: Pool, n_texts: int) -> Pool:
    """Return a random part of a pool."""
    rows = np.random.RandomState(7).permutation(len(pool.texts))[:n_texts]
    return Pool(
        [pool.texts[i] for i in rows],
        pool.gold[rows],
        pool.teacher_proba[rows],
        pool.classes,
    )


def pools_of(folder: Path) -> dict[str, Pool]:
    """Return the pools of a set, by the name of their teacher."""
    pool = some_of(labelled_pool(folder), SIZES[0])
    pools = {f"{n} texts": some_of(pool, n) for n in SIZES}
    said = np.array(pool.classes)[pool.teacher_proba.argmax(axis=1)]
    for accuracy in ACCURACIES:
        if accuracy < np.mean(said == pool.gold):
            pools[f"right in {accuracy}"] = noisy(pool, accuracy, seed=0)
    shuffled = np.random.RandomState(0).permutation(len(pool.texts))
    pools["shuffled"] = pool._replace(teacher_proba=pool.teacher_proba[shuffled])
    one_hot = np.eye(len(pool.classes))[pool.teacher_proba.argmax(axis=1)]
    pools["no confidences"] = pool._replace(teacher_proba=one_hot)
    names = EmbeddingTeacher(minilm_path(), device="cpu", cache="disk")
    proba = names.label(pool.texts, pool.classes).proba
    pools["class names"] = pool._replace(teacher_proba=proba)
    return pools


def pools_to_tune(folder: Path) -> dict[str, Pool]:
    """Return two pools of a set: the language model's, and the same right in 70 %."""
    pool = some_of(labelled_pool(folder), N_TUNED)
    return {f"{N_TUNED} texts": pool, MADE_RIGHT: noisy(pool, 0.7, seed=0)}


def smollm2(store: str) -> TransformersTeacher:
    """Return the teacher whose answers are in a store."""
    return TransformersTeacher(
        smollm2_path(), store=store, device="cpu", max_text_tokens=160
    )


def prompted_pools(folder: Path, store: str) -> dict[str, Pool]:
    """Return 200 texts of a set with the stored answers of SmolLM2 to its prompts."""
    texts, gold = sample_of(folder)
    classes = np.unique(gold).tolist()
    teacher, pools = smollm2(store).set_params(max_calls=0), {}
    for name, params in prompts_of(folder.name, classes).items():
        own = {key: value for key, value in params.items() if key != "classes"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prompted = clone(teacher).set_params(**own)
            labels = prompted.label(texts, params.get("classes", classes))
        if not labels.missing.any():
            pools[f"SmolLM2: {name}"] = Pool(texts, gold, labels.proba, classes)
    return pools


def bbc_pools(store: str) -> tuple[dict[str, Pool], tuple[list[str], np.ndarray]]:
    """Return BBC News stories as SmolLM2 labels them, and others with gold labels."""
    pool, held_out = split_bbc_news(N_BBC, N_HELD_OUT)
    pools = {}
    for name, params in {
        "plain": {},
        "examples, no chat": {"examples": EXAMPLES, "chat": False},
    }.items():
        labels = smollm2(store).set_params(**params).label(pool.texts, CLASSES)
        gold = np.array(pool.labels)
        pools[f"SmolLM2: {name}"] = Pool(pool.texts, gold, labels.proba, CLASSES)
    return pools, (held_out.texts, np.array(held_out.labels))


def frozen() -> tuple[Student, int]:
    """Return a student with a frozen encoder, and its epochs."""
    return FrozenEncoderStudent(minilm_path(), device="cpu", cache="disk"), 10


def tuned() -> tuple[Student, int]:
    """Return a student whose encoder is fine-tuned, and its epochs."""
    return TransformerStudent(minilm_path(), device="cpu"), 3


def one_cell(
    pool: Pool,
    held_out: tuple[list[str], np.ndarray],
    student: tuple[Student, int],
) -> dict[str, Any]:
    """Return the verdict on a classifier, and accuracies on gold labels."""
    classifier = LLKDClassifier(
        classes=pool.classes,
        student=student[0],
        n_epochs=student[1],
        on_missing_class="warn",
        random_state=0,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingLabelWarning)
        classifier.fit(pool.texts, teacher_proba=pool.teacher_proba)
    state = classifier._fitted
    verdict = verdict_of(state)
    right = state.pseudo_labels == pool.gold
    figures = {
        "n_texts": len(right),
        "n_classes": len(pool.classes),
        "teacher": np.mean(right),
        "student": np.mean(classifier.predict(held_out[0]) == held_out[1]),
        "teacher_estimate": verdict.teacher.value,
        "student_estimate": verdict.student.value,
        **verdict.signals._asdict(),
    }
    rounded = {k: v if v is None else round(float(v), 4) for k, v in figures.items()}
    return {"outcome": verdict.outcome} | rounded


# ---- the constants, and what they are worth


def above_guessing(share: float, cell: dict[str, Any]) -> float:
    """Return an accuracy as 0 for guessing and 1 at most."""
    chance = 1 / cell["n_classes"]
    return (share - chance) / (1 - chance)


def kind_of(key: str) -> str:
    """Return the kind of a cell's teacher."""
    name = key.partition(", ")[2]
    if name.startswith("SmolLM2"):
        return "SmolLM2, prompts"
    if name.startswith("right in") or name == "shuffled":
        return "made worse"
    return name if name in ("class names", MADE_RIGHT) else "language model"


def predictors(cell: dict[str, Any], figures: str) -> list[float]:
    """Return the intercept and the terms of a cell's figures."""
    o, n = cell["out_of_fold"], cell["class_names"]
    c = max(0.0, o) if cell["confidence"] is None else cell["confidence"]
    if figures == "confidence alone":
        return [1.0, c]
    means = [1.0, float(np.sqrt(max(0.0, c * o)))]
    return [*means, float(np.sqrt(max(0.0, c * n)))] if figures == "all" else means


def fitted_constants(cells: dict[str, Any], of: str, figures: str) -> np.ndarray:
    """Fit the constants of an estimate; each kind of a set's teachers counts alike."""
    groups = [(key.partition(",")[0], kind_of(key)) for key in cells]
    weight = np.sqrt([1 / groups.count(group) for group in groups])
    rows = np.array([predictors(cell, figures) for cell in cells.values()])
    target = np.array([above_guessing(cell[of], cell) for cell in cells.values()])
    ridge = 0.3 * np.eye(rows.shape[1])
    rows = np.vstack([rows * weight[:, None], ridge])
    target = np.concatenate([target * weight, np.zeros(len(ridge))])
    return np.linalg.lstsq(rows, target, rcond=None)[0]


def print_constants(cells: dict[str, Any]) -> None:
    """Print the constants, and the errors on sets that took no part in them."""
    cells = {k: c for k, c in cells.items() if kind_of(k) != "class names"}
    known = {k: c for k, c in cells.items() if not k.startswith("bbc")}
    for of in ("teacher", "student"):
        for figures in FIGURES:
            errors = []
            for name in sorted({key.partition(",")[0] for key in cells}):
                others = {k: c for k, c in known.items() if k.partition(",")[0] != name}
                constants = fitted_constants(others, of, figures)
                errors += [
                    above_guessing(cell[of], cell)
                    - predictors(cell, figures) @ constants
                    for key, cell in cells.items()
                    if key.partition(",")[0] == name
                ]
            low, high = np.quantile(errors, [0.025, 0.975])
            constants = fitted_constants(known, of, figures).round(3)
            error = np.sqrt(np.mean(np.square(errors)))
            print(
                of,
                figures,
                constants,
                f"error {error:.3f}, 95 % {low:+.2f} {high:+.2f}",
            )


def print_outcomes(cells: dict[str, Any]) -> None:
    """Print how often each outcome was right, by kind of teacher."""
    rows = []
    for kind in sorted({kind_of(key) for key in cells}):
        for outcome in ("works", "doubtful", "does not work"):
            found = [
                cell
                for key, cell in cells.items()
                if kind_of(key) == kind and cell["outcome"] == outcome
            ]
            follows = [c["student"] >= c["teacher"] - MARGIN for c in found]
            good = [above_guessing(c["teacher"], c) >= GOOD for c in found]
            both = sum(map(all, zip(follows, good, strict=True)))
            counts = (len(found), both, sum(good), sum(follows))
            rows.append([kind, outcome, *map(str, counts)])
    header = ["teacher", "verdict", "cells", "good", "teacher good", "student follows"]
    print(markdown_table(header, rows))


def main() -> None:
    """Run the cells and print the tables."""
    parser = benchmark_parser(__doc__, "verdict")
    add_data_option(parser)
    parser.add_argument("--student", choices=["frozen", "tuned"], default="frozen")
    parser.add_argument("--store", help="store of the answers of SmolLM2")
    parser.add_argument("--sets", nargs="*", help="the sets to run, by default all")
    options = parser.parse_args()
    if options.student == "tuned":
        run_tuned(options)
    else:
        run_frozen(options)


def folders_of(options: argparse.Namespace) -> list[Path]:
    """Return the folders of the sets to run."""
    folders = sorted(path for path in Path(options.data).iterdir() if path.is_dir())
    return [f for f in folders if f.name in (options.sets or [f.name])]


def run_tuned(options: argparse.Namespace) -> None:
    """Run the cells of fine-tuned students and print their table."""
    output = options.output.with_stem(f"{options.output.stem}_tuned")
    head = about("verdict --student tuned", "torch", "transformers", n_threads=1)
    with Cells(output, head) as cells:
        for folder in folders_of(options):
            held_out = gold_texts(folder, "dev", N_HELD_OUT)
            for name, pool in pools_to_tune(folder).items():
                cells.run(f"{folder.name}, {name}", one_cell, pool, held_out, tuned())
                cells.write()
    print_outcomes(cells)


def run_frozen(options: argparse.Namespace) -> None:
    """Run the cells of students with a frozen encoder and print their tables."""
    head = about("verdict", "scikit-learn", "transformers")
    with Cells(options.output, head) as cells:
        for folder in folders_of(options):
            held_out = gold_texts(folder, "dev", N_HELD_OUT)
            pools = pools_of(folder)
            if options.store:
                pools |= prompted_pools(folder, options.store)
            for name, pool in pools.items():
                cells.run(f"{folder.name}, {name}", one_cell, pool, held_out, frozen())
        if options.store and "bbc_news" in (options.sets or ["bbc_news"]):
            pools, held_out = bbc_pools(options.store)
            for name, pool in pools.items():
                cells.run(f"bbc_news, {name}", one_cell, pool, held_out, frozen())
    print_outcomes(cells)
    print_constants(cells)


if __name__ == "__main__":
    main()
