"""A page for each source file, and links to them: from the API, the course and the pages.

A link of a page to ../tests/test_linear.py leads to the repository where one reads the page there.
In the site it leads to a copy of the file, with line numbers.
"""

from __future__ import annotations

import inspect
import os
import posixpath
import sys
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("scratchnn", "parity", "benchmarks", "tests", "examples", "docs", ".ci")
FILES = ("pyproject.toml", "Makefile", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md")
FILES += ("README.md", "README.zh.md")
TEXT = {".py", ".md", ".toml", ".js", ".css", ".html", ".cff", ""}
LONGEST = 100_000  # characters
SKIPPED = {"__pycache__", "_build", "gallery", "digits.js"}


@cache
def files() -> dict[str, Path]:
    """Return the text files that have a page, by their path in the repository."""
    found = [ROOT / name for name in FILES]
    for folder in FOLDERS:
        found += sorted((ROOT / folder).rglob("*"))
    return {
        path.relative_to(ROOT).as_posix(): path
        for path in found
        if path.is_file()
        and path.suffix in TEXT
        and not SKIPPED & set(path.parts)
        and path.stat().st_size < LONGEST
    }


def page_of(path: str) -> str | None:
    """Return the name of the page of a file or folder of the repository; None where it has none."""
    path = posixpath.normpath(path)
    if path in files() or any(name.startswith(f"{path}/") for name in files()):
        return f"source/{path}"
    return None


def place(obj: object) -> tuple[str, int] | None:
    """Return the file and the line of a function, class or module of this project."""
    try:
        obj = inspect.unwrap(obj.fget if isinstance(obj, property) else obj)  # type: ignore
        file = inspect.getsourcefile(obj)  # type: ignore[arg-type]
        line = inspect.getsourcelines(obj)[1]  # type: ignore[arg-type]
    except (TypeError, OSError):
        return None
    if file is None or not Path(file).resolve().is_relative_to(ROOT):
        return None
    return Path(file).resolve().relative_to(ROOT).as_posix(), max(line, 1)


def reference(app: Sphinx, docname: str, path: str, line: int | None = None) -> nodes.reference:
    """Return a link from a page to a file, without text."""
    page = page_of(path)
    assert page is not None, path
    uri = english(app, docname, page) + (f"#L{line}" if line else "")
    return nodes.reference("", "", internal=True, refuri=uri)


def english(app: Sphinx, docname: str, page: str) -> str:
    """Return the address of a page of the English site, where source files are, from a page."""
    if app.config.english_site:
        return f"{'../' * docname.count('/')}{app.config.english_site}{page}.html"
    return app.builder.get_relative_uri(docname, page)


def link_objects(app: Sphinx, doctree: nodes.document) -> None:
    """Add a link to its source to each function and class of the API."""
    docname = app.env.docname
    for signature in doctree.findall(addnodes.desc_signature):
        if signature.parent.get("domain") != "py":
            continue
        found = place(lookup(signature.get("module", ""), signature.get("fullname", "")))
        if found:
            link = reference(app, docname, *found)
            link += nodes.inline("", "source", classes=["viewcode-link"])
            signature += link


def lookup(module: str, name: str) -> Any:
    """Return module.name."""
    obj: Any = sys.modules.get(module)
    for part in name.split("."):
        obj = getattr(obj, part, None)
    return obj


def is_link(node: nodes.Node) -> bool:
    """Tell whether this is a link of a page to a file or folder."""
    return isinstance(node, addnodes.download_reference) or (
        isinstance(node, addnodes.pending_xref) and node.get("reftype") == "myst"
    )


def link_files(app: Sphinx, doctree: nodes.document) -> None:
    """Let links to files and folders of the repository lead to their pages."""
    docname = app.env.docname
    for node in list(doctree.findall(is_link)):
        path = path_of(app, node)
        if path is None or page_of(path) is None:
            continue  # a download
        if path.startswith("docs/") and path.endswith(".md"):
            page = path.removeprefix("docs/").removesuffix(".md")
            if not app.config.english_site:
                continue  # a page of this edition
            if page.startswith("zh/"):
                uri = app.builder.get_relative_uri(docname, page.removeprefix("zh/"))
            else:
                uri = english(app, docname, page)
            anchor = node.get("reftargetid") or node["reftarget"].partition("#")[2]
            link = nodes.reference("", "", internal=True, refuri=uri + (anchor and f"#{anchor}"))
        else:
            link = reference(app, docname, path)
        link += [child.deepcopy() for child in node.children]
        node.replace_self(link)


def path_of(app: Sphinx, node: nodes.Element) -> str | None:
    """Return the path in the repository that a link leads to; None where it leaves it.

    A page that shows the README has its links, which begin at the root.
    """
    if node.get("refdomain") == "doc":  # a page, by its path from the first folder of the site
        target = Path(app.srcdir) / f"{node['reftarget']}.md"
    else:
        folder = Path(app.env.doc2path(app.env.docname)).parent
        name = node["reftarget"].partition("#")[0]
        target = folder / name if (folder / name).exists() else ROOT / name
    target = Path(os.path.normpath(target))
    return target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else None


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the pages of files and folders; once, in the English edition."""
    if app.config.english_site:
        return
    folders: dict[str, set[str]] = {}
    for path, file in files().items():
        parts = path.split("/")
        for i in range(1, len(parts)):
            entry = parts[i] + ("/" if i + 1 < len(parts) else "")
            folders.setdefault("/".join(parts[:i]), set()).add(entry)
        yield page(path, code(path, file.read_text(encoding="utf-8")))
    for path, entries in folders.items():
        items = "".join(
            f'<li><a href="{escape(link_to(app, path, entry))}">{escape(entry)}</a></li>'
            for entry in sorted(entries)
        )
        yield page(path, f'<ul class="source-folder">{items}</ul>')


def link_to(app: Sphinx, path: str, entry: str) -> str:
    """Return the link from the page of a folder to that of an entry."""
    here, there = f"source/{path}", f"source/{path}/{entry.rstrip('/')}"
    return app.builder.get_relative_uri(here, there)


def page(path: str, body: str) -> tuple[str, dict[str, Any], str]:
    """Return a page as Sphinx takes it: its name, what the template gets, the template."""
    title = f"<h1>{escape(path)}</h1>"
    return f"source/{path}", {"title": path, "body": title + body}, "page.html"


def code(path: str, text: str) -> str:
    """Return a file as HTML, with a line number and an anchor per line."""
    try:
        lexer = get_lexer_for_filename(path, text)
    except ClassNotFound:
        lexer = TextLexer()
    formatter: Any = HtmlFormatter(
        linenos="inline", lineanchors="L", anchorlinenos=True, cssclass="highlight source-file"
    )
    shown = highlight(text, lexer, formatter)
    return (
        shown.replace('name="L-', 'name="L')
        .replace('id="L-', 'id="L')
        .replace('href="#L-', 'href="#L')
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the links and the pages."""
    app.add_config_value("english_site", "", "env")
    app.connect("doctree-read", link_objects)
    app.connect("doctree-read", link_files, priority=100)  # before downloads are collected
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
