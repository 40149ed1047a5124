"""The strategy that CONTRIBUTING.md shows, executed from the file."""

import re
from pathlib import Path

import numpy as np
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent

ROOT = Path(__file__).parents[2]


def section():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    (own,) = (text for text in sections if text.startswith("Add a selection\n"))
    return own


def test_the_section_is_short():
    assert len(section().rstrip().splitlines()) < 25


def test_the_strategy_shown_trains_a_classifier():
    (block,) = re.findall(r"```python\n(.*?)```", section(), flags=re.DOTALL)
    names = {}
    exec(block, names)
    texts = [f"{'card' if i % 2 else 'site'} number {i}" for i in range(40)]
    confidence = np.linspace(0.6, 0.99, 40)
    proba = np.column_stack([confidence, 1 - confidence])
    proba[1::2] = proba[1::2, ::-1]
    clf = LLKDClassifier(
        classes=["site", "card"],
        refine=None,
        selection=names["AboveMean"](),
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    ).fit(texts, teacher_proba=proba)
    selected = confidence > confidence.mean()
    np.testing.assert_array_equal(clf.times_selected_, np.where(selected, 3, 0))
    assert clf.history_["n_scored"].sum() == 0
    assert (clf.predict(texts) == np.array(["site", "card"] * 20)).all()
