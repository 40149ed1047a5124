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


TAGS = ["billing", "legal", "urgent"]
#: From which the student gives a tag.
THRESHOLDS = np.array([0.5, 0.5, 0.3])


def some_tag_pool(n=40, seed=0, learned=()):
    """Return a pool of texts that may have several classes, with views at random."""
    rng = np.random.default_rng(seed)
    rows, keys = _drawn([f"text {i}, of {seed}" for i in range(n)])
    texts = [f"text {i}, of {seed}" for i in rows]
    has = rng.random((n, 3)) < 0.4
    views = {}
    for name in (STUDENT, TEACHER, LABELS):
        said = has ^ (rng.random((n, 3)) < 0.15)
        views[name] = np.where(said, 0.75, 0.2) + rng.uniform(-0.2, 0.2, (n, 3))
    views[TEACHER][-2:] = np.nan
    is_learned = np.isin(np.arange(n), learned)
    return ReviewPool(
        texts, keys, TAGS, views, is_learned, {"legal": "law"}, THRESHOLDS
    )
