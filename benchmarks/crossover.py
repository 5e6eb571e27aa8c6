"""The crossover map: a rival's time over ours, over batch and width, a panel a depth."""

from typing import Any

import numpy as np

from benchmarks.cases import CLASSES
from benchmarks.panels import panels
from benchmarks.results import Results, Row, by_backend
from benchmarks.tables import OURS
from scratchnn.arrays import Array

DIVERGING = "PuOr_r"  # safe for the colour-blind; white is equal


def crossover(results: Results, rival: str) -> Any:
    """Draw the rival's time over ours: in an orange cell the rival is slower, in a purple one we.

    The black line is between them.
    """
    found = by_backend(results.of("crossover"))
    found = {case: rows for case, rows in found.items() if rival in rows and OURS in rows}
    depths = sorted({len(case.sizes) - 1 for case in found})
    figure, axes = panels(len(depths), 3.0, 2.5)
    for axis, depth in zip(axes, depths, strict=True):
        batches, widths, ratio = _grid(found, depth, rival)
        image = _map(axis, ratio)
        axis.set_xticks(range(len(batches)), batches, fontsize=6)
        axis.set_yticks(range(len(widths)), widths, fontsize=7)
        title = "softmax regression" if depth == 1 else f"depth {depth}"
        axis.set(xlabel="batch (rows)", ylabel="width (units)", title=title)
    bar = figure.colorbar(image, ax=axes, ticks=[-4, -2, 0, 2, 4], pad=0.02)
    bar.ax.set_yticklabels(["≤ 1/16", "1/4", "1", "4", "≥ 16"])
    bar.set_label(f"time of {rival} / {OURS}")
    figure.suptitle(f"A step of width-...-width-{CLASSES} networks: {rival} against NumPy")
    return figure


def _grid(
    found: dict[Any, dict[str, Row]], depth: int, rival: str
) -> tuple[list[int], list[int], Array]:
    """Return batches, widths, and the rival's time over ours (widths, batches); NaN: no figure."""
    cells = {
        (case.sizes[0], case.batch): rows[rival].times(rows[OURS]).median
        for case, rows in found.items()
        if len(case.sizes) - 1 == depth
    }
    widths, batches = (sorted(set(values)) for values in zip(*cells, strict=True))
    ratio = [[cells.get((width, batch), np.nan) for batch in batches] for width in widths]
    return batches, widths, np.array(ratio)


def _map(axis: Any, ratio: Array) -> Any:
    """Draw a matrix of ratios with its figures, and the line between above and below 1."""
    image = axis.imshow(
        np.log2(ratio), cmap=DIVERGING, vmin=-4, vmax=4, aspect="auto", origin="lower"
    )
    slower = np.where(np.isnan(ratio), np.nan, ratio > 1)
    line = {"colors": "black", "linewidth": 1.5}
    i, j = np.nonzero(abs(np.diff(slower, axis=1)) == 1)  # nan beside a number is no border
    axis.vlines(j + 0.5, i - 0.5, i + 0.5, **line)
    i, j = np.nonzero(abs(np.diff(slower, axis=0)) == 1)
    axis.hlines(i + 0.5, j - 0.5, j + 0.5, **line)
    for i, j in np.argwhere(np.isfinite(ratio)):
        shade = "white" if abs(np.log2(ratio[i, j])) > 2.8 else "black"
        axis.text(j, i, label(ratio[i, j]), ha="center", va="center", fontsize=6, color=shade)
    axis.grid(visible=False)
    return image


def label(ratio: float) -> str:
    """Return a ratio in at most four characters where it is between 1/999 and 999: 1/23 for 0.043.

    So it stays in its cell.
    """
    if ratio < 0.1:
        return f"1/{1 / ratio:.0f}"
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"
