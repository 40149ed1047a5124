"""What the pages link to is there, and the reference leaves nothing public out."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.test_docstrings import MODULES

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """Return the anchors of a page's headings, as MyST and the hosts make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings]
    return {re.sub(r"\s", "-", heading.strip()) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`]*\]\([^`]*`", "", page.read_text(encoding="utf-8"))  # code
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_reference_lists_everything_public(module):
    page = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    if f".. automodule:: {module.__name__}\n" in page:
        return
    # what follows each `currentmodule`, up to the next
    _, *parts = page.split(".. currentmodule:: ")
    listed = "".join(part for part in parts if part.startswith(f"{module.__name__}\n"))
    for name in module.__all__:
        assert re.search(rf"^   {name}$", listed, flags=re.MULTILINE), name


def test_every_extra_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    for extra in project["optional-dependencies"]:
        assert f"`{extra}`" in page, extra
