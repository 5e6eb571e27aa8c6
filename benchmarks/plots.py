"""The pictures of a results file: epochs, operations, the crossover map, scaling."""

from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.cases import CLASSES
from benchmarks.results import Results, Row, by_backend
from benchmarks.statistics import exponent
from benchmarks.tables import BOTH_FLOORS, FLOORS, OURS, floor
from scratchnn.arrays import Array
from scratchnn.plots import BLUE, GREEN, GREY, ORANGE, new_figure

PURPLE = "#CC79A7"  # Okabe & Ito 2008, as the others
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY, "black")
MARKERS = "osD^vx"
DIVERGING = "PuOr_r"  # safe for the colour-blind; white is equal
UNITS = {"N": "examples", "D": "inputs", "C": "classes", "H": "hidden units", "batch": "rows"}


def epochs(results: Results) -> Any:
    """Draw every backend's epoch as a point with its quartiles, and the floors as lines."""
    found = by_backend(results.of("epoch"))
    figure, axes = new_figure(len(found))
    figure.set_size_inches(5 * len(found), 3.6)
    for axis, (case, rows) in zip(axes, found.items(), strict=True):
        drawn = sorted((r for r in rows.values() if r.backend not in FLOORS), key=_median)
        for place, row in enumerate(reversed(drawn)):
            s, colour = row.summary, BLUE if row.backend == OURS else GREY
            errors = [[s.median - s.low], [s.high - s.median]]
            axis.errorbar(s.median, place, xerr=errors, fmt="o", color=colour, capsize=3)
        axis.set_yticks(range(len(drawn)), [row.backend for row in reversed(drawn)])
        for name, style in ((FLOORS[0], "--"), (BOTH_FLOORS, ":")):
            if least := floor(rows, name):
                axis.axvline(_median(least), color=ORANGE, linestyle=style, label=name)
        axis.set(xscale="log", xlabel="seconds an epoch", title=f"{case.name}, {case.data}")
        if FLOORS[0] in rows:
            axis.legend(frameon=False, fontsize=8)
    return figure


def operations(results: Results) -> Any:
    """Draw, for each operation with its gradient, how many times our time others need."""
    found = {case: rows for case, rows in by_backend(results.of("op")).items() if OURS in rows}
    others = dict.fromkeys(name for rows in found.values() for name in rows if name != OURS)
    figure, (axis,) = new_figure(1)
    figure.set_size_inches(7, 1.2 + 0.19 * len(found))
    for name, colour, marker in zip(others, cycle(COLOURS), cycle(MARKERS)):
        for place, rows in enumerate(found.values()):
            if name in rows:
                s = rows[name].times(rows[OURS])
                axis.errorbar(
                    s.median, place, xerr=[[s.median - s.low], [s.high - s.median]],
                    fmt=marker, color=colour, markersize=4, label=name if place == 0 else None,
                )  # fmt: skip
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(found)), [case.name for case in found], fontsize=7)
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set(xscale="log", xlabel=f"time of value and gradients, as a multiple of {OURS}'s")
    axis.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.06), ncols=len(others))
    return figure


def crossover(results: Results, rival: str) -> Any:
    """Draw the rival's time over ours, over batch and width, a panel a depth.

    Where a cell is orange the rival is slower; on the black line both are equal.
    """
    found = by_backend(results.of("crossover"))
    found = {case: rows for case, rows in found.items() if rival in rows and OURS in rows}
    depths = sorted({len(case.sizes) - 1 for case in found})
    figure, axes = new_figure(len(depths))
    figure.set_size_inches(1.2 + 2.7 * len(depths), 2.9)
    for axis, depth in zip(axes, depths, strict=True):
        batches, widths, ratio = _grid(found, depth, rival)
        image = _map(axis, ratio)
        axis.set_xticks(range(len(batches)), batches, fontsize=7)
        axis.set_yticks(range(len(widths)), widths)
        title = "softmax regression" if depth == 1 else f"depth {depth}"
        axis.set(xlabel="batch (rows)", title=title)
    axes[0].set(ylabel="width (inputs and hidden units)")
    bar = figure.colorbar(image, ax=axes, ticks=[-4, -2, 0, 2, 4])
    bar.ax.set_yticklabels(["1/16", "1/4", "1", "4", "16"])
    bar.set_label(f"time of {rival} / {OURS}")
    figure.suptitle(f"A training step of width-...-width-{CLASSES} networks: {rival} against NumPy")
    return figure


