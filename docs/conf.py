"""Sphinx configuration: `python -m sphinx -W --keep-going docs docs/_build/html`.

The build runs the gallery examples. Teacher answers are cached in the folder named by
SKLLKD_CACHE and reused by later builds. `-D plot_gallery=0` skips the examples.
"""

import os
import re
import warnings

from docutils import nodes
from latex2mathml.converter import convert as latex_to_mathml
from skllkd import __version__

# Run the examples without progress bars and without network access.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("error", module="skllkd")

project = "skllkd"
project_copyright = "the skllkd contributors"
version = release = __version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "figures"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings contain the types
numpydoc_show_class_members = False

plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 150)]
plot_rcparams = {"figure.facecolor": "white"}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 0,
}

html_theme = "pydata_sphinx_theme"
html_title = "skllkd"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skllkd"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
html_sidebars = {"index": [], "install": [], "tutorial": [], "comparison": []}

#: Formulas are rendered as MathML, which browsers support without external scripts.
html_math_renderer = "mathml"


def mathml(node, display="inline"):
    """Convert a formula to MathML."""
    latex = node.astext().replace(r"\arg\max", r"\operatorname{argmax}")
    return latex_to_mathml(latex, display=display)


def inline_formula(translator, node):
    """Write an inline formula."""
    translator.body.append(mathml(node))
    raise nodes.SkipNode


def display_formula(translator, node):
    """Write a display formula."""
    formula = mathml(node, display="block")
    translator.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def setup(app):
    """Render formulas, link to gallery pages instead of files, skip metadata routing."""
    app.add_html_math_renderer(
        "mathml", (inline_formula, None), (display_formula, None)
    )

    def skip(app, what, name, thing, leave_out, options):
        routing = name == "get_metadata_routing" or re.fullmatch("set_.*_request", name)
        return True if routing else None

    def link_examples(app, name, source):
        pages = {
            r"\(gallery/(plot_\w+)\.py\)": r"(auto_gallery/\1.rst)",
            r"\(gallery\)": "(auto_gallery/index.rst)",
        }
        for file, page in pages.items():
            source[0] = re.sub(file, page, source[0])

    app.connect("autodoc-skip-member", skip)
    app.connect("source-read", link_examples)


copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

#: Used by `python -m sphinx -b linkcheck docs docs/_build/links`.
linkcheck_ignore = [r"http://localhost.*"]
