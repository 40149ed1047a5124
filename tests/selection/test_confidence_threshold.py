"""A fixed threshold on the teacher's confidence."""

import numpy as np
from skllkd.selection import ConfidenceThreshold

from tests.selection.synthetic import begin, select


def test_a_fixed_threshold_keeps_what_reaches_it():
    teacher = np.array([[0.75, 0.25], [0.5, 0.5], [0.2, 0.8], [0.7, 0.3]])
    kept = select(begin(ConfidenceThreshold(threshold=0.75), teacher), teacher)
    np.testing.assert_array_equal(kept.mask, [True, False, True, False])
    np.testing.assert_array_equal(kept.weight, 1)
    assert not select(begin(ConfidenceThreshold(), teacher), teacher).mask.any()
