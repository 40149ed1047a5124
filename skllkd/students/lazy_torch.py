"""Lazy access to `_torch`: torch is imported when a student first needs it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skllkd.students import _torch as torch_part
else:

    class _Lazy:
        """Stands for the package until one of its names is asked for."""

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("skllkd.students._torch"), name)

    torch_part = _Lazy()

__all__ = ["torch_part"]
