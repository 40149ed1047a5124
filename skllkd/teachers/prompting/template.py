"""The prompt: what a language model reads before it names a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skllkd._core.classes import Classes
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError, ModelFileError

#: Stands for the text while a prompt is rendered; a private-use character keeps it
#: from meeting anything a template writes itself.
_PLACE = "\ue000TEXT\ue000"
_ANSWER = "\ue000ANSWER\ue000"

Message = dict[str, str]
#: Renders chat messages, ready for the assistant's answer.
ChatTemplate = Callable[[list[Message]], str]


@dataclass(frozen=True)
class PromptFrame:
    """What stands around a text in a prompt.

    Parameters
    ----------
    before : str
        The prompt up to the text: the task, the classes, the examples.
    after : str
        The prompt from the text on, up to where the answer begins.
    answers : tuple of str
        What the model writes for each class at that place.
    end : str
        What follows an answer in the prompt's examples.
    """

    before: str
    after: str
    answers: tuple[str, ...]
    end: str


def one_line(text: str) -> str:
    """Return a text on one line, so that it cannot imitate the prompt's own lines.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        The text with every run of white space as one space.
    """
    return " ".join(text.split())


def build_frame(
    classes: Classes,
    instruction: str | None,
    examples: Sequence[tuple[str, str]],
    chat_template: ChatTemplate | None,
) -> PromptFrame:
    """Return the frame that asks for the class of a text.

    Parameters
    ----------
    classes : Classes
        The classes and their descriptions.
    instruction : str or None
        The task in words; None for a sentence that names the classes.
    examples : sequence of (str, str)
        Texts with the class each has, shown before the text.
    chat_template : callable or None
        The model's chat template; None for a plain prompt of lines.

    Returns
    -------
    PromptFrame
        The frame.

    Raises
    ------
    ModelFileError
        If the template does not print the user's message as it is.
    """
    task = _task(classes, instruction)
    if chat_template is None:
        shown = [f"Text: {text}\nClass: {word}\n\n" for text, word in examples]
        before = f"{task}\n\n{''.join(shown)}Text: "
        answers = tuple(f" {word}" for word in classes.words)
        return PromptFrame(before, "\nClass:", answers, end="\n")

    turns: list[Message] = []
    for text, word in [*examples, (_PLACE, "")]:
        turns.append({"role": "user", "content": f"Text: {text}\nClass?"})
        turns.append({"role": "assistant", "content": word})
    turns.pop()
    try:
        start = [{"role": "system", "content": task}]
        prompt = chat_template([*start, *turns])
    except Exception:  # a template may refuse a system turn: Gemma's does
        start = []
        turns[0]["content"] = f"{task}\n\n{turns[0]['content']}"
        prompt = chat_template(turns)
    if prompt.count(_PLACE) != 1:
        raise ModelFileError(
            "the model's chat template does not print the user's message as it is, so "
            "texts cannot be put into it. Use chat=False for a plain prompt."
        )
    before, after = prompt.split(_PLACE)
    answered = [*start, *turns, {"role": "assistant", "content": _ANSWER}]
    end = chat_template(answered).rpartition(_ANSWER)[2]
    return PromptFrame(before, after, classes.words, end)


def _task(classes: Classes, instruction: str | None) -> str:
    """Return the task in words, with the descriptions of the classes."""
    if instruction is None:
        instruction = (
            "Classify each text. Answer with one of these classes only: "
            f"{', '.join(classes.words)}."
        )
    described = [
        f"- {word}: {one_line(description)}"
        for word, description in zip(classes.words, classes.descriptions, strict=True)
        if description
    ]
    return "\n".join([instruction.strip(), *described])


def as_examples(examples: Any, classes: Classes) -> list[tuple[str, str]]:
    """Return few-shot examples as (text, class word) pairs.

    Parameters
    ----------
    examples : sequence of (str, class) or None
        The examples.
    classes : Classes
        The classes.

    Returns
    -------
    list of (str, str)
        The examples, each text on one line.

    Raises
    ------
    InvalidParameterError
        If an entry is no pair, or its class is none of `classes`.
    """
    pairs = []
    for place, pair in enumerate(examples or ()):
        if isinstance(pair, str) or len(pair) != 2:
            raise InvalidParameterError(
                f"`examples` must hold (text, class) pairs; got {pair!r} at place "
                f"{place}."
            )
        text, name = pair
        if name not in classes.names:
            raise InvalidParameterError(
                f"`examples` must use the names in `classes`; got {name!r} at place "
                f"{place}, classes are {list(classes.words)}."
            )
        pairs.append((one_line(as_texts([text], "examples")[0]), str(name)))
    return pairs