def scaling(results: Results) -> Any:
    """Draw time over each size, with quartile bands and the fitted exponent."""
    panels: dict[str, dict[str, list[Row]]] = {}
    for row in results.of("scaling"):
        if not row.not_run:
            panels.setdefault(row.case.axis, {}).setdefault(row.backend, []).append(row)
    figure, axes = new_figure(len(panels))
    for axis, (name, lines) in zip(axes, panels.items(), strict=True):
        for (backend, rows), colour, marker in zip(lines.items(), cycle(COLOURS), cycle(MARKERS)):
            sizes = [row.case.value for row in rows]
            label = backend
            if len(sizes) > 1:
                label += f", exponent {exponent(sizes, [_median(row) for row in rows]):.2f}"
            _band(axis, sizes, rows, label, colour, marker)
        what = "an epoch" if rows[0].case.kind == "epoch" else "a step"
        axis.set(xscale="log", yscale="log", xlabel=f"{name} ({UNITS[name]})",
                 ylabel=f"seconds {what}")  # fmt: skip
        axis.legend(frameon=False, fontsize=7)
    return figure


def threads(results: Results) -> Any:
    """Draw an epoch's time over the number of threads."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in sorted(results.rows, key=lambda row: row.threads):
        if row.case.group == "epoch" and not row.not_run and row.backend not in FLOORS:
            found.setdefault(row.case.name, {}).setdefault(row.backend, []).append(row)
    figure, axes = new_figure(len(found))
    for axis, (name, lines) in zip(axes, found.items(), strict=True):
        for (backend, rows), colour, marker in zip(lines.items(), cycle(COLOURS), cycle(MARKERS)):
            _band(axis, [row.threads for row in rows], rows, backend, colour, marker)
        counts = sorted({row.threads for row in rows})
        axis.set(
            xscale="log", yscale="log", xlabel="threads", ylabel="seconds an epoch", title=name
        )
        axis.set_xticks(counts, map(str, counts))
        axis.minorticks_off()
    axes[-1].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def all_of(results: Results) -> dict[str, Any]:
    """Return every picture that the results have the rows for, by name."""
    figures = {}
    if by_backend(results.of("epoch")):
        figures["epochs"] = epochs(results)
    if any(len(rows) > 1 for rows in by_backend(results.of("op")).values()):
        figures["ops"] = operations(results)
    if by_backend(results.of("scaling")):
        figures["scaling"] = scaling(results)
    if len({row.threads for row in results.rows}) > 1:
        figures["threads"] = threads(results)
    pairs = [rows for rows in by_backend(results.of("crossover")).values() if OURS in rows]
    rivals = {name for rows in pairs for name in rows} - {OURS}
    for rival in sorted(rivals):
        figures[f"crossover-{rival.lower().replace(' ', '-')}"] = crossover(results, rival)
    return figures


def _map(axis: Any, ratio: Array) -> Any:
    """Draw a matrix of ratios with its figures, and the line of 1."""
    image = axis.imshow(
        np.log2(ratio), cmap=DIVERGING, vmin=-4, vmax=4, aspect="auto", origin="lower"
    )
    if min(ratio.shape) > 1 and np.nanmin(ratio) < 1 < np.nanmax(ratio):
        axis.contour(np.log2(ratio), levels=[0], colors="black", linewidths=1.5)
    for i, j in np.argwhere(np.isfinite(ratio)):
        shade = "white" if abs(np.log2(ratio[i, j])) > 3 else "black"
        axis.text(j, i, f"{ratio[i, j]:.2g}", ha="center", va="center", fontsize=7, color=shade)
    axis.grid(visible=False)
    return image


def _band(axis: Any, x: list[int], rows: list[Row], label: str, colour: str, marker: str) -> None:
    median, low, high = zip(*(row.summary for row in rows), strict=True)
    axis.plot(x, median, marker=marker, color=colour, markersize=4, label=label)
    axis.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)


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


def _median(row: Row) -> float:
    return row.summary.median
