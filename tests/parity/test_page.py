"""The page and the JSON of a report, also as a browser sees it."""

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import scratchnn.functional as F
from parity import report as page
from parity.cli import main
from parity.ops import OPS
from parity.search import search
from scratchnn import plots

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--dump-dom"),
)

needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is here")


def wrong(z):
    return z


def broken(z):
    return 1 / 0


@pytest.fixture(scope="module")
def cells():
    """A row that holds, one that does not, one that raises, and one of TF32."""
    found = [search(OPS["sigmoid"], examples=5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "sigmoid", wrong)
        patch.setattr(F, "relu", broken)
        found.append(search(OPS["sigmoid"], "float64", examples=20))
        found.append(search(OPS["relu"], "float64", examples=5))
    return [*found, search(OPS["linear"], "tf32", examples=5)]


@pytest.fixture(scope="module")
def report(cells):
    return page.of_cells(cells, {"seed": 0}, {"torch": "2", "gpu": None, "exact": True})


@pytest.fixture(scope="module")
def html(report):
    return page.as_html(report)


def browse(tmp_path, text):
    """Return what a browser makes of a page, and what its console says."""
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [BROWSER, *FLAGS, profile, file.as_uri()], capture_output=True, timeout=120, check=True
    )
    log = done.stderr.decode(errors="replace").splitlines()
    return done.stdout.decode(), [line for line in log if ":CONSOLE" in line]


@needs_browser
def test_page_shows_all_in_a_browser_that_logs_no_error(html, tmp_path):
    dom, console = browse(tmp_path, html)
    assert console == []
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", dom, flags=re.DOTALL)
    for text in (
        *("parity fails", "2 of 4 cells", "sigmoid in float64 fails", "LEFT its bound"),
        *("ZeroDivisionError", "refused in 5 of 5 cases", "share of bound", "no digit is right"),
        *("Environment", "torch", "exact", "yes"),
    ):
        assert text in words, text
    assert "gpu" not in words
    assert dom.count("<svg") == 3


@needs_browser
@pytest.mark.parametrize("mode", ["lockstep", "free-run", "accuracy"])
def test_page_of_a_training_shows_in_a_browser_that_logs_no_error(mode, tmp_path):
    seeds = ["--seeds", "2"] if mode == "accuracy" else []
    train = ["train", "softmax-regression", "--mode", mode, "--steps", "3", *seeds]
    assert main([*train, "--dtype", "float32", "--html", str(tmp_path / "train.html")]) == 0
    dom, console = browse(tmp_path, (tmp_path / "train.html").read_text(encoding="utf-8"))
    assert console == []
    assert "softmax-regression on digits" in dom
    assert "<table>" in dom if mode == "accuracy" else dom.count("<svg") == 1


@needs_browser
@pytest.mark.parametrize(
    "foreign",
    [
        "<script>undefined.thing</script>",
        '<img src="https://example.org/picture.png">',
        '<link rel="stylesheet" href="https://example.org/style.css">',
    ],
)
def test_browser_logs_what_a_page_must_not_have(foreign, report, tmp_path):
    html = page.as_html(replace(report, sections=lambda: [page.Section("a", "b", foreign)]))
    _, console = browse(tmp_path, html)
    assert "Content Security Policy" in " ".join(console)


class Tags(HTMLParser):
    """The tags that are open, and all that refers to something."""

    def __init__(self):
        super().__init__()
        self.open, self.references = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        names = ("src", "href", "xlink:href")
        self.references += [value for name, value in attributes if name in names]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()


def test_page_is_balanced_and_refers_to_nothing_outside(html):
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert tags.references
    assert all(reference.startswith("#") for reference in tags.references)
    assert "url(http" not in html


def test_page_escapes_what_it_is_given(report):
    nasty = "<b>&\"'$x"
    shown = [page.Section(nasty, nasty, page.code(nasty))]
    facts = {nasty: nasty}
    html = page.as_html(
        replace(report, title=nasty, verdict=nasty, settings=facts, sections=lambda: shown)
    )
    assert "<b>" not in html
    assert html.count("&lt;b&gt;&amp;&quot;&#x27;$x") == 8


def test_picture_takes_the_colours_of_the_page():
    figure, (axis,) = plots.new_figure(1)
    axis.plot([1, 2], [3, 4], color="black")
    axis.set_title("a < b")
    svg = page.picture(figure, 'a "picture"')
    assert svg.startswith('<figure aria-label="a &quot;picture&quot;"><svg viewBox="0 0 ')
    assert "currentColor" in svg
    assert "var(--line)" in svg
    assert not re.search("#000000|#e6e6e6|#ffffff|<metadata|<?xml", svg)
    assert "a &lt; b" in svg


def test_json_has_everything(report, cells, tmp_path):
    (path,) = page.save(report, str(tmp_path / "new" / "ops.json"), None)
    found = json.loads(path.read_text())
    assert [row["op"] for row in found["results"]] == [cell.op for cell in cells]
    assert [row["holds"] for row in found["results"]] == [True, False, False, True]
    assert found["results"][1]["failure"]["guilty"] == ["NumPy"]
    assert (found["holds"], found["settings"]) == (False, {"seed": 0})
    assert found["environment"]["torch"] == "2"


def test_json_has_no_numbers_that_json_has_not(report):
    text = page.as_json(replace(report, results=[{"error": math.inf}, (math.nan, 0.5)]))
    found = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert found["results"] == [{"error": "inf"}, ["nan", 0.5]]


def test_training_holds_where_every_precision_does(tmp_path):
    file, page_file = tmp_path / "a.json", tmp_path / "a.html"
    given = ["train", "softmax-regression", "--precision", "tf32", "--steps", "2"]
    assert main([*given, "--json", str(file), "--html", str(page_file)]) == 1
    saved = json.loads(file.read_text())
    assert not saved["holds"]
    assert saved["verdict"] == "float32 fails, float64 holds"
    assert [part["holds"] for part in saved["results"]] == [False, True]
    assert "wrong is" in page_file.read_text()
    assert main([*given, "--dtype", "float64", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["holds"]


def test_train_saves_json_and_a_page(capsys, tmp_path):
    names = [str(tmp_path / f"train.{kind}") for kind in ("json", "html")]
    run = ["train", "softmax-regression", "--steps", "3", "--dtype", "float64"]
    assert main([*run, "--json", names[0], "--html", names[1]]) == 0
    assert f"saved {', '.join(names)}" in capsys.readouterr().out
    found = json.loads((tmp_path / "train.json").read_text())
    assert (found["holds"], found["results"][0]["steps"]) == (True, 3)
    html = (tmp_path / "train.html").read_text(encoding="utf-8")
    assert "softmax-regression on digits" in html
    assert html.count("<svg") == 1


def test_share_is_marked_where_it_is_over():
    assert 'class="share" style="--share:50%">50%' in page.share(0.5)
    assert 'class="share over" style="--share:100%">150%' in page.share(1.5)
    assert ">off<" in page.share(math.inf)


def test_save_writes_what_is_asked_for(report, html, tmp_path):
    assert page.save(report, None, None) == []
    names = str(tmp_path / "a.json"), str(tmp_path / "a.html")
    assert [str(path) for path in page.save(report, *names)] == list(names)
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == html
