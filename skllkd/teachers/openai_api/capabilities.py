"""What a server takes and gives for a model, and who remembers it."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.store import LabelStore
from skllkd.teachers.metered.store_files import default_store_path

_lock = threading.Lock()


@dataclass(frozen=True)
class Dialect:
    """What a server takes and gives for a model.

    Parameters
    ----------
    gives_logprobs : bool
        Whether it lists the likeliest tokens with their log-probabilities.
    top_logprobs : int
        How many it lists.
    limit_name : {"max_tokens", "max_completion_tokens"}
        How it calls the most tokens an answer may take.
    takes_temperature : bool
        Whether the temperature can be set.
    reasons : bool
        Whether the model thinks in tokens before it answers.
    takes_schema : bool or None
        Whether it takes structured output; None if that was not tried.
    samples_several : bool or None
        Whether it samples `n` answers to a request; None if that was not tried.
    """

    gives_logprobs: bool = True
    top_logprobs: int = 20
    limit_name: str = "max_tokens"
    takes_temperature: bool = True
    reasons: bool = False
    takes_schema: bool | None = None
    samples_several: bool | None = None

    def to_json(self) -> str:
        """Return the dialect as JSON.

        Returns
        -------
        str
            An object.
        """
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Dialect:
        """Return the dialect of `to_json`.

        Parameters
        ----------
        text : str
            The object.

        Returns
        -------
        Dialect
            The dialect.
        """
        return cls(**json.loads(text))

    def suits(self, method: str) -> bool:
        """Return whether all is known that a method needs.

        Parameters
        ----------
        method : str
            The teacher's method.

        Returns
        -------
        bool
            Whether no probe is needed.
        """
        if method == "votes":
            return self.samples_several is not None
        if method == "label" or (method == "auto" and not self.gives_logprobs):
            return self.takes_schema is not None
        return self.gives_logprobs


def form_fault(completion: Any) -> str:
    """Return what is wrong with the form of a completion.

    Parameters
    ----------
    completion : object
        The server's answer, parsed.

    Returns
    -------
    str
        The fault, "" for none.
    """
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not choices:
        return "the body is no chat completion"
    for choice in choices:
        message = choice.get("message") if isinstance(choice, dict) else None
        content = message.get("content") if isinstance(message, dict) else 0
        if not isinstance(content, (str, type(None))):
            return "the body is no chat completion"
    return ""


def usage_of(completion: Any) -> Usage:
    """Return the tokens a completion took, as far as the server says.

    Parameters
    ----------
    completion : object
        The server's answer, parsed.

    Returns
    -------
    Usage
        Tokens, and no call.
    """
    used = completion.get("usage") if isinstance(completion, dict) else None
    if not isinstance(used, dict):
        return Usage()
    counts = (used.get("prompt_tokens"), used.get("completion_tokens"))
    return Usage(0, *(n if isinstance(n, int) and n > 0 else 0 for n in counts))


def listed_tokens(choice: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the likeliest first tokens of an answer.

    Parameters
    ----------
    choice : dict
        The answer.

    Returns
    -------
    list of (str, float)
        Tokens with their probability; empty where the server lists none.
    """
    try:
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        listed = [(str(entry["token"]), math.exp(entry["logprob"])) for entry in top]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return []
    return [(token, p) for token, p in listed if 0 <= p <= 1 + 1e-6]


class Notes:
    """What is known of a server and a model, here and in a store.

    Parameters
    ----------
    key : str
        What stands for the server and the model. It is kept as part of a digest only.
    store : str, Path, False or None
        The teacher's store; False where nothing is to outlast the process.
    """

    _dialects: ClassVar[dict[str, Dialect]] = {}
    _unreported: ClassVar[dict[str, Usage]] = {}

    def __init__(self, key: str, store: Any) -> None:
        self._store = store
        self._fact = f"openai dialect of {key}"
        path = "" if store is False else str(store or default_store_path())
        self._name = f"{path} {key}"

    def dialect(self) -> Dialect | None:
        """Return what is known.

        Returns
        -------
        Dialect or None
            What was found once; None if nothing was.
        """
        with _lock:
            known = self._dialects.get(self._name)
        if known is None and self._store is not False:
            with LabelStore(self._store) as store:
                remembered = store.fact(self._fact)
            if remembered is not None:
                known = Dialect.from_json(remembered)
                with _lock:
                    self._dialects[self._name] = known
        return known

    def keep(self, dialect: Dialect, usage: Usage) -> None:
        """Keep what was found.

        Parameters
        ----------
        dialect : Dialect
            What was found.
        usage : Usage
            What that took, for `unreported`.
        """
        with _lock:
            self._dialects[self._name] = dialect
            before = self._unreported.get(self._name, Usage())
            self._unreported[self._name] = before.plus(usage)
        if self._store is not False:
            with LabelStore(self._store) as store:
                store.remember(self._fact, dialect.to_json())

    def unreported(self) -> Usage:
        """Return what finding out took, once.

        Returns
        -------
        Usage
            What no answer has been charged with yet.
        """
        with _lock:
            return self._unreported.pop(self._name, Usage())
