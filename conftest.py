"""What every test and every example in a docstring begins with."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers are as many as the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def same_draws():
    """Seed NumPy's global source, which `random_state=None` draws from."""
    np.random.seed(0)
