"""A figure that shows itself in a notebook. Only this module imports matplotlib at once."""

from __future__ import annotations

import sys

from matplotlib.figure import Figure

from scratchnn.plots.figures import png


class Picture(Figure):
    """A matplotlib figure that belongs to no window."""

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows for the last line of a cell."""
        return png(self)

    def show(self, warn: bool = True) -> None:  # noqa: ARG002 - as of matplotlib's Figure
        """Show the figure in the middle of a notebook's cell.

        Raises   RuntimeError where there is no notebook
        """
        IPython = sys.modules.get("IPython")
        if IPython is None or IPython.get_ipython() is None:
            raise RuntimeError(
                "show() needs a notebook, and there is none: "
                'plots.save(figure, "folder", "name") writes the figure as SVG and PNG'
            )
        IPython.display.display(self)
