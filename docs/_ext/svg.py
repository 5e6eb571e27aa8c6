"""A matplotlib figure as SVG that stands in a page: light or dark, with labels in its language.

Each is drawn twice: as wide as a desk shows it, and with fewer panels side by side for a phone,
where its text would be too small to read. The page's style sheet shows one of them.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import matplotlib
import wording
from matplotlib import font_manager
from matplotlib.figure import Figure

INK = "#010203"  # drawn in the colour of the page's text
PHONE = 3.7  # inches: the width of a page on a phone


def of_figure(picture: Callable[..., Figure], name: str, language: str) -> str:
    """Return a picture as SVG to stand in a page, with its labels in the language."""
    style: dict[str, Any] = {"svg.fonttype": "none"}
    if language.startswith("zh"):
        style["font.family"] = chinese_fonts()  # for the widths; the page has its own
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = picture(wording.sayer(language, "labels", "checks"))
        wide = as_svg(figure, name, language)
        narrow(figure)
        return wide + as_svg(figure, f"{name}-narrow", language)


def narrow(figure: Figure) -> None:
    """Put the panels of a figure below each other, as few in a row as a phone has room for."""
    width, height = figure.get_size_inches()
    panels = figure.axes
    columns = max(1, int(1.2 * PHONE / (width / len(panels))))  # a little smaller will do
    rows = -(-len(panels) // columns)
    columns = -(-len(panels) // rows)
    grid = figure.add_gridspec(rows, columns)
    for panel, place in zip(panels, grid, strict=False):
        panel.set_subplotspec(place)
    width = PHONE if columns == 1 else columns * width / len(panels)
    figure.set_size_inches(width, rows * height)


def as_svg(figure: Figure, name: str, language: str) -> str:
    """Return a figure as SVG whose parts have names of their own."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'\bid="(?=figure|axes|patch|line2d|text|xtick|ytick|legend|matplotlib|PathColl|PolyColl)',
        f'id="{name}-',
        text,
    )
    if language.startswith("zh"):
        text = re.sub(r"font-family: [^;]*;", "font-family: inherit;", text)
    kind = "narrow" if name.endswith("-narrow") else "wide"
    return text.replace(INK, "currentColor").replace("<svg ", f'<svg class="{kind}" ', 1)


@cache
def chinese_fonts() -> list[str]:
    """Return the Chinese fonts of this machine, and the usual one after them."""
    for path in font_manager.findSystemFonts():
        if "SansCJK" in path:  # matplotlib's own list may be older than the font
            font_manager.fontManager.addfont(path)
    known = {font.name for font in font_manager.fontManager.ttflist}
    return [*sorted(name for name in known if "Sans CJK" in name), "sans-serif"]
