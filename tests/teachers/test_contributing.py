"""The back end that CONTRIBUTING.md shows, executed from the file."""

import re
from pathlib import Path

import numpy as np
from skllkd.teachers import LabelStore, MeteredTeacher, Scores

ROOT = Path(__file__).parents[2]


def section():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    (own,) = (text for text in sections if text.startswith("Add a teacher\n"))
    return own


def test_the_section_is_short():
    assert len(section().rstrip().splitlines()) < 25


def test_the_back_end_shown_labels_stores_and_stops():
    (block,) = re.findall(r"```python\n(.*?)```", section(), flags=re.DOTALL)
    names = {"np": np, "MeteredTeacher": MeteredTeacher, "Scores": Scores}
    exec(block, names)
    teacher = names["WordTeacher"]()
    texts = [f"a {'cat' if i % 2 else 'dog'}, number {i}" for i in range(40)]
    labels = teacher.label(texts, ["dog", "cat"])
    np.testing.assert_array_equal(labels.proba.argmax(axis=1), [0, 1] * 20)
    assert teacher.label(texts, ["dog", "cat"]).n_asked == 0
    assert teacher.plan([*texts, "new"], ["dog", "cat"]).n_calls == 1
    with LabelStore() as store:
        assert store.contents()[0].n_answers == 40
