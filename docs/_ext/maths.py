"""Formulas as MathML, made when the site is built. Browsers draw it: no script, no outside request.

docutils, which Sphinx stands on, has the translator from LaTeX. The font, STIX Two Math, comes from
the package ziamath; the site gets the letters and signs that formulas use.
"""

from __future__ import annotations

import re
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from fontTools import subset
from sphinx.application import Sphinx
from sphinx.util import logging

# A function's name before an argument without a bracket, where docutils leaves no space.
NAME = re.compile(r"(\\log|\\operatorname\{\w+\})(?=\s*[A-Za-z0-9\\])(?!\s*\\(?:left|,))")
# The space before it, which docutils leaves out as well.
FACTOR = re.compile(r"(?<=[\w})]) +(?=\\(?:log|operatorname)\b)")
# Browsers set them as relations, far from what stands before and behind.
LIMIT = re.compile(r'<mo( movablelimits="true")?>(?=(?:min|max)</mo>)')
logger = logging.getLogger(__name__)


def inline(writer: Any, node: nodes.math) -> None:
    """Write $...$."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """Write $$...$$; a wide formula scrolls by itself."""
    writer.body.append(f'<div class="formula">{mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def mathml(node: nodes.Element, *, as_block: bool) -> str:
    """Return a formula as MathML; warn where it is no LaTeX that docutils knows."""
    latex = NAME.sub(r"\1\\,", FACTOR.sub(r"\\,", node.astext()))
    if as_block and r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    try:
        shown = str(tex2mathml(latex, as_block=as_block))
    except MathError as error:
        logger.warning("the formula %s cannot be shown: %s", latex, error, location=node)
        return f"<code>{latex}</code>"
    shown = LIMIT.sub(r'<mo\1 lspace="0" rspace="0">', shown)
    shown = shown.replace("<mo>‖</mo>", '<mo stretchy="false">‖</mo>')
    shown = re.sub(r"<mo[^>]*>\|</mo>", '<mo stretchy="false" lspace="0" rspace="0">|</mo>', shown)
    return shown.replace(
        '<mtable class="ams-align"', '<mtable displaystyle="true" class="ams-align"'
    )


# Latin, Greek, arrows, operators, brackets, and the slanted letters of mathematics.
RANGES = [(0x20, 0x17F), (0x300, 0x3FF), (0x2010, 0x22FF), (0x2308, 0x230B), (0x2320, 0x23B3)]
RANGES += [(0x2A00, 0x2AFF), (0x1D434, 0x1D467), (0x1D6A4, 0x1D71B)]


def write_font(app: Sphinx, exception: Exception | None) -> None:
    """Write the font that site.css names."""
    if exception or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static/math.woff"
    with as_file(files("ziamath") / "fonts/STIXTwoMath-Regular.ttf") as source:
        options = subset.Options(flavor="woff", notdef_outline=True, layout_features=["*"])
        font = subset.load_font(str(source), options)
        subsetter = subset.Subsetter(options)
        wanted = [code for low, high in RANGES for code in range(low, high + 1)]
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        subset.save_font(font, str(target), options)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name mathml."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
