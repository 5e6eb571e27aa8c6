"""The figures of the examples: a cell whose last line is a figure shows it in the gallery."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import figure_rst

from scratchnn.plots.picture import Picture


def figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure that a cell shows, as a notebook would; return the reST that shows it."""
    names = block_vars["example_globals"]
    figure = names.get("___")  # the value of the last line
    if not isinstance(figure, Picture):
        return ""
    names["___"] = None  # it is shown once, and not as text
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=150)
    return figure_rst([path], gallery_conf["src_dir"])
