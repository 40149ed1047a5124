"""What every test and every example in a docstring begins with."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def same_draws():
    """Seed NumPy's global source, which `random_state=None` draws from."""
    np.random.seed(0)
