"""What the pictures have in common: panels in rows, styles that differ, legends beside nothing."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from scratchnn.extras import need
from scratchnn.plots import BLUE, GREEN, GREY, ORANGE, new_figure

PURPLE = "#CC79A7"  # Okabe & Ito 2008, as the others
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY, "black")
MARKERS = "osD^vx"
LINES = ("-", "--", ":")
COLUMNS = 3  # what a page has room for


def panels(count: int, width: float, height: float, columns: int = COLUMNS) -> tuple[Any, Any]:
    """Return a figure with some panels of this size in inches, in rows, and its axes."""
    rows, columns = -(-count // columns), min(count, columns)
    figure, axes = new_figure(count)
    figure.set_size_inches(width * columns, height * rows)
    grid = figure.add_gridspec(rows, columns)
    for i, axis in enumerate(axes):
        axis.set_subplotspec(grid[divmod(i, columns)])
    return figure, axes


def styles(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return colour, marker and line of each name, no two alike among 18."""
    return dict(zip(names, _styles(), strict=False))


def _styles() -> Iterator[dict[str, str]]:
    while True:
        for line, i in product(LINES, range(len(COLOURS))):
            yield {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": line}


def legend_below(axis: Any, **options: Any) -> None:
    """Put a panel's legend below it, where it hides nothing."""
    axis.legend(
        frameon=False, fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2),
        handlelength=4, **options,
    )  # fmt: skip


def plain_ticks(axis: Any) -> None:
    """Label a logarithmic x axis with 1, 10, ..., and 2, 5, ... where there is room for them."""
    ticker = need("matplotlib.ticker", "plots")
    low, high = axis.get_xlim()
    few = high / low > 10**2.5
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1,) if few else (1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.tick_params(axis="x", labelsize=7)
