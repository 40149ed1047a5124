"""Code of the pages, for the tests that run it."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def recipe(page, marker, **replaced):
    """Return the block of a page that holds a marker, with other words for some.

    Each word that is to be replaced must be there: a page that changes is noticed.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if marker in block]
    for old, new in replaced.items():
        assert old in block, old
        block = block.replace(old, str(new))
    return block
