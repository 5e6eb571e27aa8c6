"""Every link leads somewhere, nothing comes from outside, and nothing public is left out."""

from __future__ import annotations

import re
import runpy
import zlib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import scratchnn
import scratchnn.functional as F
from scratchnn import calibration, data, gradcheck, information, metrics, mlp, objectives, plots

ROOT = Path(__file__).parents[2]
OUTSIDE = ("http:", "https:", "//")


class Page(HTMLParser):
    """The anchors of a page, the links that a reader can follow, and what a browser loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors.update(values[name] for name in ("id", "name") if values.get(name))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag == "link" and values.get("href") and values.get("rel") != "canonical":
            self.loaded.append(values["href"])
        elif values.get("src"):
            self.loaded.append(values["src"])


@cache
def parsed(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def broken(path: Path, link: str) -> bool:
    """Tell whether a link of the page at this path leads nowhere."""
    parts = urlsplit(link)
    if parts.scheme or link.startswith("//"):
        return False
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return True
    return bool(
        parts.fragment
        and target.suffix == ".html"
        and unquote(parts.fragment) not in parsed(target).anchors
    )


def test_links_lead_somewhere(site):
    found = [
        (path.relative_to(site).as_posix(), link)
        for path in sorted(site.rglob("*.html"))
        for link in parsed(path).links + parsed(path).loaded
        if broken(path, link)
    ]
    assert not found


def test_nothing_is_loaded_from_outside(site):
    for path in site.rglob("*.html"):
        assert not [link for link in parsed(path).loaded if link.startswith(OUTSIDE)], path
    for path in site.rglob("*.css"):
        urls = re.findall(r"url\(['\"]?([^)'\"]+)", path.read_text(encoding="utf-8"))
        assert not [url for url in urls if url.startswith(OUTSIDE)], path


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<h1 id="here"></h1><a href="#here"></a><a href="#gone"></a><img src="no.png">')
    assert [broken(page, link) for link in ("#here", "#gone", "no.png")] == [False, True, True]


@pytest.fixture(scope="module")
def described(site):
    """The names that have an entry in the API pages."""
    inventory = (site / "objects.inv").read_bytes()
    lines = zlib.decompress(inventory.split(b"\n", 4)[4]).decode().splitlines()
    return {line.split(" ")[0] for line in lines if " py:" in line}


def public():
    """Yield the public functions and classes of the package, as (module, name)."""
    yield from (("scratchnn.functional", name) for name in F.__all__)
    yield from (("scratchnn", name) for name in scratchnn.__all__)
    for module in (data, mlp, gradcheck):
        yield from ((module.__name__, name) for name in module.__all__)
    for module in (calibration, information, metrics, objectives, plots):
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_"):
                yield module.__name__, name


def test_public_functions_have_an_api_entry(described):
    last = {name.rpartition(".")[2] for name in described}
    modules = {name for name in vars(scratchnn) if hasattr(getattr(scratchnn, name), "__path__")}
    missing = [
        f"{module}.{name}"
        for module, name in public()
        if name not in last
        and name not in modules
        and not isinstance(getattr(scratchnn, name, None), type(scratchnn))
    ]
    assert not missing, "docs/api lacks them"


def test_the_map_names_every_operation():
    page = (ROOT / "docs/maps/code.md").read_text(encoding="utf-8")
    operations = [name for name in F.__all__ if not name.endswith("_backward")]
    missing = [name for name in operations if f"| `{name}` |" not in page]
    assert not missing, "docs/maps/code.md has no row for them"


def test_the_map_names_every_file_of_the_subject():
    page = (ROOT / "docs/maps/code.md").read_text(encoding="utf-8")
    plain = {"__init__.py", "__main__.py", "shared.py", "extras.py", "functional.py"}
    files = [*(ROOT / "scratchnn").glob("*.py"), *(ROOT / "scratchnn/ops").glob("*.py")]
    files += (ROOT / "scratchnn/optim").glob("*.py")
    missing = [path.name for path in files if path.name not in plain and path.name not in page]
    assert not missing, "docs/maps/code.md does not say what is in them"


def test_the_glossary_has_both_languages():
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        (ROOT / "docs/maps/glossary.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    terms = [row[0] for row in rows if row[0] != "English"]
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.casefold)
    assert all(re.search(r"[\u4e00-\u9fff]", row[1]) for row in rows)


def test_examples_are_shown(site):
    """Each has a page, with a figure, what it prints, and its notebook to download."""
    for example in (ROOT / "examples").glob("*.py"):
        page = (site / f"gallery/{example.stem}.html").read_text(encoding="utf-8")
        assert f"sphx_glr_{example.stem}_001.png" in page
        assert "sphx-glr-script-out" in page
        assert f"{example.stem}.ipynb" in page


def test_notebooks_say_what_their_examples_say():
    """They are made anew by docs/notebooks.py."""
    made = runpy.run_path(str(ROOT / "docs/notebooks.py"))
    found = {path.stem for path in (ROOT / "examples").glob("*.ipynb")}
    assert found == set(made["NAMES"])
    for name in made["NAMES"]:
        kept = (ROOT / f"examples/{name}.ipynb").read_text(encoding="utf-8")
        assert kept == made["notebook"](name), "run python docs/notebooks.py"
