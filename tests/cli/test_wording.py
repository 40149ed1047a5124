"""Messages speak of the options that the shell has."""

import ast
import inspect
import re
from argparse import Namespace
from pathlib import Path

import pytest
import skllkd
from skllkd import LLKDClassifier
from skllkd.cli.main import parser_of_all
from skllkd.cli.wording import in_shell_words, shell_options, worded
from skllkd.students import FrozenEncoderStudent, TransformerStudent
from skllkd.teachers import LlamaCppTeacher, OpenAITeacher, TransformersTeacher

FIT = ["fit", "x.csv", "--teacher", "qwen", "--classes", "a", "b", "--model", "m"]
#: Parameters that messages name, but that no command of the shell can bring to an error.
OBJECTS = {
    *("calibration", "callbacks", "loss", "refine", "selection"),
    *("cache", "head", "linear_probe_epochs", "pooling", "trainable_layers"),
}


@pytest.fixture(scope="module")
def given():
    return parser_of_all().parse_args([*FIT, "--student", "an/encoder"])


@pytest.mark.parametrize(
    ("message", "in_shell"),
    [
        ("`max_calls=5` is reached", "--max-calls 5 is reached"),
        ("max_calls=5 is reached", "--max-calls 5 is reached"),
        (
            "set on_missing_class='warn' to go on",
            "set --on-missing-class warn to go on",
        ),
        ('Use method="votes", or', "Use --method votes, or"),
        ("set `price_per_million=(input, output)`, in", "set --price input output, in"),
        ("E.g. rate_limit=(500, None).", "E.g. --rate-limit 500 None."),
        ("(classes={name: description}), drop", "(--classes name=description), drop"),
        ("E.g. classes=['spam', 'ham'].", "E.g. --classes spam ham."),
        ("Use chat=False for", "Use --chat no for"),
        ("no answer in time (timeout_s)", "no answer in time (--timeout)"),
        ("with chat=..., or", "with --chat ..., or"),
        ("give them to `fit` as `gold`.", "give them to `fit` as --gold."),
        ("another with `store=` or", "another with --store or"),
        ("Raise `max_text_chars`, or", "Raise --max-text-chars, or"),
        (
            "does not answer for model='qwen': no",
            "does not answer for --teacher qwen: no",
        ),
        (
            "`model`: 'an/encoder' is no encoder",
            "--student: 'an/encoder' is no encoder",
        ),
        ("Check `model` and `base_url`.", "Check --teacher and --base-url."),
        ("which `refine` gives", "which `refine` gives"),
        ("the columns a=b and `text`", "the columns a=b and `text`"),
        ("at http://h/v1?max_calls=3 it", "at http://h/v1?max_calls=3 it"),
    ],
)
def test_parameters_become_options(message, in_shell, given):
    assert worded(message, given) == in_shell


def test_a_command_names_its_own_options_only():
    given = Namespace(teacher=None)
    assert in_shell_words("Raise `max_calls`.", {}, given) == "Raise `max_calls`."


def messages_of(folder):
    """Generate the strings of a folder's code that are no docstrings."""
    for path in Path(skllkd.__file__).parent.joinpath(folder).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in docs:
                yield node.value


def test_every_parameter_that_a_message_names_has_an_option(given):
    kinds = [OpenAITeacher, LlamaCppTeacher, TransformersTeacher, LLKDClassifier]
    kinds += [TransformerStudent, FrozenEncoderStudent]
    parameters = {name for kind in kinds for name in inspect.signature(kind).parameters}
    named = {
        next(filter(None, found))
        for folder in ("teachers", "students", "training", "_core")
        for message in messages_of(folder)
        for found in re.findall(r"`(\w+)[`=]|\b(\w+)=", message)
    }
    assert {"method", "on_missing_class"} <= named
    options = set(shell_options(given.parser)) | {"model"}
    assert (named & parameters) - options == OBJECTS & named
