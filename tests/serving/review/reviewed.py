"""A pool of texts with given views of student, teacher and labels: no model."""

import numpy as np
from skllkd.serving.review.pool import LABELS, STUDENT, TEACHER, ReviewPool, _drawn

CLASSES = ["ham", "spam"]


def one_sided(said, sure):
    """Return distributions that give each class in `said` the probability `sure`."""
    said = np.array(said)
    return np.where(np.arange(2) == said[:, None], sure, 1 - sure)


def some_pool(n=40, seed=0, learned=()):
    """Return a pool whose views are drawn at random, the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows, keys = _drawn([f"text {i}, of {seed}" for i in range(n)])
    texts = [f"text {i}, of {seed}" for i in rows]
    views = {
        name: one_sided(rng.integers(2, size=n), rng.uniform(0.5, 1, n)[:, None])
        for name in (STUDENT, TEACHER, LABELS)
    }
    is_learned = np.isin(np.arange(n), learned)
    return ReviewPool(texts, keys, CLASSES, views, is_learned)
