"""The demonstration as a task of the command line: a table and a configuration file."""

from __future__ import annotations

import json
from pathlib import Path

from skllkd._classifier import LLKDClassifier
from skllkd._core.params import optional_import
from skllkd.cli.settings import FILE

#: The table of the stories with the teacher's labels.
STORIES = "stories.csv"
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


def write_task(classifier: LLKDClassifier, texts: list[str], folder: Path) -> None:
    """Write the texts with the teacher's labels, and the settings that learn them."""
    pandas = optional_import("pandas", "plot")
    table = pandas.DataFrame({"text": texts, "label": classifier.pseudo_labels_})
    for name, proba in zip(
        classifier.classes_, classifier.teacher_proba_.T, strict=True
    ):
        table[f"proba_{name}"] = proba
    table.to_csv(folder / STORIES, index=False)
    settings = _SETTINGS.format(
        stories=STORIES,
        input=json.dumps(STORIES),
        student=json.dumps(str(classifier.student.model)),
    )
    lines = [f'{json.dumps(str(name))} = ""' for name in classifier.classes_]
    content = settings + "\n".join(lines) + "\n"
    (folder / FILE).write_text(content, encoding="utf-8")
