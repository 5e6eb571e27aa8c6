"""HTML pages without scripts, and what stands on them: tables, code, figures, small images.

A page is one file. Its policy lets a browser load nothing: styles, figures and images are inline.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scratchnn.extras import need
from scratchnn.ops.shared import AnyArray, Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RED, BLUE = (178, 24, 43), (33, 102, 172)  # of the most negative and the most positive weight


class Section(NamedTuple):
    """A heading, a few words, and HTML made by the functions below."""

    title: str
    text: str
    html: str = ""


def render(
    title: str,
    verdict: str,
    sections: Iterable[Section],
    facts: Mapping[str, object],
    *,
    word: str = "",
    outcome: str = "",
    facts_title: str = "Environment",
) -> str:
    """Return a page. All texts are escaped here, but for the HTML of the sections.

    Options  title         of the page
             verdict       the sentence below it
             sections      what stands below that
             facts         at the end, by name; those that are None are left out
             word          in front of the verdict, in bold
             outcome       "holds" or "fails", which colour the verdict
             facts_title   their heading
    """
    folder = files("scratchnn.run.look")
    template, style = (
        folder.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("html", "css")
    )
    parts = []
    for heading, text, html in sections:
        words = f"<p>{escape(text)}</p>" if text else ""
        parts.append(f"<section><h2>{escape(heading)}</h2>{words}{html}</section>")
    return Template(template).substitute(
        title=escape(title),
        style=style,
        outcome=outcome,
        word=escape(word),
        verdict=escape(verdict),
        sections="\n".join(parts),
        facts_title=escape(facts_title),
        facts=_definitions(facts),
    )


def _definitions(facts: Mapping[str, object]) -> str:
    rows = (
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(_words(value))}</dd></div>"
        for name, value in facts.items()
        if value is not None
    )
    return "\n".join(rows)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Return a table of HTML cells, which scrolls where it is wide.

    Options  header   the heads of the columns
             rows     the cells, each in HTML
             words    the numbers of the columns that hold words; the others hold numbers
    """

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = ("" if i in words else ' class="number"' for i in range(len(row)))
        return "".join(f"<{tag}{k}>{cell}</{tag}>" for k, cell in zip(kinds, row, strict=True))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', header)}</tr></thead>"
    return f'<div class="wide"><table>{head}\n<tbody>{body}</tbody></table></div>'


def code(text: str) -> str:
    """Return text as a block of code in HTML."""
    return f"<pre><code>{escape(text)}</code></pre>"


def picture(figure: Figure, description: str) -> str:
    """Return a matplotlib figure as inline SVG in the colours of the page.

    Options  figure        the figure
             description   what it shows, for readers who cannot see it
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


def panels(*pictures: str) -> str:
    """Return figures of one panel each next to each other, or on a phone one below the other."""
    return f'<div class="panels">{"".join(pictures)}</div>'


def grey_image(pixels: AnyArray, low: float, high: float, description: str) -> str:
    """Return an image of greys in HTML.

    Shapes   pixels (H, W)
    Options  low, high     the values that are black and white
             description   what it shows, for readers who cannot see it
    """
    scaled = (pixels.astype(np.float64) - low) / ((high - low) or 1.0)
    return _image(np.rint(255 * scaled.clip(0, 1)).astype(np.uint8), description)


def signed_image(values: Array, largest: float, description: str) -> str:
    """Return an image in HTML whose positive values are blue, and the negative ones red.

    Shapes   values (H, W)
    Options  largest       the size of a value that has the full colour
             description   what it shows, for readers who cannot see it
    """
    share = (values.astype(np.float64) / (largest or 1.0)).clip(-1, 1)[..., None]
    colour = np.where(share < 0, RED, BLUE)
    mixed = 255 + abs(share) * (colour - 255.0)
    return _image(np.rint(mixed).astype(np.uint8), description)


def _image(pixels: AnyArray, description: str) -> str:
    content = base64.b64encode(png(pixels)).decode("ascii")
    return f'<img src="data:image/png;base64,{content}" alt="{escape(description)}">'


def png(pixels: AnyArray) -> bytes:
    """Return pixels as the content of a PNG file.

    Shapes   pixels (H, W) greys or (H, W, 3) colours, uint8
    Source   W3C, Portable Network Graphics (PNG) Specification
    """
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    unfiltered = np.zeros((height, 1), np.uint8)  # the first byte of each row names its filter

    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_of = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_of)

    colour_type = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    content = zlib.compress(np.concatenate([unfiltered, rows], axis=1).tobytes(), 9)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
