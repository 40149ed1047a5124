"""The command that makes a cascade: a promise, and a folder that serves it."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from skllkd._core.near import near
from skllkd._core.places import check_folder
from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.console import say
from skllkd.cli.gold import judged_texts
from skllkd.cli.tables import add_input, texts_of
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.exceptions import GuaranteeWarning, InvalidParameterError

#: Number of texts that are predicted one at a time, to know how long it takes.
_N_TIMED = 100


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    cascade = add_command(
        commands,
        "cascade",
        _cascade,
        "make a cascade: a saved classifier that answers where it keeps a promise",
        "Chooses the confidence from which it answers, with texts that it did not learn "
        "from. Right is the label of --teacher, which is to be the one of `skllkd fit`, or "
        "the gold label in --gold-column. Prints the report, and saves a folder for "
        "`skllkd serve` and `skllkd predict`, which ask the teacher about the other texts.",
        ANSWERS_ARE_STORED,
    )
    cascade.add_argument("model", help="folder of `skllkd fit`, or an ONNX file")
    add_input(cascade)
    add = cascade.add_argument
    add("--output", "-o", required=True, metavar="FOLDER", help="folder to save in")
    add(
        "--target",
        type=float,
        default=0.97,
        metavar="SHARE",
        help="share of its answers that are to be right, at least",
    )
    add(
        "--confidence",
        type=float,
        default=0.95,
        metavar="P",
        help="probability that they are, over the draw of the texts",
    )
    add(
        "--gold-column",
        metavar="NAME",
        help="column of the gold labels, `gold` in the answers of `skllkd review`; rows "
        "without one are left out",
    )
    add_price(cascade)
    add_teacher(cascade, required=False)


def add_price(parser: argparse.ArgumentParser) -> None:
    """Add the price of the teacher, for the report of a cascade."""
    parser.add_argument(
        "--teacher-price",
        type=float,
        metavar="PRICE",
        help="the teacher's price of a thousand texts, for the report",
    )


def _cascade(options: argparse.Namespace) -> None:
    """Make a cascade of a saved classifier, and save it."""
    _check(options)
    from skllkd.serving.files import load_classifier

    classifier = load_classifier(Path(options.model))
    texts, gold = _texts_and_gold(options, classifier)
    _tell_learned(classifier, texts, options)
    cascade = _fitted(_unfitted(classifier, options), texts, gold)
    cascade.save(options.output)
    for text in texts[:_N_TIMED]:
        cascade._student_proba([text])  # which notes how long it takes
    print(cascade.report(options.teacher_price))
    say(f"saved in {options.output}. To serve it: skllkd serve {options.output}")


def _check(options: argparse.Namespace) -> None:
    """Raise for what can be seen before anything is read."""
    from skllkd._core.params import check_number

    for name in ("target", "confidence"):
        given = getattr(options, name)
        check_number(given, f"--{name}", 0, 1, open_low=True, open_high=True)
    if options.teacher_price is not None:
        check_number(options.teacher_price, "--teacher-price", 0)
    if options.teacher is None and options.gold_column is None:
        raise InvalidParameterError(
            "nothing says which answers are right: name the --teacher to agree with, or "
            "the column of gold labels with --gold-column, `gold` in the answers of "
            "`skllkd review`."
        )
    check_folder(options.output)


def _texts_and_gold(
    options: argparse.Namespace, classifier: Any
) -> tuple[list[str], list[Any] | None]:
    """Return the texts, and their gold labels if a column of them is named."""
    if options.gold_column is None:
        return texts_of(options), None
    from skllkd.serving.estimator import given_classes

    classes = given_classes(classifier)
    texts, gold, _ = judged_texts(options, classes, "--gold-column")
    if not classes.multilabel:
        _tell_unknown(gold, list(classes.names))
    return texts, gold


def _tell_unknown(gold: list[Any], names: list[Any]) -> None:
    """Say which gold labels are none of the classes: no answer can be right there."""
    unknown = [label for label in gold if label not in names]
    for label in dict.fromkeys(unknown):
        question = near(str(label), list(map(str, names)))
        n = unknown.count(label)
        say(
            f"{n} texts have the gold label {label!r}, which is no class of the "
            f"classifier: its answers there are wrong.{question}"
        )


def _tell_learned(
    classifier: Any, texts: list[str], options: argparse.Namespace
) -> None:
    """Say how many texts the classifier learned from, or raise if these are all."""
    from skllkd._fitted import FittedState

    state = getattr(classifier, "_fitted", None)
    learned = state.has_learned(texts).sum() if isinstance(state, FittedState) else 0
    if learned == len(texts):
        raise InvalidParameterError(
            f"{options.input}: the classifier learned from all {len(texts):,} texts, which "
            "prove nothing about new ones. Name others, labelled by `skllkd review` or a "
            "teacher."
        )
    if learned:
        say(f"{learned:,} texts are left out: the classifier learned from them")


def _unfitted(classifier: Any, options: argparse.Namespace) -> Any:
    """Return the cascade, whose teacher is the classifier's own where it can have one."""
    from skllkd import CascadeClassifier, LLKDClassifier

    teacher: Any = False
    if options.teacher is not None:
        teacher = teacher_of(options)
        if isinstance(classifier, LLKDClassifier):
            classifier.set_params(teacher=teacher)
            teacher = None
    return CascadeClassifier(
        classifier,
        teacher,
        target=options.target,
        confidence=options.confidence,
        metric="agreement" if options.gold_column is None else "accuracy",
        held_out="prefit",
        verbose=1,
    )


def _fitted(cascade: Any, texts: list[str], gold: list[Any] | None) -> Any:
    """Return the fitted cascade, or raise if nothing can be promised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", GuaranteeWarning)
        try:
            return cascade.fit(texts, gold)
        except GuaranteeWarning as warning:
            raise InvalidParameterError(
                f"--target {cascade.target:g} cannot be promised, and nothing is saved: "
                f"{warning}"
            ) from None
