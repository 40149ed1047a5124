"""How often the verdict on tags without gold labels is right: teachers good and bad.

    SKLLKD_DATA=folder python -m benchmarks.tag_verdict [--sets joined packages news]

Each cell fits a classifier of tags with a frozen MiniLM on a pool and judges it by
`skllkd.inspection.tag_verdict`, which sees no gold label. Gold labels of the pool and of
500 other texts then judge the verdict. The teachers of a set are the language models that
labelled its parts, the same made worse, class names alone, a classifier that learned a few
gold labels of other texts, and SmolLM2.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from skllkd import LLKDClassifier, Multilabel
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.exceptions import SkllkdWarning
from skllkd.inspection.tag_verdict import FOUND, MISSED, UNCLEAR, tags_verdict_of
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import BatchCalibration, EmbeddingTeacher, LlamaCppTeacher
from skllkd.teachers.calibration import tag_bias
from skllkd.training.thresholds import best_thresholds

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option
from benchmarks.multilabel import EXAMPLES, TAGS, joined_texts
from benchmarks.tables import markdown_table
from benchmarks.tag_sets import TagPool, joined_pool, package_pool

#: Cohen's kappa of a student and gold labels that is called good, and bad.
WELL, BADLY = 0.3, 0.2
SIZES, N_HELD_OUT, N_SMALL = (1000, 400, 150), 500, 150


def news_pool(folder: Path, n: int, seed: int, *, half: int = 0) -> TagPool:
    """Return news of none, one or two topics."""
    texts, gold = joined_texts(folder, n, seed, half=half)
    return TagPool(texts, gold, None, list(TAGS))


def pool_of(
    name: str, folder: Path, n: int, *, half: int = 0, seed: int = 0
) -> TagPool:
    """Return texts of a set."""
    if name == "packages":
        return package_pool(n, seed, half=half)
    return {"joined": joined_pool, "news": news_pool}[name](folder, n, seed, half=half)


def some_of(pool: TagPool, n: int) -> TagPool:
    """Return the first texts of a pool."""
    return TagPool(pool.texts[:n], pool.gold[:n], pool.teacher_proba[:n], pool.tags)


def calibrated(proba: np.ndarray) -> np.ndarray:
    """Return the probabilities of a teacher of tags as its calibration gives them."""
    log_prob = np.log(np.clip(proba, 1e-6, 1 - 1e-6))
    return expit(logit(np.exp(log_prob)) - tag_bias(log_prob, None))


def made_worse(pool: TagPool) -> dict[str, TagPool]:
    """Return a teacher's answers with some of them exchanged, flattened or without odds."""
    rng, n = np.random.RandomState(0), len(pool.texts)
    proba, found = pool.teacher_proba, {}
    for share in (0.3, 0.6, 1.0):
        rows = np.flatnonzero(rng.rand(n) < share)
        worse = proba.copy()
        worse[rows] = proba[rng.permutation(rows)]
        found[f"exchanged {share}"] = worse
    clipped = np.clip(proba, 1e-4, 1 - 1e-4)
    found["flat"] = calibrated(expit(logit(clipped) / 5))
    found["no confidences"] = (proba >= 0.5).astype(float)
    found["other tags"] = np.roll(proba, 1, axis=1)
    return {name: pool._replace(teacher_proba=worse) for name, worse in found.items()}


def pools_of(name: str, folder: Path) -> dict[str, TagPool]:
    """Return the pools of a set, by the name of their teacher."""
    pool = pool_of(name, folder, SIZES[0])
    names = EmbeddingTeacher(minilm_path(), device="cpu", cache="disk")
    labels = names.label(pool.texts, Multilabel(pool.tags)).proba
    found = {"class names": pool._replace(teacher_proba=labels)}
    for n_gold in (60, 250):
        some = pool_of(
            name, folder, n_gold, half=1, seed=1 if name != "packages" else 0
        )
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True),
            OneVsRestClassifier(LogisticRegression(C=20)),
        )
        known = some.gold.any(axis=0)
        proba = np.full(pool.gold.shape, 0.01)
        model.fit(some.texts, some.gold[:, known])
        proba[:, known] = model.predict_proba(pool.texts)
        found[f"learned from {n_gold}"] = pool._replace(teacher_proba=calibrated(proba))
    if pool.teacher_proba is not None:
        found |= {f"{n} texts": some_of(pool, n) for n in SIZES}
        found |= made_worse(pool)
    else:
        found |= made_worse(found["learned from 250"])
    return found


def smollm2_pools(name: str, folder: Path) -> dict[str, TagPool]:
    """Return a few texts with the answers of SmolLM2, with and without examples."""
    pool, found = pool_of(name, folder, N_SMALL), {}
    others = pool_of(name, folder, 4, half=1, seed=2)
    pairs = zip(others.texts, others.gold, strict=True)
    own = [
        (t, [g for g, h in zip(others.tags, row, strict=True) if h]) for t, row in pairs
    ]
    for kind, examples in {
        "plain": None,
        "examples": EXAMPLES if name == "news" else own,
    }.items():
        teacher = LlamaCppTeacher(
            smollm2_path(), examples=examples, calibration=BatchCalibration()
        )
        labels = teacher.label(pool.texts, Multilabel(pool.tags))
        found[f"SmolLM2, {kind}"] = pool._replace(teacher_proba=labels.proba)
    return found


