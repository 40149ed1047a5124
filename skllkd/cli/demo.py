"""The demonstration: a local language model teaches a small transformer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skllkd._classifier import LLKDClassifier
from skllkd._core.params import check_number, optional_import
from skllkd.cli.arguments import say
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.datasets.bbc_news import LabelledTexts
from skllkd.inspection.displays import ConfidenceUncertaintyDisplay, SelectionDisplay
from skllkd.students import TransformerStudent
from skllkd.teachers import LlamaCppTeacher, TeacherLabels

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


class Split(NamedTuple):
    """A pool to learn from and held-out texts to score on, without a common text."""

    pool: LabelledTexts
    held_out: LabelledTexts


def demo_teacher() -> LlamaCppTeacher:
    """Return the teacher: SmolLM2-135M-Instruct, asked with five made-up examples.

    The plain prompt is used rather than the model's chat template because the model
    puts more probability on the labels there, which can be seen without gold labels.
    """
    return LlamaCppTeacher(smollm2_path(), examples=EXAMPLES, chat=False)


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

    return Split(some(order[n_held_out:][:n_pool]), some(order[:n_held_out]))


def run_demo(
    *, n_pool: int = 1200, n_held_out: int = 400, seed: int = 0, output: Path
) -> dict[str, Any]:
    """Label, train, score, and write the model and a picture."""
    output.mkdir(parents=True, exist_ok=True)
    pyplot = optional_import("matplotlib.pyplot", "plot")
    split = split_bbc_news(n_pool, n_held_out)
    teacher = demo_teacher()
    say(
        f"{n_pool} BBC News stories without labels, {n_held_out} held out with theirs.\n"
        "Teacher: SmolLM2-135M-Instruct, in process. Student: all-MiniLM-L6-v2."
    )
    say(f"\nLabelling {n_pool} stories and training the student on them ...")
    classifier = LLKDClassifier(
        teacher, CLASSES, student=demo_student(), random_state=seed
    ).fit(split.pool.texts)
    say(f"Labelling the {n_held_out} held-out stories, to score the teacher ...")
    teacher_held_out = teacher.label(
        split.held_out.texts,
        CLASSES,
        class_bias=classifier._fitted.class_bias,
        verbose=1,
    )
    start = time.perf_counter()
    predicted = classifier.predict(split.held_out.texts)
    seconds_predicting = time.perf_counter() - start

    figures = _figures(
        classifier, teacher_held_out, predicted, seconds_predicting, split
    )
    print(format_table(figures), flush=True)
    model, picture = output / "model", output / "selection.png"
    classifier.save(model)
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    SelectionDisplay.from_estimator(classifier, ax=axes[0])
    ConfidenceUncertaintyDisplay.from_estimator(
        classifier, split.pool.texts, ax=axes[1]
    )
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)
    (output / "figures.json").write_text(
        json.dumps(figures, indent=1), encoding="utf-8"
    )
    print(_farewell(model, picture), flush=True)
    return figures


def _figures(
    classifier: LLKDClassifier,
    teacher: TeacherLabels,
    predicted: Any,
    seconds_predicting: float,
    split: Split,
) -> dict[str, Any]:
    """Return the figures of the table."""
    gold = np.array(split.held_out.labels)
    names = np.array(teacher.classes)
    history = classifier.history_
    n_asked = classifier.n_teacher_calls_ + teacher.n_asked
    seconds_labelling = classifier.seconds_["labelling"] + teacher.seconds
    n_pool, n_held_out = len(split.pool.texts), len(split.held_out.texts)
    return {
        "pool": n_pool,
        "held_out": n_held_out,
        "teacher_accuracy_raw": _share(names[teacher.raw_proba.argmax(axis=1)] == gold),
        "teacher_accuracy_calibrated": _share(
            names[teacher.proba.argmax(axis=1)] == gold
        ),
        "student_accuracy": _share(predicted == gold),
        "selected_per_step": float(
            history["n_selected"].sum() / history["n_presented"].sum()
        ),
        "selected_distinct": _share(classifier.times_selected_ > 0),
        "teacher_calls": n_asked,
        "teacher_calls_saved": n_pool + n_held_out - n_asked,
        "seconds_labelling": seconds_labelling,
        "seconds_training": classifier.seconds_["training"],
        "seconds_predicting": seconds_predicting,
        "teacher_texts_per_second": n_asked / seconds_labelling if n_asked else None,
        "student_texts_per_second": n_held_out / seconds_predicting,
    }


def _share(mask: Any) -> float:
    """Return the share of true values."""
    return float(np.mean(mask))


def format_table(figures: dict[str, Any]) -> str:
    """Return the figures as the table the demonstration prints."""
    rate = figures["teacher_texts_per_second"]
    n_held_out = figures["held_out"]
    error = 1.96 * np.sqrt(0.25 / n_held_out)
    rows = [
        ("teacher accuracy, raw", f"{figures['teacher_accuracy_raw']:.1%}"),
        (
            "teacher accuracy, calibrated",
            f"{figures['teacher_accuracy_calibrated']:.1%}",
        ),
        ("student accuracy", f"{figures['student_accuracy']:.1%}"),
        ("rows selected, per step", f"{figures['selected_per_step']:.1%}"),
        ("rows selected, distinct", f"{figures['selected_distinct']:.1%}"),
        ("teacher calls made", f"{figures['teacher_calls']:,}"),
        ("teacher calls saved", f"{figures['teacher_calls_saved']:,}"),
        ("seconds labelling", f"{figures['seconds_labelling']:.1f}"),
        ("seconds training", f"{figures['seconds_training']:.1f}"),
        ("seconds predicting", f"{figures['seconds_predicting']:.1f}"),
        ("teacher texts per second", "(no calls)" if rate is None else f"{rate:.1f}"),
        ("student texts per second", f"{figures['student_texts_per_second']:.1f}"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>11}" for name, value in rows]
    rule = "-" * len(lines[0])
    note = f"(accuracy on {n_held_out} held-out stories, +/- {error:.1%} or less)"
    calls = ""
    if figures["teacher_calls"] == 0:
        calls = "\n0 teacher calls: every label was in the store from an earlier run."
    return "\n".join(["", rule, *lines, rule, note]) + calls


def _farewell(model: Path, picture: Path) -> str:
    """Return the paths written, and the code that loads the classifier."""
    return (
        f"\nThe picture of what was selected: {picture}\n"
        f"The classifier: {model} - to use it, anywhere skllkd is installed:\n\n"
        "    from skllkd import LLKDClassifier\n"
        f'    clf = LLKDClassifier.load("{model}")\n'
        '    print(clf.predict(["Striker signs for two more years."]))\n'
    )
