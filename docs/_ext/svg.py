"""A matplotlib figure as SVG that stands in a page: light or dark, with labels in its language."""

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

INK = "#010203"  # drawn in the colour of the page's text


def of_figure(picture: Callable[..., Any], name: str, language: str) -> str:
    """Return a picture as SVG to stand in a page, with its labels in the language."""
    file = io.StringIO()
    style: dict[str, Any] = {"svg.hashsalt": name, "svg.fonttype": "none"}
    if language.startswith("zh"):
        style["font.family"] = chinese_fonts()  # for the widths; the page has its own
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = picture(wording.sayer(language, "labels", "checks"))
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
    return text.replace(INK, "currentColor")


@cache
def chinese_fonts() -> list[str]:
    """Return the Chinese fonts of this machine, and the usual one after them."""
    for path in font_manager.findSystemFonts():
        if "SansCJK" in path:  # matplotlib's own list may be older than the font
            font_manager.fontManager.addfont(path)
    known = {font.name for font in font_manager.fontManager.ttflist}
    return [*sorted(name for name in known if "Sans CJK" in name), "sans-serif"]
