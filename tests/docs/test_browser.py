"""What a reader sees of each page: in headless Chromium, on a phone and on a desk, in the dark.

All pages are opened one after the other in a frame of one page, which writes down what it finds.
"""

from __future__ import annotations

import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import chromium

ROOT = Path(__file__).parents[2]
PHONE, DESK = 390, 1280
SOURCES = ["source/scratchnn/ops/softmax.py.html", "source/scratchnn.html"]

HARNESS = (Path(__file__).parent / "harness.html").read_text(encoding="utf-8")


class Quiet(SimpleHTTPRequestHandler):
    harness = b""

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        if self.path != "/harness.html":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.harness)


@pytest.fixture(scope="module")
def server(site):
    """The site, served on this machine: its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def browse(server, tmp_path):
    """Open an address of the site; return the document, and what the browser complained about."""
    return partial(opened, server, tmp_path / "profile")


def opened(server, profile, address, seconds=60):
    dom, log = chromium.dump_with_log(
        f"{server}/{address}",
        profile,
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--virtual-time-budget=300000",
        "--enable-logging=stderr",
        seconds=seconds,
    )
    return dom, re.findall(r"CONSOLE[^\]]*\] (.*)", log)


@pytest.fixture(scope="module")
def seen(server, pages, tmp_path_factory):
    """What the browser found on each page, and what it complained about."""
    given = f"const PAGES = {json.dumps([*pages, *SOURCES])}, WIDTHS = {[PHONE, DESK]};"
    Quiet.harness = re.sub(r"const PAGES = .*", given, HARNESS, count=1).encode()
    profile = tmp_path_factory.mktemp("chromium") / "profile"
    dom, complaints = opened(server, profile, "harness.html", seconds=400)
    return json.loads(chromium.written(dom, "out")), complaints


def test_every_page_was_opened(seen, pages):
    assert {row["page"] for row in seen[0]} == {*pages, *SOURCES}
    assert all(row["title"] for row in seen[0])


def test_nothing_is_wider_than_the_screen(seen):
    wide = [row for row in seen[0] if row["scroll"] > row["width"]]
    assert not wide, [(row["page"], row["width"], row["scroll"], row["wide"]) for row in wide]


def test_formulas_are_drawn(seen, site):
    rows = {row["page"]: row for row in seen[0] if row["width"] == DESK}
    for chapter in (ROOT / "docs/course").glob("[0-9]*.md"):
        if "$" in chapter.read_text(encoding="utf-8"):
            row = rows[f"course/{chapter.stem}.html"]
            assert row["maths"] > 0, row
            assert row["empty"] == 0, row


def test_a_phone_shows_formulas_whole_and_text_large_enough(seen):
    """No formula of the course has to be moved, and no text of a picture is below 10 pixels."""
    rows = [row for row in seen[0] if row["width"] == PHONE]
    assert not [row["page"] for row in rows if row["cut"]]
    assert not [(row["page"], row["letters"]) for row in rows if row["letters"] < 10]
    assert not [row["page"] for row in rows if row["scaled"]]  # its text would be scaled, too


def test_the_console_is_silent(seen):
    assert not seen[1]


def test_no_request_leaves_this_machine_or_fails(seen):
    found = {(row["page"], name) for row in seen[0] for name in row["requests"]}
    assert not found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(seen, theme):
    """A contrast of 3 at least, between every text and what is behind it."""
    faint = {(row["page"], text) for row in seen[0] for text in row[theme]}
    assert not faint


def test_the_chinese_playground_speaks_chinese(browse):
    dom, complaints = browse("zh/playground.html")
    start = dom.index('<div id="scratchnn-playground">')
    shown = re.sub(r"<[^>]+>", "\n", dom[start : dom.index("<noscript>", start)])
    names = {"softmax", "scratchnn", "logit", "float32", "float64"}
    names |= {"relu", "tanh", "sigmoid", "log"}
    assert "正确的类别" in shown
    assert not set(re.findall(r"[A-Za-z][a-z0-9]{2,}", shown)) - names
    assert not complaints


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("search.html?q=softmax", "course/02-softmax"),
        ("zh/search.html?q=交叉熵", "course/03-surprise"),
        ("zh/search.html?q=反向传播", "course/07-deeper"),
        ("zh/search.html?q=小批量随机梯度下降", "course/06-sgd"),
        ("zh/search.html?q=过拟合", "course/10-calibration"),
        ("zh/search.html?q=熵", "course/03-surprise"),
        ("zh/search.html?q=calibration", "course/10-calibration"),
    ],
)
def test_search_finds(browse, address, page):
    dom, complaints = browse(quote(address, safe="/?="))
    results = dom[dom.index('id="search-results"') :]
    assert f"{page}.html" in results
    assert not complaints


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("交叉熵", "course/03-surprise"),
        ("温度", "course/02-softmax"),
        ("动量", "course/06-sgd"),
        ("批量大小", "course/06-sgd"),  # two words of the index
    ],
)
def test_the_first_result_is_the_chapter_that_defines_it(browse, words, page):
    dom, _ = browse(quote(f"zh/search.html?q={words}", safe="/?="))
    results = dom[dom.index('id="search-results"') :]
    assert re.search(r'<li[^>]*><a href="([^"?#]*)', results)[1] == f"{page}.html"
