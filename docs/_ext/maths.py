"""Formulas as MathML, made when the site is built. Browsers draw it: no script, no outside request.

docutils, which Sphinx stands on, has the translator from LaTeX.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

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
    latex = node.astext()
    if as_block and r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    try:
        return str(tex2mathml(latex, as_block=as_block))
    except MathError as error:
        logger.warning("the formula %s cannot be shown: %s", latex, error, location=node)
        return f"<code>{latex}</code>"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name mathml."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
