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
#: Made-up names, of which only the tokens are counted: 12 groups of 12 classes.
AREAS = (
    "card account transfer loan insurance travel hotel flight food music weather "
    "calendar"
)
TOPICS = (
    "opening closing balance limit refund delay price status change cancel question "
    "complaint"
)
TEXT = "I would like to know why my money has not arrived though it was sent a week ago"


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


def tokens_of(teacher, texts, classes) -> tuple[int, int]:
    """Return the tokens read: with the prompt once, and, as an API does, before each."""
    once = teacher._count_tokens(texts, classes).input
    prompt = len(teacher._prompt(teacher._tokenizer(), classes).prefix)
    return once, once + (len(texts) - 1) * prompt


def many_classes(teacher) -> dict[str, tuple[int, int]]:
    """Return the tokens of a text among 144 classes, alone and behind the whole prompt."""
    topics = TOPICS.split()
    tree = as_classes({a: [f"{a} {b}" for b in topics] for a in AREAS.split()})
    top, group, *_ = [question.classes for question in questions_of(tree)]
    asked = {"a list": as_classes(list(tree.names)), "top": top, "group": group}
    counts = {}
    for name, classes in asked.items():
        _, with_prompt = tokens_of(teacher, [TEXT], classes)
        prompt = len(teacher._prompt(teacher._tokenizer(), classes).prefix)
        counts[name] = (with_prompt - prompt, with_prompt)
    return counts


def scores(proba, gold) -> dict:
    """Return for each text whether its class is right, and its group."""
    named = as_classes(TREE)
    groups = level_of(np.array(named.names), named.names, named.tree, 1)
    right = np.array(named.names)[proba.argmax(axis=1)] == gold
    group = groups.names[groups.sums(proba).argmax(axis=1)]
    right_group = group == np.array(groups.of(gold.tolist()))
    return {
        "right": right.astype(int).tolist(),
        "right_group": right_group.astype(int).tolist(),
    }


def in_a_list(teacher, texts, gold, classes) -> dict:
    """Return what one question about all classes reaches, and what it takes."""
    labels = teacher.label(texts, classes)
    once, each_time = tokens_of(teacher, texts, classes)
    cost = {"calls": len(texts), "tokens": once, "tokens_with_prompts": each_time}
    return scores(labels.proba, gold) | cost


def down_the_tree(teacher, texts, gold, classes, rule) -> dict:
    """Return what a rule for the groups to ask about reaches, and what it takes."""
    search = rule(teacher, texts, classes, None, 0)
    search.run()
    asked = [
        ([texts[row] for row in np.flatnonzero(answers.is_closed)], question.classes)
        for question, answers in zip(questions_of(classes), search.answers, strict=True)
    ]
    tokens = [tokens_of(teacher, *question) for question in asked if question[0]]
    cost = {
        "calls": sum(len(some) for some, _ in asked),
        "tokens": sum(once for once, _ in tokens),
        "tokens_with_prompts": sum(each_time for _, each_time in tokens),
    }
    return scores(search.labels().proba, gold) | cost


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
    parser.add_argument("--texts", type=int, default=40, help="texts of each set")
    options = parser.parse_args()
    texts, gold = load_texts(Path(options.data), options.texts)
    tree = as_classes(TREE)
    flat = as_classes(dict(zip(tree.names, tree.descriptions, strict=True)))
    cells = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "labels.sqlite"  # rules share the answers
        teacher = LlamaCppTeacher(smollm2_path(), max_text_tokens=100, store=store)
        cells["a list"] = in_a_list(teacher, texts, gold, flat)
        for name, rule in RULES.items():
            cells[name] = down_the_tree(teacher, texts, gold, tree, rule)
        counts = many_classes(teacher)
    head = about(
        "class_tree", "llama-cpp-python", texts=len(texts), many_classes=counts
    )
    write_figures(options.output, head | {"cells": cells})
    rows = [
        [
            name,
            shown(cell, cells["a list"], "right"),
            shown(cell, cells["a list"], "right_group"),
            f"{cell['calls']}",
            f"{cell['tokens']:,}",
            f"{cell['tokens_with_prompts']:,}",
        ]
        for name, cell in cells.items()
    ]
    header = ["asked", "class", "group", "calls", "tokens", "with prompts"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
