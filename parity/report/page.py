"""What a command found, as JSON, and as one HTML page that needs nothing but itself.

A page has no script, and its policy lets a browser load nothing: styles and pictures are inline.
"""

import argparse
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np

from scratchnn.extras import need


@dataclass(frozen=True)
class Section:
    """A heading, a few words, and HTML made by the functions below."""

    title: str
    text: str
    html: str = ""


@dataclass(frozen=True)
class Report:
    """What a command found: its verdict, what it depends on, all results, and how to show them.

    The sections are made when they are wanted: only a page needs pictures.
    """

    title: str
    holds: bool
    verdict: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    results: Any
    sections: Callable[[], Sequence[Section]]


class Part(NamedTuple):
    """One of several runs: its name, verdict, results for JSON, and HTML."""

    name: str
    holds: bool
    verdict: str
    results: Any
    html: Callable[[], str] = str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `save` takes."""
    parser.add_argument("--json", metavar="FILE", help="save the results as JSON")
    parser.add_argument("--html", metavar="FILE", help="save a page to read in a browser")


def save(report: Report, json_file: str | None, html_file: str | None) -> list[Path]:
    """Write the files that are named, and return their paths."""
    made = [(json_file, as_json), (html_file, as_html)]
    paths = []
    for name, make in made:
        if name:
            paths.append(Path(name))
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(make(report), encoding="utf-8")
    return paths


def together(
    title: str, parts: Sequence[Part], settings: dict[str, Any], environment: dict[str, Any]
) -> Report:
    """Return the report of several runs of one thing: of a training in both precisions, say."""
    words = (f"{part.name} {'holds' if part.holds else 'fails'}" for part in parts)
    return Report(
        title,
        all(part.holds for part in parts),
        ", ".join(words),
        settings,
        environment,
        [part.results for part in parts],
        lambda: [Section(part.name, part.verdict, part.html()) for part in parts],
    )


def as_json(report: Report) -> str:
    """Return the report without its pictures; what is not finite becomes a string."""
    content = {name: getattr(report, name) for name in ("title", "holds", "verdict")}
    content |= {"settings": report.settings, "environment": report.environment}
    return to_json(content | {"results": report.results})


def to_json(value: Any) -> str:
    """Return any results as JSON; what is not finite becomes a string."""
    return json.dumps(_plain(value), indent=1, allow_nan=False) + "\n"


def as_html(report: Report) -> str:
    """Return the page."""
    here = files("parity.report")
    facts = {**report.settings, **report.environment}
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(report.title),
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        outcome="holds" if report.holds else "fails",
        word="parity holds" if report.holds else "parity fails",
        verdict=escape(report.verdict),
        sections="\n".join(map(_section, report.sections())),
        facts="\n".join(
            f"<div><dt>{escape(str(name))}</dt><dd>{escape(_words(value))}</dd></div>"
            for name, value in facts.items()
            if value is not None
        ),
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Return a table of HTML cells, numbers but in some columns. Where it is wide, it scrolls."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = ("" if i in words else ' class="number"' for i in range(len(row)))
        return "".join(f"<{tag}{k}>{cell}</{tag}>" for k, cell in zip(kinds, row, strict=True))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', header)}</tr></thead>"
    return f'<div class="wide"><table>{head}\n<tbody>{body}</tbody></table></div>'


def percent(ratio: float) -> str:
    """Return a share of a bound in words."""
    return f"{ratio:.0%}" if ratio < 100 else "off"


def share(ratio: float) -> str:
    """Return a share of a bound with a bar beside it."""
    kind = "share" if ratio <= 1 else "share over"
    return f'<span class="{kind}" style="--share:{min(ratio, 1):.0%}">{percent(ratio)}</span>'


def outcome(holds: bool) -> str:
    """Return a word that says whether something holds."""
    return f'<span class="{"holds" if holds else "fails"}">{"holds" if holds else "fails"}</span>'


def code(text: str) -> str:
    """Return a program, or what one prints."""
    return f"<pre><code>{escape(text)}</code></pre>"


def picture(figure: Any, description: str) -> str:
    """Return a matplotlib figure as inline SVG in the colours of the page.

    Raises   MissingExtraError
    """
    file = io.StringIO()
    with need("matplotlib", "plots").rc_context({"svg.fonttype": "none", "svg.hashsalt": "page"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    for light, both in (("#000000", "currentColor"), ("#e6e6e6", "var(--line)")):
        svg = svg.replace(light, both)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg)
    return f'<figure aria-label="{escape(description)}">{svg}</figure>'


def _section(section: Section) -> str:
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    return f"<section><h2>{escape(section.title)}</h2>{text}{section.html}</section>"


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _plain(value: Any) -> Any:
    """Make a value one that JSON has: infinities and NaN become words."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
