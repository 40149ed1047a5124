from collections import Counter

import pytest
from skllkd._core.params import package_folder
from skllkd.cli.demo import CLASSES, EXAMPLES, split_bbc_news
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
    with pytest.raises(MissingDependencyError, match=r"pip install --no-deps this\."):
        package_folder("no_such_package_anywhere", "--no-deps this")
