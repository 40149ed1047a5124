"""Device, threads, attention kernels and memory errors, as far as a CPU can tell."""

from contextlib import nullcontext

import pytest
import torch
from skllkd._core.device import (
    any_shape_attention,
    available_device,
    checked_device,
    cpu_threads,
    named_memory_errors,
)
from skllkd.exceptions import DeviceMemoryError, InvalidParameterError
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends


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


def test_cudnn_s_attention_is_left_out_on_cuda_only():
    before = set(_cur_sdpa_kernel_backends())
    assert SDPBackend.CUDNN_ATTENTION in before
    with any_shape_attention("cuda"):
        inside = set(_cur_sdpa_kernel_backends())
    assert inside == before - {SDPBackend.CUDNN_ATTENTION, SDPBackend.OVERRIDEABLE}
    assert set(_cur_sdpa_kernel_backends()) == before
    assert isinstance(any_shape_attention("cpu"), nullcontext)


def test_only_a_lack_of_memory_is_named():
    with (
        pytest.raises(DeviceMemoryError, match=r"for a test\. Lower it\..*of memory"),
        named_memory_errors("a test", "Lower it."),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with (
        pytest.raises(RuntimeError, match="another"),
        named_memory_errors("a test", "Lower it."),
    ):
        raise RuntimeError("another")
