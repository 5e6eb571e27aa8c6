"""How Sphinx builds the site: make docs."""

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(ROOT)]

project = "scratchnn"
author = "The scratchnn maintainers"
project_copyright = author
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
    # of docs/_ext:
    "maths",  # formulas as MathML, which browsers draw themselves
    "docstrings",  # the sections of this project's docstrings
    "sources",  # a page for each source file, and the links to them
    "lessons",  # code that runs, what torch computes, pictures, mistakes
    "assets",  # the playground with its data
    "chinese",  # the search in Chinese
    "languages",  # the link from a page to the same page in the other language
]
exclude_patterns = ["_build", "playground", "zh"]
english_site = ""  # where it is, seen from the root of this edition: see zh/conf.py
sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/\d\d_",
    "ignore_pattern": "flawed",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("scraper.figures",),  # of docs/_ext
    "abort_on_example_error": True,
    "run_stale_examples": True,  # they depend on the package, too
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 60,
    "reset_modules": (),
    "show_signature": False,
}
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
default_role = "py:obj"
suppress_warnings: list[str] = []

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints_format = "short"
ALIASES = "Array AnyArray IntArray BoolArray DTypeLike Reduction KLReduction Unit Schedule"
ALIASES += " Augment Transform Given Progress PaddingMode Steps Evaluate Checkpoint"
autodoc_type_aliases = {name: name for name in ALIASES.split()}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

smartquotes = False  # text says what it says: --out, {"a": 1}, σ'
html_theme = "furo"
html_sidebars = {
    "**": [
        *("sidebar/brand.html", "sidebar/search.html", "language.html"),
        *("sidebar/scroll-start.html", "sidebar/navigation.html", "sidebar/scroll-end.html"),
    ]
}
html_title = "scratchnn"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "default"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5fa5", "color-brand-content": "#0b5fa5"},
    "dark_css_variables": {"color-brand-primary": "#6cb6ff", "color-brand-content": "#6cb6ff"},
}
