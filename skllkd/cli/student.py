"""The student of the command line: its options, and the objects they stand for."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from skllkd._core.windows import WINDOWS
from skllkd.exceptions import InvalidParameterError

#: Options that are parameters of a student, by the same name.
_SETTINGS = (
    *("learning_rate", "head_learning_rate", "max_length", "window"),
    *("predict_batch_size", "device"),
)


def add_student(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the student, its training, and the folder it is saved in."""
    add = parser.add_argument_group("student").add_argument
    add(
        "--model",
        metavar="FOLDER",
        required=required,
        help="folder to save the classifier in",
    )
    add("--student", help="encoder: a folder or a name on the model hub")
    add("--frozen", action="store_true", help="train a head only: seconds")
    add(
        "--predict-batch-size",
        type=int,
        metavar="N",
        help="texts predicted at once, if not 64",
    )
    add(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="learning rate, if not the student's own",
    )
    add(
        "--head-learning-rate",
        type=float,
        metavar="RATE",
        help="learning rate of the head, without --frozen, if not the student's own",
    )
    add(
        "--max-length",
        type=int,
        metavar="N",
        help="tokens of a text that are read, at most",
    )
    add(
        "--window",
        choices=list(WINDOWS),
        help="part read of a longer text: its head (usual), head and tail, or the mean "
        "over overlapping windows",
    )
    add("--device", help="device, as cpu or cuda:0, if not the one that is found")
    _add_training(parser.add_argument_group("training"))


def _add_training(group: argparse._ArgumentGroup) -> None:
    """Add the training."""
    add = group.add_argument
    add(
        "--epochs",
        dest="n_epochs",
        type=int,
        metavar="N",
        default=3,
        help="passes over the texts",
    )
    add("--batch-size", type=int, metavar="N", default=32, help="texts of a step")
    add(
        "--seed",
        dest="random_state",
        type=int,
        metavar="N",
        default=0,
        help="seed of the student",
    )
    add(
        "--budget",
        type=_budget,
        metavar="N",
        help="number or share of the texts to be labelled",
    )
    add(
        "--on-missing-class",
        choices=["raise", "warn"],
        default="raise",
        help="whether to stop, or to go on with a warning, if the teacher chose a class "
        "for no text",
    )


def student_of(options: argparse.Namespace) -> Any:
    """Return the student."""
    from skllkd.students import FrozenEncoderStudent, TransformerStudent

    kind: Any = FrozenEncoderStudent if options.frozen else TransformerStudent
    given = {name: getattr(options, name) for name in _SETTINGS}
    given = {name: value for name, value in given.items() if value is not None}
    for name in set(given) - set(inspect.signature(kind).parameters):
        raise InvalidParameterError(f"`{name}` is not for --frozen. Leave it out.")
    return kind(**given) if options.student is None else kind(options.student, **given)


def classifier_of(options: argparse.Namespace, teacher: Any, classes: Any) -> Any:
    """Return the classifier that is to be fitted."""
    from skllkd import LLKDClassifier
    from skllkd.selection import AcceptReject

    budget = options.budget
    return LLKDClassifier(
        teacher,
        classes,
        acquisition=None if budget is None else AcceptReject(budget),
        student=student_of(options),
        n_epochs=options.n_epochs,
        batch_size=options.batch_size,
        on_missing_class=options.on_missing_class,
        random_state=options.random_state,
    )


def _budget(given: str) -> float:
    """Return a number of texts, or a share of them."""
    return int(given) if given.isdecimal() else float(given)
