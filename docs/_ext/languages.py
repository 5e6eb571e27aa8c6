"""A link from each page to the same page in the other language, or to its first page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]


def other(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the template the link and its words."""
    up = "../" * page.count("/")
    if app.config.english_site:
        folder, start, words = DOCS, f"{up}{app.config.english_site}", ("en", "English")
    else:
        folder, start, words = DOCS / "zh", f"{up}zh/", ("zh", "中文")
    there = page if (folder / f"{page}.md").exists() else "index"
    code, name = words
    context["other_language"] = {"uri": f"{start}{there}.html", "code": code, "name": name}


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the link."""
    app.connect("html-page-context", other)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
