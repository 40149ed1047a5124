"""What is kept of a teacher's answers, and what they took."""

from __future__ import annotations

from typing import Any, NamedTuple

from skllkd._core.arrays import FloatArray


class Answer(NamedTuple):
    """A teacher's answer for one text."""

    log_prob: FloatArray
    label_mass: float


class Usage(NamedTuple):
    """What asking has taken so far.

    Parameters
    ----------
    n_calls : int
        How often a model was called, for most teachers once a text.
    input_tokens, output_tokens : int
        The tokens it read and wrote, as far as it says.
    seconds : float
        The wall time of the asking, in seconds.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> teacher = CallableTeacher(lambda texts: ["ham"] * len(texts), store=False)
    >>> teacher.label(["a prize", "at noon"], ["spam", "ham"]).usage.n_calls
    2
    """

    n_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """Return the sum.

        Parameters
        ----------
        other : Usage
            What is added.

        Returns
        -------
        Usage
            The sum.
        """
        return Usage(
            self.n_calls + other.n_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.seconds + other.seconds,
        )


class StoredAnswers(NamedTuple):
    """What a store holds under one specification.

    Parameters
    ----------
    specification : str
        The key.
    description : dict
        What it stands for: the kind of teacher, the model and the classes.
    n_answers : int
        How many texts have an answer.
    n_refusals : int
        How many texts the model gave no usable answer for.
    usage : Usage
        What they took.
    last : float
        When the last answer was stored, in seconds since 1970; NaN for none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skllkd.teachers import CallableTeacher, LabelStore
    >>> store = Path(tempfile.mkdtemp()) / "labels.sqlite"
    >>> def by_length(texts):
    ...     return ["long" if len(text) > 4 else "short" for text in texts]
    >>> teacher = CallableTeacher(by_length, cache_key="by length", store=store)
    >>> _ = teacher.label(["at noon", "no"], ["short", "long"])
    >>> with LabelStore(store) as opened:
    ...     [(entry.n_answers, entry.n_refusals) for entry in opened.contents()]
    [(2, 0)]
    """

    specification: str
    description: dict[str, Any]
    n_answers: int
    n_refusals: int
    usage: Usage
    last: float
