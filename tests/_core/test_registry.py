"""Handles opened once a process."""

import gc
import weakref

import pytest
from skllkd._core.registry import HandleKey, Registry


class Handle:
    pass


def test_a_handle_is_opened_once_for_its_owner_state_and_kind():
    handles = Registry()
    first = handles.get(HandleKey("m", 1, "tokens"), Handle)
    assert handles.get(HandleKey("m", 1, "tokens"), Handle) is first
    assert handles.get(HandleKey("m", 1, "weights"), Handle) is not first
    assert handles.get(HandleKey("other", 1, "tokens"), Handle) is not first
    assert len(handles) == 3


def test_handles_of_an_earlier_state_are_dropped():
    handles = Registry()
    old = weakref.ref(handles.get(HandleKey("m", 1), Handle))
    kept = handles.get(HandleKey("other", 1), Handle)
    handles.get(HandleKey("m", 2), Handle)
    gc.collect()
    assert old() is None and len(handles) == 2
    assert handles.get(HandleKey("other", 1), Handle) is kept


def test_closing_drops_what_an_owner_has_and_is_harmless_twice():
    handles = Registry()
    for kind in ("tokens", "weights"):
        handles.get(HandleKey("m", 1, kind), Handle)
    handles.get(HandleKey("other", 1), Handle)
    assert handles.close("m") and not handles.close("m")
    assert len(handles) == 1


def test_an_opening_that_fails_leaves_nothing_open():
    def fail():
        raise OSError("no such model")

    handles = Registry()
    with pytest.raises(OSError, match="no such model"):
        handles.get(HandleKey("m", 1), fail)
    assert len(handles) == 0
