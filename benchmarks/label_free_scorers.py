"""How well scorers without gold labels rank candidates against accuracy with gold.

    SKLLKD_DATA=folder python -m benchmarks.label_free_scorers

For each data set and seed, 16 candidates are fitted on 2,000 texts that a language model
labelled, and scored on the dev split: by each label-free scorer, which sees the model's
labels, and by accuracy against gold. Reported is Kendall's tau between the two rankings,
the mean over seeds with its 95 % interval, and what choosing by the scorer costs against
choosing by gold.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from skllkd import LLKDClassifier
from skllkd.metrics import (
    agreement_lower_bound,
    confidence_weighted_agreement,
    expected_agreement,
)
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import SklearnStudent
from skllkd.teachers import PrecomputedTeacher

from benchmarks.cells import about, benchmark_parser, write_figures
from benchmarks.data import add_data_option, load_pool
from benchmarks.tables import interval

SETS = ["isear_llm", "rtpolarity_llm", "babe_llm"]
SCORERS = [expected_agreement, confidence_weighted_agreement, agreement_lower_bound]
SELECTIONS = {
    "LLKD": LLKDSelection(),
    "all, hard": SelectAll(),
    "all, soft": SelectAll(target="soft"),
    "LLKD 0.99": LLKDSelection(momentum=0.99),
}
VECTORIZERS = {
    "words": {"ngram_range": (1, 2), "sublinear_tf": True},
    "letters": {"analyzer": "char_wb", "ngram_range": (2, 4), "sublinear_tf": True},
}
ALPHAS = [1e-6, 1e-3]


def candidates(seed):
    """Yield 16 unfitted classifiers without a teacher."""
    grid = itertools.product(SELECTIONS, VECTORIZERS, ALPHAS)
    for selection, vectorizer, alpha in grid:
        student = SklearnStudent(
            SGDClassifier(
                loss="log_loss", alpha=alpha, learning_rate="adaptive", eta0=0.5
            ),
            vectorizer=TfidfVectorizer(**VECTORIZERS[vectorizer]),
        )
        yield LLKDClassifier(
            refine=None,
            selection=SELECTIONS[selection],
            student=student,
            on_missing_class="warn",
            random_state=seed,
            verbose=0,
        )


def one_run(folder, seed):
    """Return, for one data set and seed, the gold accuracy and scores of candidates."""
    pool, dev = load_pool(folder, "train", 2000, seed), load_pool(folder, "dev")
    teacher = PrecomputedTeacher(
        pool.texts + dev.texts, np.vstack([pool.teacher_proba, dev.teacher_proba])
    )
    rows = []
    for candidate in candidates(seed):
        candidate.set_params(teacher=teacher, classes=pool.classes).fit(pool.texts)
        scores = [scorer(candidate, dev.texts) for scorer in SCORERS]
        rows.append([candidate.score(dev.texts, dev.gold), *scores])
    return np.array(rows)


def main():
    """Run, print a table, and write the figures as JSON."""
    parser = benchmark_parser(__doc__, "label_free_scorers")
    add_data_option(parser)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    figures = {}
    print(f"{'set':16} {'scorer':32} {'tau':>14} {'accuracy lost by choosing':>28}")
    for name in SETS:
        runs = [
            one_run(Path(options.data) / name, seed) for seed in range(options.seeds)
        ]
        for k, scorer in enumerate(SCORERS, start=1):
            tau = interval([kendalltau(run[:, 0], run[:, k]).statistic for run in runs])
            lost = interval(
                [run[:, 0].max() - run[run[:, k].argmax(), 0] for run in runs]
            )
            print(
                f"{name:16} {scorer.__name__:32} {tau[0]:6.2f} +/- {tau[1]:.2f} "
                f"{lost[0]:20.3f} +/- {lost[1]:.3f}",
                flush=True,
            )
            figures[f"{name}/{scorer.__name__}"] = {"tau": tau, "accuracy_lost": lost}
        spread = interval([run[:, 0].max() - run[:, 0].mean() for run in runs])
        figures[f"{name}/chance"] = {"accuracy_lost": spread}
        print(f"{name:16} {'(a candidate at random)':32} {'':14} {spread[0]:20.3f}")
    n_candidates = len(SELECTIONS) * len(VECTORIZERS) * len(ALPHAS)
    head = about(
        "label_free_scorers",
        "scikit-learn",
        seeds=options.seeds,
        candidates=n_candidates,
    )
    write_figures(options.output, head | {"figures": figures})


if __name__ == "__main__":
    main()
