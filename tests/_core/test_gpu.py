"""Attention kernels and memory errors of a GPU, as far as a CPU can tell."""

from contextlib import nullcontext

import pytest
import torch
from skllkd._core.gpu import any_shape_attention, named_memory_errors
from skllkd.exceptions import DeviceMemoryError
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends


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
