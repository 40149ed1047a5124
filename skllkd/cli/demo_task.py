"""The demonstration as a task of the command line: tables and configuration files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from skllkd._classifier import LLKDClassifier
from skllkd._core.params import optional_import
from skllkd.cli.settings import FILE

#: The table of the stories with the teacher's labels, and that of the others.
STORIES, NEW_STORIES = "stories.csv", "new-stories.csv"
#: The settings of the language model, and the examples in its prompt.
LANGUAGE_MODEL, _EXAMPLES = "language-model.toml", "examples.csv"
_SETTINGS = """\
# The task of `skllkd demo`. In this folder, `skllkd fit` repeats it from the labels in
# {stories}, without the language model.
input = {input}
model = "model"

[teacher]
teacher = {input}

[student]
student = {student}

[classes]
"""
_MODEL_SETTINGS = """\
# The language model of `skllkd demo`: commands with --config {file} ask it.
[teacher]
teacher = {model}

[prompt]
examples = {examples}
chat = "no"

[classes]
"""


def write_task(
    classifier: LLKDClassifier, texts: list[str], new_texts: list[str], folder: Path
) -> None:
    """Write the texts with the teacher's labels, their settings, and the new texts."""
    labels = {"text": texts, "label": classifier.pseudo_labels_}
    for name, proba in zip(
        classifier.classes_, classifier.teacher_proba_.T, strict=True
    ):
        labels[f"proba_{name}"] = proba
    _write_table(folder / STORIES, labels)
    _write_table(folder / NEW_STORIES, {"text": new_texts})
    settings = _SETTINGS.format(
        stories=STORIES,
        input=json.dumps(STORIES),
        student=json.dumps(str(classifier.student.model)),
    )
    _write_settings(folder / FILE, settings, classifier.classes_.tolist())


def write_teacher(
    model: Path, examples: list[tuple[str, str]], classes: list[str], folder: Path
) -> None:
    """Write the settings by which commands ask the language model, and its examples."""
    texts, labels = zip(*examples, strict=True)
    _write_table(folder / _EXAMPLES, {"text": texts, "label": labels})
    settings = _MODEL_SETTINGS.format(
        file=LANGUAGE_MODEL,
        model=json.dumps(str(model)),
        examples=json.dumps(_EXAMPLES),
    )
    _write_settings(folder / LANGUAGE_MODEL, settings, classes)


def _write_table(path: Path, columns: dict[str, Any]) -> None:
    """Write a table as CSV."""
    pandas = optional_import("pandas", "plot")
    pandas.DataFrame(columns).to_csv(path, index=False)


def _write_settings(path: Path, settings: str, classes: list[str]) -> None:
    """Write a configuration file that ends with the classes."""
    lines = [f'{json.dumps(name)} = ""' for name in classes]
    path.write_text(settings + "\n".join(lines) + "\n", encoding="utf-8")
