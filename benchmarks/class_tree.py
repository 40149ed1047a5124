"""Classes in a tree against the same classes in a list: accuracy, calls and tokens.

    python -m benchmarks.class_tree --data FOLDER

Texts of three data sets, dev split, are one pool: news, questions and feelings, 16 classes
in 3 groups. SmolLM2-135M-Instruct in GGUF labels them without examples, calibrated: the
list in one question, or down the tree by one of three rules for the groups to ask about.
Differences to the list are paired over texts, with 95 % intervals. Nothing was chosen on
these texts. Resumable: answers are stored.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from skllkd._core.class_tree import level_of
from skllkd._core.classes import as_classes
from skllkd.datasets import smollm2_path
from skllkd.teachers import LlamaCppTeacher
from skllkd.teachers.class_tree import descent
from skllkd.teachers.class_tree.questions import questions_of

from benchmarks.cells import about, benchmark_parser, write_figures
from benchmarks.data import add_data_option
from benchmarks.tables import markdown_table

TREE = {
    "news report": {
        "World": "international politics and conflicts",
        "Sports": "matches and athletes",
        "Business": "companies and markets",
        "Sci/Tech": "science and technology",
    },
    "question": {
        "abbreviation": "asks for the meaning of an abbreviation",
        "description": "asks for a definition, reason or manner",
        "entity": "asks for a thing, animal or product",
        "human": "asks for a person or group",
        "location": "asks for a place",
        "numeric": "asks for a number or date",
    },
    "personal feeling": ["anger", "fear", "joy", "love", "sadness", "surprise"],
}
SETS = ["agnews", "trec6", "emotion"]


class OneGroup(descent._Descent):
    """The labelling that asks about the likeliest group alone."""

    def _wanted(self):
        classes, _ = self._reached()
        return np.where(classes.max(axis=1) > 0, -1, super()._wanted())


class EveryGroup(descent._Descent):
    """The labelling that asks about every group."""

    def _wanted(self):
        _, groups = self._reached()
        closed = np.stack([answers.is_closed for answers in self.answers], axis=1)
        left = np.where(closed, 0.0, groups)
        return np.where(left.max(axis=1) > 0, left.argmax(axis=1), -1)


RULES = {
    "down the tree, the rule": descent._Descent,
    "down the tree, one group": OneGroup,
    "down the tree, all groups": EveryGroup,
}


def load_texts(folder: Path, n_each: int):
    """Return texts of all sets in one order, with their classes."""
    rows = []
    for name in SETS:
        with (folder / name / "dev.jsonl").open(encoding="utf-8") as file:
            of_set = [json.loads(line) for line in file]
        order = np.random.RandomState(0).permutation(len(of_set))[:n_each]
        rows += [of_set[i] for i in order]
    order = np.random.RandomState(1).permutation(len(rows))
    texts = [rows[i]["text"] for i in order]
    return texts, np.array([rows[i]["label"] for i in order])


def prompt_tokens(teacher, classes) -> int:
    """Return the tokens of the prompt before a text, which an API reads each time."""
    return len(teacher._prompt(teacher._tokenizer(), classes).prefix)


def one_way(texts, gold, classes, rule) -> dict:
    """Return what a way of asking reaches, and what it takes, with a store of its own."""
    named = as_classes(TREE)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "labels.sqlite"
        teacher = LlamaCppTeacher(smollm2_path(), max_text_tokens=100, store=store)
        start = time.perf_counter()
        if rule is None:
            labels = teacher.label(texts, classes)
            n_prompt = labels.usage.n_calls * prompt_tokens(teacher, classes)
        else:
            search = rule(teacher, texts, classes, None, 0)
            search.run()
            labels = search.labels()
            n_prompt = sum(
                answers.is_closed.sum() * prompt_tokens(teacher, question.classes)
                for question, answers in zip(
                    questions_of(classes), search.answers, strict=True
                )
            )
        seconds = time.perf_counter() - start
    right = np.array(named.names)[labels.proba.argmax(axis=1)] == gold
    groups = level_of(np.array(named.names), named.names, named.tree, 1)
    group = groups.names[groups.sums(labels.proba).argmax(axis=1)]
    return {
        "right": right.astype(int).tolist(),
        "right_group": (group == np.array(groups.of(gold.tolist())))
        .astype(int)
        .tolist(),
        "calls": labels.usage.n_calls,
        "tokens": labels.usage.input_tokens,
        "tokens_with_prompts": int(labels.usage.input_tokens + n_prompt),
        "seconds": seconds,
    }


def shown(cell: dict, reference: dict, name: str) -> str:
    """Return an accuracy, with its paired difference to the list's."""
    own, other = np.array(cell[name]), np.array(reference[name])
    gain = own - other
    if not gain.any():
        return f"{own.mean():.3f}"
    width = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    return f"{own.mean():.3f}, {gain.mean():+.3f} ± {width:.3f}"


def main() -> None:
    """Label in each way, and print the table."""
    parser: argparse.ArgumentParser = benchmark_parser(__doc__, "class_tree")
    add_data_option(parser)
    parser.add_argument("--texts", type=int, default=60, help="texts of each set")
    options = parser.parse_args()
    texts, gold = load_texts(Path(options.data), options.texts)
    tree = as_classes(TREE)
    flat = as_classes(dict(zip(tree.names, tree.descriptions, strict=True)))
    cells = {}
    for name, classes, rule in [
        ("a list", flat, None),
        *((name, tree, rule) for name, rule in RULES.items()),
    ]:
        cells[name] = one_way(texts, gold, classes, rule)
        told = {k: v for k, v in cells[name].items() if not k.startswith("right")}
        print(name, json.dumps(told), flush=True)
    head = about("class_tree", "llama-cpp-python", texts=len(texts))
    write_figures(options.output, head | {"cells": cells})
    rows = [
        [
            name,
            shown(cell, cells["a list"], "right"),
            shown(cell, cells["a list"], "right_group"),
            f"{cell['calls']}",
            f"{cell['tokens']:,}",
            f"{cell['tokens_with_prompts']:,}",
            f"{cell['seconds']:.0f}",
        ]
        for name, cell in cells.items()
    ]
    header = ["asked", "class", "group", "calls", "tokens", "with prompts", "s"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
