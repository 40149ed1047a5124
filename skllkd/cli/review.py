"""The command that lets people label the texts that tell the most about a classifier."""

from __future__ import annotations

import argparse
import secrets
import shlex
import socket
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

from skllkd._core.places import check_file
from skllkd.cli.arguments import add_command
from skllkd.cli.console import say
from skllkd.cli.serve import is_loopback
from skllkd.cli.settings import FILE
from skllkd.cli.tables import add_input, texts_of
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.exceptions import InvalidParameterError


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    review = add_command(
        commands,
        "review",
        _review,
        "label the texts that tell the most about a saved classifier",
        "Opens a page of this machine that asks about a text at a time: first a random "
        "sample, for an honest accuracy, then texts on which student, teacher and refined "
        "labels disagree, then label issues. Give the texts of `skllkd fit`, whose labels "
        "are known, or others.",
        "Every answer is saved: run the same command to go on.",
    )
    review.add_argument(
        "model", help="folder of `skllkd fit`, a cascade, or an ONNX file"
    )
    add_input(review)
    add = review.add_argument
    add("--answers", metavar="FILE", help="CSV file of the answers; beside the model, as "
        "MODEL-review.csv, if not named")  # fmt: skip
    add(
        "--random",
        type=_count,
        default=50,
        metavar="N",
        help="texts of the random sample",
    )
    add("--terminal", action="store_true", help="ask in the terminal, without a page")
    add(
        "--no-browser",
        action="store_true",
        help="print the address, and open no browser",
    )
    add("--host", default="127.0.0.1", help="address to listen at")
    add("--port", type=int, default=0, help="port to listen at; 0 for any that is free")
    add_teacher(review, required=False)


def _count(given: str) -> int:
    """Return a number of texts."""
    if not given.isdecimal():
        raise argparse.ArgumentTypeError(f"{given!r} is no number of texts, as 50")
    return int(given)


def _review(options: argparse.Namespace) -> None:
    """Review a classifier until told to stop."""
    _check(options)
    from skllkd.serving.review.answers import AnswerFile
    from skllkd.serving.review.pool import MAX_TEXTS, load_reviewed, read_pool
    from skllkd.serving.review.session import ReviewSession

    path, texts = answers_path(options), texts_of(options)
    check_file(path)
    classifier, threshold = load_reviewed(Path(options.model))
    say(f"reading {min(len(texts), MAX_TEXTS):,} of {len(texts):,} texts")
    teacher = None if options.teacher is None else teacher_of(options)
    pool = read_pool(classifier, texts, teacher)
    with AnswerFile(path, pool.classes, multilabel=pool.multilabel) as answers:
        _tell(answers, path)
        session = ReviewSession(pool, answers, options.random)
        with suppress(KeyboardInterrupt):  # the way to end it
            if options.terminal:
                from skllkd.cli.review_terminal import review_in_terminal

                review_in_terminal(session)
            else:
                _serve(session, classifier, threshold, options)
        say(f"{len(answers):,} answers in {path}. To learn them:")
        say(f"  {refit_command(options, path)}")


def _check(options: argparse.Namespace) -> None:
    """Raise for options that do not go together, and without the packages needed."""
    from skllkd._core.params import optional_import

    if options.terminal and options.input == "-":
        raise InvalidParameterError(
            "the texts come from standard input, which --terminal reads answers from. "
            "Name a file of texts."
        )
    if not options.terminal:
        optional_import("uvicorn", "serve")
        optional_import("fastapi", "serve")


def answers_path(options: argparse.Namespace) -> Path:
    """Return the file of the answers: beside the model, whose folder holds no texts."""
    if options.answers is not None:
        return Path(options.answers).expanduser()
    model = Path(options.model).expanduser().resolve()
    name = model.stem if model.suffix == ".onnx" else model.name
    return Path(options.model).expanduser().parent / f"{name}-review.csv"


def _tell(answers: Any, path: Path) -> None:
    """Say how many answers there are already, and whether one was cut off."""
    if answers.torn:
        torn = answers.torn.decode("utf-8", "replace")
        say(f"{path}: the last line was cut off, and is left out: {torn!r:.200}")
    if len(answers):
        say(f"{len(answers):,} answers so far, in {path}")


def refit_command(options: argparse.Namespace, path: Path) -> str:
    """Return the command that learns the answers."""
    gold = ["--gold", str(path)]
    if options.config is None and Path(FILE).is_file():
        return shlex.join(["skllkd", "fit", *gold])
    if options.config is not None:
        return shlex.join(["skllkd", "fit", "--config", options.config, *gold])
    words = ["skllkd", "fit", options.input]
    if options.column != "text":
        words += ["--column", options.column]
    return f"{shlex.join(words)} ... {shlex.join(gold)}   (... as in the fit before)"


def _serve(
    session: Any, classifier: Any, threshold: float | None, options: argparse.Namespace
) -> None:
    """Serve the page until told to stop, and open it in the browser."""
    import uvicorn

    from skllkd.serving.review.app import Reviewed, make_review_app

    token = secrets.token_urlsafe(16)
    command = refit_command(options, session.answers.path)
    reviewed = Reviewed(Path(options.model).name, classifier, threshold, command)
    app = make_review_app(session, reviewed, token)
    with _listening(options.host, options.port) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{port}/{token}/"
        print(f"Review at {url}\nCtrl+C ends it.", flush=True)
        if not is_loopback(host):
            say("other machines can connect, unencrypted, if they know the address")
        if not options.no_browser:
            webbrowser.open(url)  # waits in the queue of the socket for the server
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise InvalidParameterError(
            f"--host {host} --port {port} cannot be listened at: {error}. Leave --port "
            "out, or name another."
        ) from error
    return listener