def one_cell(pool: TagPool, held_out: TagPool) -> dict[str, Any]:
    """Return the figures of each tag, and the scores of teacher and student on it."""
    start = time.process_time()
    classifier = LLKDClassifier(
        classes=Multilabel(pool.tags),
        student=FrozenEncoderStudent(minilm_path(), device="cpu", cache="disk"),
        n_epochs=10,
        on_missing_class="warn",
        random_state=0,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        classifier.fit(pool.texts, teacher_proba=pool.teacher_proba)
    order = [classifier.classes_.tolist().index(tag) for tag in pool.tags]
    judged = {tag.name: tag for tag in tags_verdict_of(classifier._fitted).tags}
    said = classifier.predict(held_out.texts)[:, order]
    given = pool.teacher_proba >= best_thresholds(
        pool.teacher_proba, pool.teacher_proba
    )
    tags = {}
    for k, tag in enumerate(pool.tags):
        gold, others = pool.gold[:, k], held_out.gold[:, k]
        figures = {
            "share": gold.mean(),
            "share_held_out": others.mean(),
            "given": given[:, k].mean(),
            "teacher_f1": f1_score(gold, given[:, k], zero_division=0),
            "teacher_kappa": cohen_kappa_score(gold, given[:, k]),
            "student_f1": f1_score(others, said[:, k], zero_division=0),
            "student_kappa": cohen_kappa_score(others, said[:, k]),
            **judged[tag].signals._asdict(),
        }
        tags[tag] = {
            key: value if value is None else round(float(value), 4)
            for key, value in figures.items()
        } | {"outcome": judged[tag].outcome}
    micro = [
        f1_score(pool.gold, given, average="micro"),
        f1_score(held_out.gold, said, average="micro"),
    ]
    return {
        "n_texts": len(pool.texts),
        "teacher_micro_f1": round(micro[0], 4),
        "student_micro_f1": round(micro[1], 4),
        "seconds": round(time.process_time() - start, 1),
        "tags": tags,
    }


def kind_of(key: str) -> str:
    """Return the kind of a cell's teacher."""
    name = key.partition(", ")[2]
    if name.startswith(("exchanged", "flat")):
        return "made worse"
    for start in ("SmolLM2", "learned from"):
        if name.startswith(start):
            return start
    return "language models" if name.endswith(" texts") else name


def print_outcomes(cells: dict[str, Any]) -> None:
    """Print how well the student finds the tags of each outcome, by kind of teacher."""
    rows, kinds = [], sorted({kind_of(key) for key in cells})
    for kind in [*kinds, "all"]:
        tags = [
            tag
            for key, cell in cells.items()
            if kind in ("all", kind_of(key))
            for tag in cell["tags"].values()
        ]
        row = [kind]
        for outcome in (FOUND, UNCLEAR, MISSED):
            kappa = np.array(
                [t["student_kappa"] for t in tags if t["outcome"] == outcome]
            )
            counts = (len(kappa), (kappa >= WELL).sum(), (kappa < BADLY).sum())
            row += map(str, counts)
        rows.append(row)
    header = ["teacher"]
    for outcome in (FOUND, UNCLEAR, MISSED):
        header += [outcome, f"kappa >= {WELL}", f"< {BADLY}"]
    print(markdown_table(header, rows))
    judged = [
        t for key, c in cells.items() if key[-5:] != "names" for t in c["tags"].values()
    ]
    kappa = [tag["student_kappa"] for tag in judged]
    for figure in ("confidence", "out_of_fold", "class_names"):
        known = [np.nan if tag[figure] is None else tag[figure] for tag in judged]
        found = spearmanr(known, kappa, nan_policy="omit")[0]
        print(f"rank correlation with the student's kappa: {figure} {found:.2f}")


def main() -> None:
    """Run the cells and print the tables."""
    parser = benchmark_parser(__doc__, "tag_verdict")
    add_data_option(parser)
    names = ["joined", "packages", "news"]
    parser.add_argument("--sets", nargs="*", default=names)
    parser.add_argument("--smollm2", action="store_true", help="ask SmolLM2, too")
    options = parser.parse_args()
    head = about("tag_verdict", "scikit-learn", "transformers")
    with Cells(options.output, head) as cells:
        for name in options.sets:
            held_out = pool_of(name, options.data, N_HELD_OUT, half=1)
            pools = pools_of(name, options.data)
            if options.smollm2:
                pools |= smollm2_pools(name, options.data)
            for teacher, pool in pools.items():
                cells.run(f"{name}, {teacher}", one_cell, pool, held_out)
    print_outcomes(cells)


if __name__ == "__main__":
    main()
