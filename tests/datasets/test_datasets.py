from collections import Counter

import pytest
from skllkd._core.params import package_folder
from skllkd.cli.demo import CLASSES, EXAMPLES, format_table, split_bbc_news
from skllkd.datasets import load_bbc_news
from skllkd.exceptions import InvalidParameterError, MissingDependencyError


def test_every_story_once_in_clean_text():
    texts, labels = load_bbc_news()
    assert len(texts) == len(set(texts)) == len(labels) == 2096
    headlines = Counter(text.split(". ")[0].casefold() for text in texts)
    assert len(headlines) > 2080  # a few headlines hold a full stop themselves
    assert set(labels) == set(CLASSES)
    assert not any("\ufffd" in text or "\n" in text for text in texts)
    assert any("£" in text for text in texts)


def test_no_text_stands_on_both_sides():
    split = split_bbc_news(1600, 400)
    assert not set(split.pool.texts) & set(split.held_out.texts)
    examples = {text for text, _ in EXAMPLES}
    assert not examples & set(load_bbc_news().texts)
    assert split_bbc_news(100, 400).held_out == split.held_out


@pytest.mark.parametrize("sizes", [(10, 400), (1900, 400), (1200, 5)])
def test_impossible_sizes(sizes):
    with pytest.raises(InvalidParameterError):
        split_bbc_news(*sizes)


def test_a_package_that_is_not_there():
    with pytest.raises(MissingDependencyError, match=r"skllkd\[demo\]"):
        package_folder("no_such_package_anywhere")


def test_the_table_says_when_nothing_was_asked():
    figures = {
        "held_out": 400,
        "teacher_accuracy_raw": 0.5,
        "teacher_accuracy_calibrated": 0.75,
        "student_accuracy": 0.825,
        "selected_per_step": 0.3,
        "selected_distinct": 0.5,
        "teacher_calls": 0,
        "teacher_calls_saved": 1600,
        "seconds_labelling": 0.1,
        "seconds_training": 60.0,
        "seconds_predicting": 1.0,
        "teacher_texts_per_second": None,
        "student_texts_per_second": 400.0,
    }
    table = format_table(figures)
    assert "0 teacher calls: every label was in the store" in table
    assert "82.5%" in table
    asked = format_table(
        figures | {"teacher_calls": 9, "teacher_texts_per_second": 8.0}
    )
    assert "0 teacher calls" not in asked
