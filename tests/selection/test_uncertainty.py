"""Uncertainty of a distribution."""

import numpy as np
from skllkd.selection.uncertainty import normalised_entropy


def test_entropy_is_a_share_in_the_unit_interval():
    rows = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(
        normalised_entropy(rows), [0, 1, np.log(2) / np.log(3)], atol=1e-9
    )
