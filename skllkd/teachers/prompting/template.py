"""Prompt text: the task, the classes and the examples, around a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skllkd._core.classes import Classes
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError, SavedModelError

#: Printed by chat templates that print today's date, so that a prompt does not change,
#: and is not paid for again, with the day.
TEMPLATE_DATE = "26 Jul 2024"
#: Stands for the text while a prompt is rendered; a private-use character keeps it
#: from meeting anything a template writes itself.
_PLACE = "\ue000TEXT\ue000"
_ANSWER = "\ue000ANSWER\ue000"

Message = dict[str, str]
#: The class of an example, or the several that it has.
Label = str | frozenset[str]
Example = tuple[str, Label]
#: The answers about a class that a text has or has not.
YES_NO = ("yes", "no")
#: Renders chat messages, ready for the assistant's answer.
ChatTemplate = Callable[[list[Message]], str]


@dataclass(frozen=True)
class PromptTemplate:
    """Prompt around a text, and the answer that stands for each class."""

    before: str  # the task, the classes and the examples, up to the text
    after: str  # from the text on, up to where the answer begins
    answers: tuple[str, ...]  # as the model writes them there
    end: str  # follows an answer in the prompt's examples


def one_line(text: str) -> str:
    """Put a text on one line, so that it cannot imitate the prompt's own lines."""
    return " ".join(text.split())


def build_template(
    classes: Classes,
    instruction: str | None,
    examples: Sequence[Example],
    chat_template: ChatTemplate | None,
) -> PromptTemplate:
    """Build the prompt, of plain lines where there is no chat template.

    With several classes a text, the answers are "NAME: yes" and "NAME: no" for each
    class in turn; the examples have a line for each class.
    """
    task = _task(classes, instruction)
    if chat_template is not None:
        return _chat_prompt(task, classes, examples, chat_template)
    head, space = ("\n", "") if classes.multilabel else ("\nClass:", " ")
    shown = [
        f"Text: {text}{head}{space}{_answer(label, classes)}\n\n"
        for text, label in examples
    ]
    before = f"{task}\n\n{''.join(shown)}Text: "
    answers = tuple(f"{space}{answer}" for answer in _answers(classes))
    return PromptTemplate(before, head, answers, end="\n")


def _answers(classes: Classes) -> tuple[str, ...]:
    """Return the answers that are scored: a class each, or yes and no for each class."""
    if not classes.multilabel:
        return classes.words
    return tuple(f"{word}: {said}" for word in classes.words for said in YES_NO)


def _answer(label: Label, classes: Classes) -> str:
    """Return the answer to an example."""
    if isinstance(label, str):
        return label
    return "\n".join(f"{word}: {YES_NO[word not in label]}" for word in classes.words)


def _chat_prompt(
    task: str,
    classes: Classes,
    examples: Sequence[Example],
    chat_template: ChatTemplate,
) -> PromptTemplate:
    """Build the prompt of a chat, with an example in each of its earlier turns."""
    question = "Which classes?" if classes.multilabel else "Class?"
    turns: list[Message] = []
    for text, label in [*examples, (_PLACE, "")]:
        turns.append({"role": "user", "content": f"Text: {text}\n{question}"})
        turns.append({"role": "assistant", "content": _answer(label, classes)})
    turns.pop()
    try:
        start = [{"role": "system", "content": task}]
        prompt = chat_template([*start, *turns])
    except Exception:  # a template may refuse a system turn: Gemma's does
        start = []
        turns[0]["content"] = f"{task}\n\n{turns[0]['content']}"
        prompt = chat_template(turns)
    if prompt.count(_PLACE) != 1:
        raise SavedModelError(
            "the model's chat template does not print the user's message as it is, so "
            "texts cannot be put into it. Use chat=False for a plain prompt."
        )
    before, after = prompt.split(_PLACE)
    answered = [*start, *turns, {"role": "assistant", "content": _ANSWER}]
    end = chat_template(answered).rpartition(_ANSWER)[2]
    return PromptTemplate(before, after, _answers(classes), end)


def _task(classes: Classes, instruction: str | None) -> str:
    """Return the task in words, with the descriptions of the classes."""
    if instruction is None and classes.multilabel:
        instruction = (
            "Decide for each text which of these classes apply to it, none, one or "
            f"several: {', '.join(classes.words)}. Answer yes or no for each class."
        )
    elif instruction is None:
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


def as_examples(examples: Any, classes: Classes) -> list[Example]:
    """Return few-shot examples as pairs of a text on one line and its class, checked.

    With several classes a text, the pairs are of a text and the set of its classes.
    """
    pairs: list[Example] = []
    for row, pair in enumerate(examples or ()):
        if isinstance(pair, str) or len(pair) != 2:
            form = "(text, list of classes)" if classes.multilabel else "(text, class)"
            raise InvalidParameterError(
                f"`examples` must hold {form} pairs; got {pair!r} at index {row}."
            )
        text, given = pair
        is_list = isinstance(given, (list, tuple, set, frozenset))
        if classes.multilabel and not is_list:
            raise InvalidParameterError(
                "`examples` must hold (text, list of classes) pairs, as a text may have "
                f"several; got {given!r} at index {row}. E.g. ({text!r}, [{given!r}])."
            )
        for name in given if classes.multilabel else [given]:
            if name not in classes.names:
                raise InvalidParameterError(
                    f"`examples` must use the names in `classes`; got {name!r} at index "
                    f"{row}, classes are {list(classes.words)}."
                )
        label = frozenset(map(str, given)) if classes.multilabel else str(given)
        pairs.append((one_line(as_texts([text], "examples")[0]), label))
    return pairs
