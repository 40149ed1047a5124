"""Process-wide handles, such as models and clients: opened once and shared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class HandleKey(NamedTuple):
    """Identity of a handle: its owner, the state of its files, and its kind."""

    owner: Hashable  # by which it is closed, such as the path of a model
    state: Hashable  # changes when the owner's files do
    kind: Hashable = None


class Registry(Generic[T]):
    """Handles opened once a process, each closed by dropping the last reference."""

    def __init__(self) -> None:
        self._handles: dict[HandleKey, T] = {}
        self._lock = threading.RLock()

    def get(self, key: HandleKey, make: Callable[[], T]) -> T:
        """Return a handle, opened if it is not; those of an earlier state are dropped."""
        with self._lock:
            if key not in self._handles:
                for other in self._of(key.owner):
                    if other.state != key.state:
                        del self._handles[other]
                self._handles[key] = make()
            return self._handles[key]

    def close(self, owner: Hashable) -> bool:
        """Drop the handles of an owner; return whether there were any."""
        with self._lock:
            mine = self._of(owner)
            for key in mine:
                del self._handles[key]
        return bool(mine)

    def _of(self, owner: Hashable) -> list[HandleKey]:
        return [key for key in self._handles if key.owner == owner]

    def __len__(self) -> int:
        """Return how many handles are open."""
        return len(self._handles)
