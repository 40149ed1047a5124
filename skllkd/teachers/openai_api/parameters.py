"""The parameters of the teacher behind the OpenAI API: what is allowed, and no secret."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from skllkd._core.params import check_number, check_option
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.openai_api.client import OPENAI_URL, Server

if TYPE_CHECKING:
    from skllkd.teachers.openai_api.teacher import OpenAITeacher

_METHODS = ["auto", "logprobs", "votes", "label"]
#: The parameters that are counts, with the smallest value of each.
_COUNTS = {"n_votes": 1, "max_concurrency": 1, "max_retries": 0, "max_text_chars": 1}


def check_parameters(teacher: OpenAITeacher) -> None:
    """Raise unless the parameters are what they should be.

    Parameters
    ----------
    teacher : OpenAITeacher
        The teacher.

    Raises
    ------
    InvalidParameterError
        If one is not.
    """
    if not isinstance(teacher.model, str) or not teacher.model.strip():
        raise InvalidParameterError(
            f"`model` must be the model's name on the server; got {teacher.model!r}."
        )
    check_option(teacher.method, "method", _METHODS)
    for name, low in _COUNTS.items():
        check_number(getattr(teacher, name), name, low, integer=True)
    check_number(teacher.timeout_s, "timeout_s", 0, open_low=True)
    for name in ("requests_per_minute", "tokens_per_minute"):
        if getattr(teacher, name) is not None:
            check_number(getattr(teacher, name), name, 0, open_low=True)
    if teacher.tokenizer is not None and not callable(teacher.tokenizer):
        raise InvalidParameterError(
            "`tokenizer` must be a function from a text to its tokens; got "
            f"{type(teacher.tokenizer).__name__}."
        )


def server_of(teacher: OpenAITeacher) -> Server:
    """Return where a teacher's model is.

    Parameters
    ----------
    teacher : OpenAITeacher
        The teacher.

    Returns
    -------
    Server
        The address, by default that of the environment or OpenAI's.

    Raises
    ------
    InvalidParameterError
        If the environment holds no address, or one with a secret.
    """
    base_url = teacher.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    problem = address_problem(base_url)
    if problem:
        raise InvalidParameterError(
            "the environment variable OPENAI_BASE_URL must hold an address such as "
            f"http://localhost:8000/v1; it holds one {problem}. Mend it, or set "
            "`base_url`."
        )
    return Server(base_url.rstrip("/"), teacher.model, teacher.api_key_env)


def is_variable_name(value: Any) -> bool:
    """Return whether a value names an environment variable, rather than being a key.

    Parameters
    ----------
    value : object
        What the user set.

    Returns
    -------
    bool
        Whether it is such a name: in capitals, unless there is a variable of it.
    """
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
        return False
    return value == value.upper() or value in os.environ


def address_problem(value: Any) -> str:
    """Return what is wrong with the address of an API.

    Parameters
    ----------
    value : object
        What the user set.

    Returns
    -------
    str
        The problem, without the address; "" for none.
    """
    try:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "without http:// or a host"
        if parts.username is not None or parts.password is not None:
            return "with a user or a password"
    except (ValueError, TypeError, AttributeError):
        return "that cannot be read"
    return "with a query" if parts.query or parts.fragment else ""
