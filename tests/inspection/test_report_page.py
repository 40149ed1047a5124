"""The report as one HTML file: whole in itself, and safe to open."""

import html.parser

import numpy as np
import pytest
from skllkd import LLKDClassifier
from skllkd.inspection.report_page import report_page
from skllkd.refinement import OutOfFold, Refinement, Rules
from skllkd.selection import SelectAll
from skllkd.students import SklearnStudent

pytest.importorskip("matplotlib")
EVIL = "<script>alert('x')</script> & \"q\" "
NAMES = ["<b>fruit</b>", "town"]


class _Tags(html.parser.HTMLParser):
    """The tags of a page, and the addresses it refers to."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for k, v in attributes if k in ("src", "href")]


@pytest.fixture(scope="module")
def fitted():
    words = {NAMES[0]: "apple pear plum", NAMES[1]: "street square bridge"}
    gold = [NAMES[i % 2] for i in range(80)]
    texts = [f"{words[name]} {EVIL if i == 8 else i}" for i, name in enumerate(gold)]
    column = np.arange(80) % 2
    column[[8, 21, 34]] = 1 - column[[8, 21, 34]]
    proba = np.where(np.eye(2, dtype=bool)[column], 0.9, 0.1)
    proba[[8, 34]] = np.where(proba[[8, 34]] > 0.5, 0.6, 0.4)
    rules = {
        NAMES[0]: lambda text: "apple" in text,
        NAMES[1]: lambda text: "street" in text,
    }
    classifier = LLKDClassifier(
        classes=NAMES,
        refine=Refinement([Rules(rules), OutOfFold()]),
        student=SklearnStudent(),
        selection=SelectAll(),
        random_state=0,
        verbose=0,
    )
    return classifier.fit(texts, teacher_proba=proba), texts


def page_of(classifier, texts):
    tags = _Tags()
    page = report_page(classifier, texts, classifier.report(texts))
    tags.feed(page)
    return page, tags


def test_it_needs_no_other_file_and_holds_pictures_tables_and_verdict(fitted):
    page, tags = page_of(*fitted)
    assert tags.tags.count("img") == 3
    assert all(a.startswith("data:image/png;base64,") for a in tags.addresses)
    for part in ("Verdict: ", "Agreement with the teacher", "Labels changed"):
        assert part in page


def test_texts_and_names_are_escaped(fitted):
    page, tags = page_of(*fitted)
    assert "script" not in tags.tags
    assert "b" not in tags.tags
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in page  # among the changed labels
    assert "&lt;b&gt;fruit&lt;/b&gt;" in page


def test_other_texts_without_a_teacher_have_a_page(fitted):
    classifier, texts = fitted
    page, tags = page_of(classifier, texts[:7])
    assert tags.tags.count("img") == 1
    assert "without a teacher" in page
    assert "nan" not in page.lower().replace("base64", "").split("data:image")[0]
