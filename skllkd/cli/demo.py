"""The demonstration: a local language model teaches a small transformer."""

from __future__ import annotations

import json
import textwrap
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skllkd._classifier import LLKDClassifier
from skllkd._core.atomic_files import replacing_file
from skllkd._core.params import check_number, check_option, optional_import
from skllkd._core.places import check_folder
from skllkd.cli.console import say
from skllkd.cli.demo_figures import (
    DemoFigures,
    figures_of,
    format_table,
    format_verdict,
)
from skllkd.cli.demo_task import STORIES, write_task, write_teacher
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.datasets.bbc_news import LabelledTexts
from skllkd.inspection.displays import ConfidenceUncertaintyDisplay, SelectionDisplay
from skllkd.students import TransformerStudent
from skllkd.teachers import LlamaCppTeacher, TransformersTeacher
from skllkd.teachers.prompting.causal_lm import CausalLMTeacher

CLASSES = ["business", "entertainment", "politics", "sports", "tech"]

#: One made-up story for each topic, none of them from the data.
EXAMPLES = [
    (
        "Airline cuts costs as fuel price climbs. The carrier told shareholders that a "
        "weak quarter would be followed by slower growth.",
        "business",
    ),
    (
        "Young singer wins top award. The album beat four other records to the prize at "
        "a ceremony in London.",
        "entertainment",
    ),
    (
        "Ministers defend new housing law. Opposition MPs said the bill would be fought "
        "in parliament next week.",
        "politics",
    ),
    (
        "Captain out for six weeks with knee injury. The midfielder will miss the cup "
        "final, the coach said after training.",
        "sports",
    ),
    (
        "Virus spreads through email attachments. Security firms warn users of home "
        "computers to update their software.",
        "tech",
    ),
]


#: The back ends that read the teacher's file.
BACK_ENDS: dict[str, type[CausalLMTeacher]] = {
    "transformers": TransformersTeacher,
    "llama.cpp": LlamaCppTeacher,
}


class Split(NamedTuple):
    """A pool to learn from and held-out texts to score on, without a common text."""

    pool: LabelledTexts
    held_out: LabelledTexts
    others: list[str]  # the held-out texts, and those that are in neither part


def demo_teacher(back_end: str) -> Any:
    """Return the teacher: SmolLM2-135M-Instruct, asked with five made-up examples.

    The plain prompt is used rather than the model's chat template because the model
    puts more probability on the labels there, which can be seen without gold labels.
    """
    check_option(back_end, "teacher", list(BACK_ENDS))
    if back_end == "llama.cpp":
        optional_import("llama_cpp", "llama")
    kind: Any = BACK_ENDS[back_end]
    return kind(smollm2_path(), examples=EXAMPLES, chat=False)


def demo_student() -> TransformerStudent:
    """Return the student: all-MiniLM-L6-v2, from its package."""
    return TransformerStudent(minilm_path())


def split_bbc_news(n_pool: int, n_held_out: int) -> Split:
    """Return a random pool and held-out texts of the BBC News stories."""
    texts, labels = load_bbc_news()
    check_number(n_held_out, "held-out", 10, 1000, integer=True)
    check_number(n_pool, "pool", 40, len(texts) - n_held_out, integer=True)
    order = np.random.RandomState(0).permutation(len(texts))

    def some(rows: Any) -> LabelledTexts:
        return LabelledTexts([texts[i] for i in rows], [labels[i] for i in rows])

    n_used = n_held_out + n_pool
    others = np.concatenate([order[:n_held_out], order[n_used:]])
    return Split(
        some(order[n_held_out:n_used]), some(order[:n_held_out]), some(others).texts
    )


