"""Random distributions, and strategies run on them."""

import numpy as np
from skllkd.selection import Batch, Pool


def distributions(n_rows, n_classes, seed, sharpness=1.0):
    rng = np.random.RandomState(seed)
    return rng.dirichlet(np.full(n_classes, 1 / sharpness), n_rows)


def begin(rule, teacher, n_steps=5, student=None, seed=0, first_step=0):
    """Begin on a pool, with out-of-fold predictions if the strategy asks for them."""
    if rule.n_folds and student is None:
        student = distributions(*teacher.shape, 99)
    pool = Pool(teacher, student)
    rule.begin(pool, n_steps, np.random.RandomState(seed), first_step)
    return rule


def select(rule, teacher, student=None, step=0, rows=None):
    """Select from a batch: the first rows of the pool, or those given."""
    rows = np.arange(len(teacher)) if rows is None else rows
    given = student if rule.uses_student else None
    return rule.select(Batch(rows, teacher, given, step))
