"""Quality and cost of every selection strategy on every data set.

    SKLLKD_DATA=folder python -m benchmarks.selection --student frozen
    SKLLKD_DATA=folder python -m benchmarks.selection --student tfidf
    SKLLKD_DATA=folder python -m benchmarks.selection --student tuned
    SKLLKD_DATA=folder python -m benchmarks.selection --student tuned_4000
    SKLLKD_DATA=folder python -m benchmarks.selection --student frozen --noise
    python -m benchmarks.selection_report

A cell is a student, a data set, a strategy and a seed. The seed draws the pool (up to
3,000 of the labelled train texts; 2,000 or 4,000 for fine-tuning), the order of batches
and the initial weights, the same for every strategy: differences are paired. Scores are
against gold labels on up to 2,000 texts of the test split (of dev for ISEAR, whose test
split is kept apart; rules and parameters were chosen on training texts outside the pool and
on the dev splits of the other sets, and with fine-tuning on 2,000 texts a cell also has the
score there, by which the number of epochs is chosen). Strategies marked "matched" take the
share of rows that LLKD selected in the same cell: the same number of backward passes.
`--noise` replaces the teacher by one with the same kind of errors at a chosen rate.

A run that was stopped can be resumed: cells in the output file are not run again.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from skllkd import LLKDClassifier
from skllkd.cli.demo import demo_student
from skllkd.selection import (
    ConfidenceThreshold,
    InfoBatch,
    LLKDSelection,
    RandomSubset,
    RankedImportance,
    SelectAll,
    SmallLoss,
    SoftGate,
    TopConfidence,
    TopUncertainty,
    WeightedDistillation,
)
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent

from benchmarks.cells import RESULTS, Cells, about
from benchmarks.data import add_data_option, gold_texts, labelled_pool, noisy

SETS = ["agnews", "babe_llm", "emotion", "isear_llm", "nicta_piboso6"]
SETS += ["rtpolarity_llm", "trec6"]
NOISY_SETS, LEVELS = ["agnews", "isear_llm", "trec6"], [0.5, 0.6, 0.7, 0.85, 0.95]
N_TEST = 2000
#: A student of each kind, the epochs it learns for, and the size of its pool. The epochs
#: are those that served full-pool training best on dev.
STUDENTS = {
    "frozen": (FrozenEncoderStudent(demo_student().model, cache="disk"), 10, 3000),
    "tfidf": (SklearnStudent(), 5, 3000),
    "tuned": (TransformerStudent(demo_student().model, device="cpu"), 3, 2000),
    "tuned_4000": (TransformerStudent(demo_student().model, device="cpu"), 3, 4000),
}
REFERENCE = "LLKD"
STRATEGIES = {
    "all, hard": SelectAll(),
    "all, soft": SelectAll("soft"),
    REFERENCE: LLKDSelection(),
    "LLKD, teacher only": LLKDSelection(signals="teacher"),
    "LLKD, student only": LLKDSelection(signals="student"),
    "LLKD, global only": LLKDSelection(class_term=None),
    "LLKD, no weights": LLKDSelection(weight=None),
    "LLKD, FreeMatch term": LLKDSelection(class_term="probability"),
    "LLKD, soft": LLKDSelection(target="soft"),
    "LLKD, momentum .999": LLKDSelection(momentum=0.999),
    "random": RandomSubset(),
    "confident": TopConfidence(),
    "confident per class": TopConfidence(per_class=True),
    "uncertain": TopUncertainty(),
    "uncertain, KL": TopUncertainty(measure="kl"),
    "threshold .95": ConfidenceThreshold(),
    "soft gate": SoftGate(),
    "soft gate, momentum .99": SoftGate(momentum=0.99),
    "InfoBatch": InfoBatch(),
    "small loss": SmallLoss(),
    "weighted distillation": WeightedDistillation(),
    "ranked importance": RankedImportance(),
    "ranked, all rows": RankedImportance(share=1.0, floor=0.0),
    "ranked, power 2": RankedImportance(rank_power=2.0),
    "importance alone": RankedImportance(rank_power=0.0),
    "random, matched": RandomSubset(),
    "confident, matched": TopConfidence(),
    "confident per class, matched": TopConfidence(per_class=True),
    "uncertain, matched": TopUncertainty(),
    "ranked importance, matched": RankedImportance(),
}
#: The strategies for fine-tuning, which takes minutes for a cell.
FEW = ["all, hard", REFERENCE, "ranked importance", "random, matched"]
#: The same and more epochs: a rule that trains on fewer texts may need them.
LONGER = [*FEW, *(f"{name} for 8 epochs" for name in FEW[:3])]
#: Strategies that were removed after they were measured, at commit f92cc75.
FULL = "ranked importance, full batches"
REMOVED = ["LLKD, exact teacher", "LLKD, 1 - max", "LLKD, margin"]
REMOVED += ["LLKD among confident", "LLKD + rescaled rest", "LLKD + candidate sets"]
NOISY = [*FEW, "ranked, power 2"]


def pool_of(folder, seed, most, level=None):
    """Return the pool that a seed draws."""
    pool = labelled_pool(folder)
    if level is not None:
        pool = noisy(pool, level, seed)
    rows = np.random.RandomState(seed).permutation(len(pool.texts))[:most]
    return pool._replace(
        texts=[pool.texts[i] for i in rows],
        gold=pool.gold[rows],
        teacher_proba=pool.teacher_proba[rows],
    )


def choosing_texts(folder, seed, most):
    """Return texts and gold labels for model selection: dev, or the rest of train."""
    if (folder / "test.jsonl").exists():
        return gold_texts(folder, "dev", N_TEST)
    pool = labelled_pool(folder)
    rows = np.random.RandomState(seed).permutation(len(pool.texts))[most:][:N_TEST]
    return [pool.texts[i] for i in rows], pool.gold[rows]


def test_texts(folder):
    """Return the texts and gold labels that scores are computed on."""
    split = "test" if (folder / "test.jsonl").exists() else "dev"
    return gold_texts(folder, split, N_TEST)


def figures(classifier, pool, texts, gold):
    """Return the quality and the cost of a fitted classifier."""
    predicted = classifier.predict(texts)
    history, times = classifier.history_, classifier.times_selected_
    chosen = np.array(pool.classes)[pool.teacher_proba.argmax(axis=1)]
    right = chosen == pool.gold
    return {
        "macro_f1": round(float(f1_score(gold, predicted, average="macro")), 5),
        "accuracy": round(float(np.mean(gold == predicted)), 5),
        "share": round(float(times.sum() / history["n_presented"].sum()), 4),
        "distinct_share": round(float((times > 0).mean()), 4),
        "passes": int(times.sum()),
        "scored": int(history["n_scored"].sum()),
        "calls": len(pool.texts),
        "seconds": round(classifier.seconds_["training"], 2),
        "label_accuracy": round(float(np.average(right, weights=times)), 4)
        if times.any()
        else None,
        "pool_label_accuracy": round(float(right.mean()), 4),
    }


def one_cell(student, pool, texts, gold, strategy, seed, share, choosing=None):
    """Return the figures of a strategy on a pool."""
    kind, n_epochs, _ = STUDENTS[student]
    name, _, longer = strategy.partition(" for ")
    if longer:
        n_epochs = int(longer.split()[0])
    selection = clone(STRATEGIES[name])
    if strategy.endswith("matched"):
        selection.set_params(share=max(share, 0.06))
    classifier = LLKDClassifier(
        classes=pool.classes,
        refine=None,
        selection=selection,
        student=clone(kind),
        n_epochs=n_epochs,
        on_missing_class="warn",
        random_state=seed,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(pool.texts, teacher_proba=pool.teacher_proba)
    cell = figures(classifier, pool, texts, gold)
    if choosing is not None:
        predicted = classifier.predict(choosing[0])
        f1 = f1_score(choosing[1], predicted, average="macro")
        cell["choosing_macro_f1"] = round(float(f1), 5)
    return cell


def main():
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_option(parser)
    parser.add_argument("--student", choices=[*STUDENTS], required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--strategies", nargs="*")
    parser.add_argument("--noise", action="store_true")
    options = parser.parse_args()
    noise = " --noise" if options.noise else ""
    name = f"selection_{options.student}{'_noise' if options.noise else ''}.json"
    command = f"selection --student {options.student}{noise}"
    packages = ["torch", "scikit-learn", "numpy"]
    head = about(command, *packages, n_threads=torch.get_num_threads())
    usual = {"tuned": LONGER, "tuned_4000": FEW}.get(options.student, [*STRATEGIES])
    strategies = options.strategies or (NOISY if options.noise else usual)
    sets = options.sets or (NOISY_SETS if options.noise else SETS)
    levels = LEVELS if options.noise else [None]
    with Cells(RESULTS / name, head) as cells:
        for seed in range(options.seeds):
            for folder in (Path(options.data) / name for name in sets):
                for level in levels:
                    run_pool(cells, options.student, folder, level, seed, strategies)


def run_pool(cells, student, folder, level, seed, strategies):
    """Run the missing cells of a pool; LLKD first, since others match its share."""
    name = folder.name if level is None else f"{folder.name} at {level:.2f}"
    keys = {s: f"{student}/{name}/{s}/{seed}" for s in (REFERENCE, *strategies)}
    missing = [s for s in keys if keys[s] not in cells]
    if not missing:
        return
    most = STUDENTS[student][2]
    pool = pool_of(folder, seed, most, level)
    texts, gold = test_texts(folder)
    choosing = choosing_texts(folder, seed, most) if student == "tuned" else None
    for strategy in missing:
        share = cells.get(keys[REFERENCE], {"share": 1.0})["share"]
        given = student, pool, texts, gold, strategy, seed, share, choosing
        cells.run(keys[strategy], one_cell, *given)


if __name__ == "__main__":
    main()