def run_demo(
    *,
    n_pool: int = 1200,
    n_held_out: int = 400,
    seed: int = 0,
    teacher: str = "transformers",
    output: Path,
) -> DemoFigures:
    """Label, train, score, and write the model and a picture."""
    check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    optional_import("matplotlib.pyplot", "plot")
    split, asked = split_bbc_news(n_pool, n_held_out), demo_teacher(teacher)
    student = demo_student()
    story = textwrap.indent(textwrap.fill(split.pool.texts[0], 75), " " * 7)
    say(_STEP_1.format(n_pool=n_pool, n_held_out=n_held_out, text=story))
    say(_STEP_2.format(kind=type(asked).__name__))
    say(str(asked.plan(split.pool.texts, CLASSES)))
    say(_STEP_3)
    classifier = LLKDClassifier(asked, CLASSES, student=student, random_state=seed)
    classifier.fit(split.pool.texts)
    say(_STEP_4.format(n_held_out=n_held_out))
    figures = _score(classifier, split)
    print(format_table(figures), flush=True)
    _save(classifier, split, figures, output)
    print(f"\n{format_verdict(figures)}\n{_farewell(output)}", flush=True)
    return figures


#: The steps of the demonstration, each with the Python that does the same.
_STEP_1 = """\
1. The texts: {n_pool:,} BBC News stories, whose topics are not looked at, such as

{text}

   {n_held_out:,} other stories are kept apart, with their topics, to score the result."""
_STEP_2 = """
2. The teacher: SmolLM2, a language model of 135 million parameters, on this machine. Its
   prompt shows an invented example of each class. A plan says what the labels will take:

       teacher = {kind}(smollm2_path(), examples=examples, chat=False)
       print(teacher.plan(texts, classes))
"""
_STEP_3 = """
3. Labels, refined by the names of the classes and by predictions on texts left out, and a
   student trained on them (all-MiniLM-L6-v2, 23 million parameters):

       clf = LLKDClassifier(teacher, classes, student=TransformerStudent(minilm_path()))
       clf.fit(texts)
"""
_STEP_4 = """
4. Both are scored on the {n_held_out:,} stories kept apart, which the teacher labels for
   this only:

       clf.predict(other_texts)
"""


def _score(classifier: LLKDClassifier, split: Split) -> DemoFigures:
    """Return the figures, with teacher and student scored on the held-out stories."""
    held_out, teacher = split.held_out, classifier.teacher
    assert teacher is not None
    labels = teacher.label(
        held_out.texts, CLASSES, class_bias=classifier._fitted.class_bias, verbose=1
    )
    start = time.perf_counter()
    predicted = classifier.predict(held_out.texts)
    seconds = time.perf_counter() - start
    gold = np.array(split.pool.labels), np.array(held_out.labels)
    return figures_of(classifier, labels, predicted, *gold, seconds)


def _save(
    classifier: LLKDClassifier, split: Split, figures: DemoFigures, output: Path
) -> None:
    """Write the classifier, a picture of the selection, and the figures."""
    import matplotlib.pyplot as pyplot

    classifier.save(output / "model")
    write_task(classifier, split.pool.texts, split.others, output)
    write_teacher(smollm2_path(), EXAMPLES, CLASSES, output)
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    SelectionDisplay.from_estimator(classifier, ax=axes[0])
    ConfidenceUncertaintyDisplay.from_estimator(
        classifier, split.pool.texts, ax=axes[1]
    )
    figure.savefig(output / "selection.png", dpi=110)
    pyplot.close(figure)
    content = json.dumps(figures._asdict(), indent=1)
    with replacing_file(output / "figures.json") as unfinished:
        unfinished.write_text(content, encoding="utf-8")


def _farewell(output: Path) -> str:
    """Return the paths written, and the code that loads the classifier."""
    return (
        f"\nA picture of the selection: {output / 'selection.png'}\n"
        f"The classifier: {output / 'model'}. To use it, wherever skllkd is installed:\n\n"
        "    from skllkd import LLKDClassifier\n"
        f'    clf = LLKDClassifier.load("{output / "model"}")\n'
        '    print(clf.predict(["Striker signs for two more years."]))\n\n'
        f"To check it: cd {output}, skllkd review model {STORIES}. `skllkd fit --gold "
        "model-review.csv` then learns your answers (docs/walk-through.md).\n"
        "Next: the same with your own texts and classes, `skllkd plan --help`, or the "
        "tutorial, docs/tutorial.md.\n"
    )
