"""The command that plans a labelling, and tries whatever it and `fit` need."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.classes import classes_of
from skllkd.cli.console import say
from skllkd.cli.student import add_student, student_of
from skllkd.cli.tables import add_input, texts_of
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.cli.wording import worded
from skllkd.exceptions import SkllkdError

_T = TypeVar("_T")


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    plan = add_command(
        commands,
        "plan",
        _plan,
        "estimate calls, tokens, cost and time, and try whatever labelling and fit need",
        "Prints texts, repeats, stored answers, tokens, and, with a price, the cost. Asks "
        "the teacher about a few texts, whose answers are stored, and shows the prompt.",
        ANSWERS_ARE_STORED,
    )
    add_input(plan)
    plan.add_argument(
        "--sample", type=int, default=5, help="texts to ask about; 0 for no call"
    )
    add_teacher(plan)
    add_student(plan, required=False)


def _plan(options: argparse.Namespace) -> None:
    """Print the cost of labelling and the outcome of the trials."""
    classes, texts = classes_of(options), texts_of(options)
    # Imported late: an error in the arguments is not to wait for scikit-learn.
    from skllkd.inspection.verdict import judge_labels
    from skllkd.teachers.sample import ask_sample
    from skllkd.training.preflight import preflight

    teacher, n_sample = teacher_of(options), options.sample
    trials = _Trials(options)
    sample = None
    if n_sample:
        say(f"asking about {n_sample} texts")
        sample = trials.of(
            "teacher", lambda: ask_sample(teacher, texts, classes, n_sample), "answers"
        )
    print(_at_pace(teacher.plan(texts, classes), sample))
    if sample is not None:
        print(f"\n{sample}\n{worded(judge_labels(sample.labels), options)}\n")
    say("trying the student's encoder")
    student = student_of(options)
    is_named = options.student is not None or options.model is not None
    trials.of("student", lambda: preflight(student), "its encoder loads", is_named)
    if options.model is not None:
        place = {"n_texts": len(texts), "folder": options.model}
        trials.of("folder", lambda: preflight(None, classes, **place), "can be written")
    print("\n".join(trials.lines))


class _Trials:
    """Outcomes of trials, each in a line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.lines: list[str] = []

    def of(
        self,
        name: str,
        attempt: Callable[[], _T],
        success: str,
        is_needed: bool = True,
    ) -> _T | None:
        """Return the result of an attempt, None where it fails; note the outcome."""
        try:
            result = attempt()
        except (SkllkdError, OSError) as error:
            problem = worded(str(error), self._options)
            note = "PROBLEM" if is_needed else "PROBLEM, for fit only"
            self.lines.append(f"{name}: {note}: {problem}")
            return None
        self.lines.append(f"{name}: {success}")
        return result


def _at_pace(plan: Any, sample: Any) -> Any:
    """Return a plan with the time that the texts of a sample took, if it is shorter."""
    if sample is None or not sample.seconds_per_text or plan.seconds == 0:
        return plan
    seconds = plan.n_calls * sample.seconds_per_text
    return replace(plan, seconds=min(seconds, plan.seconds or seconds))
