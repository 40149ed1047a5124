"""Device and threads of torch."""

import pytest
import torch
from skllkd._core.device import available_device, checked_device, cpu_threads
from skllkd.exceptions import InvalidParameterError


def test_a_device_that_does_not_exist_is_named_or_replaced_by_the_cpu():
    with pytest.raises(InvalidParameterError, match="`device`.*'abacus'"):
        checked_device("abacus")
    assert available_device("abacus") == torch.device("cpu")
    assert checked_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("number", [1, None])
def test_threads_are_set_and_given_back(number):
    before = torch.get_num_threads()
    with cpu_threads(number):
        assert torch.get_num_threads() == (number or before)
    assert torch.get_num_threads() == before
