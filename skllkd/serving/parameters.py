"""Checks of the parameters of a cascade."""

from __future__ import annotations

from typing import Any

from skllkd._core.params import check_number, check_option, shown
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.reading import Reading


def check_parameters(cascade: Any) -> None:
    """Raise unless the parameters of a cascade are allowed."""
    for name in ("target", "confidence"):
        check_number(getattr(cascade, name), name, 0, 1, open_low=True, open_high=True)
    check_option(cascade.metric, "metric", ["agreement", "accuracy"])
    check_number(cascade.audit_share, "audit_share", 0, 1)
    if not hasattr(cascade.clf, "predict_proba"):
        raise InvalidParameterError(
            "`clf` must be a classifier with `predict_proba`; got "
            f"{shown(cascade.clf)}."
        )
    held_out = cascade.held_out
    if isinstance(held_out, str):
        check_option(held_out, "held_out", ["prefit", "a share in (0, 1)"])
    else:
        check_number(held_out, "held_out", 0, 1, open_low=True, open_high=True)


def check_abstention_label(label: Any, reading: Reading) -> None:
    """Raise unless an abstention label can stand beside the class names."""
    if label is None:
        return
    if reading.multilabel:
        raise InvalidParameterError(
            "`abstention_label` must be None where a text may have several classes; "
            f"got {shown(label)}."
        )
    names = reading.classes.tolist()
    if label in names or not isinstance(label, type(names[0])):
        raise InvalidParameterError(
            "`abstention_label` must be None or another value of the type of the "
            f"classes, {type(names[0]).__name__}; got {shown(label)} beside "
            f"{shown(names)}."
        )
