"""Lists, arrays and columns in place of tensors, tables and other containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skllkd._core.texts import column_entries
from skllkd.exceptions import TeacherOutputError

_SCALARS = (str, bytes, int, float, type(None))
#: How far a sum of probabilities may be from 1, and the rounding of a class's in half
#: precision.
_SUM_TOLERANCE = 1e-3
_ROUNDING = {"float16": 2**-11, "bfloat16": 2**-8}
_ROUNDING |= {"float8_e4m3fn": 2**-4, "float8_e5m2": 2**-3}


def unpacked(value: Any) -> Any:
    """Return the contents of a container: a list, an array, or columns by name."""
    if isinstance(value, _SCALARS):
        return value
    if hasattr(value, "detach"):  # a tensor, which may have a gradient or be on a GPU
        return _array_of_tensor(value)
    if isinstance(value, np.ma.MaskedArray):
        whole = value.data.astype(object)
        whole[np.ma.getmaskarray(value)] = None
        return whole
    if hasattr(value, "toarray"):  # a sparse matrix
        return value.toarray()
    names = column_names(value)
    if names is not None:
        return {name: column_entries(value[name], str(name)) for name in names}
    if isinstance(value, Mapping):
        return {name: unpacked(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [unpacked(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if not isinstance(value, np.ndarray) and (
        hasattr(value, "to_pylist") or hasattr(value, "to_list")
    ):
        return column_entries(value, "output")
    return value


def length_of(column: Any) -> int | None:
    """Return the number of entries of a column; None of a value that has no order."""
    if isinstance(column, (str, bytes, set, frozenset, Mapping)):
        return None
    try:
        return len(column)
    except TypeError:  # a number, an array of no dimension
        return None


def column_names(table: Any) -> list[Any] | None:
    """Return the names of a data frame, an Arrow table or a structured array, or None."""
    if isinstance(table, np.ndarray):
        return list(table.dtype.names) if table.dtype.names else None
    if hasattr(table, "collect"):  # a lazy frame, which is not computed yet
        return None
    names = getattr(table, "column_names", getattr(table, "columns", None))
    if names is None or callable(names) or not hasattr(table, "__getitem__"):
        return None
    return list(names)


def sum_tolerance(value: Any, n_classes: int) -> float:
    """Return how far a sum of probabilities may be from 1 in the precision they have."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return max(_SUM_TOLERANCE, n_classes * _ROUNDING.get(kind, 0.0))


def _array_of_tensor(tensor: Any) -> Any:
    """Return a tensor as an array; NumPy has no bfloat16."""
    try:
        tensor = tensor.detach().cpu()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        tensor = tensor.to_dense().resolve_conj().resolve_neg()
        return (tensor.double() if tensor.dtype.is_floating_point else tensor).numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise TeacherOutputError(
            f"the teacher's tensor of type {tensor.dtype} cannot be read: {error}. Return "
            "probabilities, as `logits.softmax(-1)` gives."
        ) from error
