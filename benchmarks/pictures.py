"""The pictures of a results file: epochs, operations, sizes, threads, and the crossover maps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.cases import CLASSES, Case
from benchmarks.results import BOTH_FLOORS, FLOORS, OURS, Results, Row, by_backend, floor, rivals
from benchmarks.statistics import exponent
from scratchnn.extras import need
from scratchnn.ops.shared import Array
from scratchnn.plots import BLUE, GREEN, GREY, ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

PURPLE = "#CC79A7"  # Okabe & Ito 2008, as the others
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY, "black")
MARKERS = "osD^vx"
LINES = ("-", "--", ":")
DIVERGING = "PuOr_r"  # safe for the colour-blind; white means equal
COLUMNS = 3  # of panels: a page has room for them
UNITS = {"N": "examples", "D": "inputs", "C": "classes", "H": "hidden units", "batch": "rows"}


def all_of(results: Results) -> dict[str, Figure]:
    """Return every picture that the results have the rows for, by name."""
    figures = {}
    if by_backend(results.of("epoch")):
        figures["epochs"] = epochs(results)
    if any(len(rows) > 1 for rows in by_backend(results.of("op")).values()):
        figures["ops"] = operations(results)
    if by_backend(results.of("scaling")):
        figures["scaling"] = scaling(results)
    counts = {(r.case, r.threads) for r in results.rows if r.values and r.backend == OURS}
    if len(counts) > len({case for case, _ in counts}):
        figures["threads"] = threads(results)
    for rival in sorted(rivals(results)):
        figures[f"crossover-{rival.lower().replace(' ', '-')}"] = crossover(results, rival)
    return figures


def epochs(results: Results) -> Figure:
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
        axis.set(xscale="log", title=f"{case.name}, {case.data}")
        axis.set_xlabel(f"seconds per epoch, threads: {results.threads}")
        plain_ticks(axis)
        if FLOORS[0] in rows:
            axis.legend(frameon=False, fontsize=8)
    return figure


def operations(results: Results) -> Figure:
    """Draw, for each operation with its gradients, how many times our time others need."""
    found = {case: rows for case, rows in by_backend(results.of("op")).items() if OURS in rows}
    others = dict.fromkeys(name for rows in found.values() for name in rows if name != OURS)
    figure, (axis,) = new_figure(1)
    figure.set_size_inches(7, 1.2 + 0.19 * len(found))
    for name, style in styles(others).items():
        places = [place for place, rows in enumerate(found.values()) if name in rows]
        ratios = [rows[name].times(rows[OURS]) for rows in found.values() if name in rows]
        median, low, high = zip(*ratios, strict=True)
        axis.hlines(places, low, high, color=style.colour)
        axis.plot(
            median,
            places,
            color=style.colour,
            marker=style.marker,
            linestyle="",
            markersize=4,
            label=name,
        )
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(found)), [case.name for case in found], fontsize=7)
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set(xscale="log", xlabel=f"time of value and gradients, as a multiple of {OURS}'s")
    plain_ticks(axis)
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=len(others))
    return figure


def scaling(results: Results) -> Figure:
    """Draw the time over each size, with quartile bands and the fitted exponent."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in results.of("scaling"):
        if not row.not_run:
            found.setdefault(row.case.axis, {}).setdefault(row.backend, []).append(row)
    style = styles(dict.fromkeys(name for lines in found.values() for name in lines))
    figure, axes = panels(len(found), 3.6, 3.6)
    for axis, (name, lines) in zip(axes, found.items(), strict=True):
        for backend, rows in lines.items():
            sizes = [row.case.value for row in rows]
            label = backend
            if len(sizes) > 1:
                label += f", {exponent(sizes, [_median(row) for row in rows]):.2f}"
            _band(axis, sizes, rows, label, style[backend])
        unit = rows[0].case.kind  # step or epoch
        axis.set(xscale="log", yscale="log", xlabel=f"{name} ({UNITS[name]})")
        axis.set_ylabel(f"seconds per {unit}")
        plain_ticks(axis)
        legend_below(axis, "exponent")
    return figure


def threads(results: Results) -> Figure:
    """Draw the time per epoch over the number of threads, and say the speed-up by the most."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in sorted(results.rows, key=lambda row: row.threads):
        if row.case.group == "epoch" and not row.not_run and row.backend not in FLOORS:
            found.setdefault(row.case.name, {}).setdefault(row.backend, []).append(row)
    found = {name: lines for name, lines in found.items() if len(_counts(lines)) > 1}
    style = styles(dict.fromkeys(name for lines in found.values() for name in lines))
    figure, axes = panels(len(found), 4.4, 4.6)
    for axis, (name, lines) in zip(axes, found.items(), strict=True):
        counts = _counts(lines)
        for backend, rows in lines.items():
            _band(axis, [row.threads for row in rows], rows, _speedup(rows, counts), style[backend])
        axis.set(xscale="log", yscale="log", xlabel="threads", title=name)
        axis.set_ylabel("seconds per epoch")
        axis.set_xticks(counts, map(str, counts))
        axis.minorticks_off()
        legend_below(axis, f"speed-up from {counts[0]} to {counts[-1]} threads")
    return figure


def _counts(lines: dict[str, list[Row]]) -> list[int]:
    return sorted({row.threads for rows in lines.values() for row in rows})


def _speedup(rows: list[Row], counts: list[int]) -> str:
    """Return a line's label: how many times faster it is with the most threads than the fewest."""
    times = {row.threads: _median(row) for row in rows}
    if not {counts[0], counts[-1]} <= times.keys():
        return rows[0].backend
    return f"{rows[0].backend}, {times[counts[0]] / times[counts[-1]]:.2f} ×"


def _band(axis: Axes, x: list[int], rows: list[Row], label: str, style: Style) -> None:
    median, low, high = zip(*(row.summary for row in rows), strict=True)
    axis.plot(
        x,
        median,
        color=style.colour,
        marker=style.marker,
        linestyle=style.line,
        markersize=4,
        label=label,
    )
    axis.fill_between(x, low, high, color=style.colour, alpha=0.25, linewidth=0)


def _median(row: Row) -> float:
    return row.summary.median


# The map of where each is faster


def crossover(results: Results, rival: str) -> Figure:
    """Draw the rival's time over ours, over batch and width, with a panel for each depth.

    In an orange cell the rival is slower, in a purple one we are. The black line is between them.
    """
    found = by_backend(results.of("crossover"))
    found = {case: rows for case, rows in found.items() if rival in rows and OURS in rows}
    depths = sorted({len(case.sizes) - 1 for case in found})
    figure, axes = panels(len(depths), 3.0, 2.5)
    for axis, depth in zip(axes, depths, strict=True):
        batches, widths, ratio = _grid(found, depth, rival)
        image = draw_map(axis, ratio)
        axis.set_xticks(range(len(batches)), map(str, batches), fontsize=6)
        axis.set_yticks(range(len(widths)), map(str, widths), fontsize=7)
        title = "softmax regression" if depth == 1 else f"depth {depth}"
        axis.set(xlabel="batch (rows)", ylabel="width (units)", title=title)
    bar = figure.colorbar(image, ax=axes, ticks=[-4, -2, 0, 2, 4], pad=0.02)
    bar.ax.set_yticklabels(["≤ 1/16", "1/4", "1", "4", "≥ 16"])
    bar.set_label(f"time of {rival} / {OURS}")
    figure.suptitle(f"A step of width-...-width-{CLASSES} networks: {rival} against NumPy")
    return figure


def _grid(
    found: dict[Case, dict[str, Row]], depth: int, rival: str
) -> tuple[list[int], list[int], Array]:
    """Return batches, widths, and the rival's time over ours; NaN where there is no figure.

    Shapes   the ratios are (widths, batches)
    """
    cells = {
        (case.sizes[0], case.batch): rows[rival].times(rows[OURS]).median
        for case, rows in found.items()
        if len(case.sizes) - 1 == depth
    }
    widths, batches = (sorted(set(values)) for values in zip(*cells, strict=True))
    ratio = [[cells.get((width, batch), np.nan) for batch in batches] for width in widths]
    return batches, widths, np.array(ratio)


def draw_map(axis: Axes, ratio: Array) -> AxesImage:
    """Draw a matrix of ratios with its figures, and the line between above and below 1."""
    image = axis.imshow(
        np.log2(ratio), cmap=DIVERGING, vmin=-4, vmax=4, aspect="auto", origin="lower"
    )
    slower = np.where(np.isnan(ratio), np.nan, ratio > 1)
    i, j = np.nonzero(abs(np.diff(slower, axis=1)) == 1)  # NaN next to a number is no border
    axis.vlines(j + 0.5, i - 0.5, i + 0.5, colors="black", linewidth=1.5)
    i, j = np.nonzero(abs(np.diff(slower, axis=0)) == 1)
    axis.hlines(i + 0.5, j - 0.5, j + 0.5, colors="black", linewidth=1.5)
    for i, j in np.argwhere(np.isfinite(ratio)):
        shade = "white" if abs(np.log2(ratio[i, j])) > 2.8 else "black"
        axis.text(j, i, cell_label(ratio[i, j]), ha="center", va="center", fontsize=6, color=shade)
    axis.grid(visible=False)
    return image


def cell_label(ratio: float) -> str:
    """Return a ratio in four characters, so that it stays in its cell: 1/23 for 0.043.

    Four are enough between 1/999 and 999.
    """
    if ratio < 0.1:
        return f"1/{1 / ratio:.0f}"
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


# What the pictures have in common


def panels(
    count: int, width: float, height: float, columns: int = COLUMNS
) -> tuple[Figure, list[Axes]]:
    """Return a figure with some panels of this size in inches, in rows, and its axes."""
    rows, columns = -(-count // columns), min(count, columns)
    figure, axes = new_figure(count)
    figure.set_size_inches(width * columns, height * rows)
    grid = figure.add_gridspec(rows, columns)
    for i, axis in enumerate(axes):
        axis.set_subplotspec(grid[divmod(i, columns)])
    return figure, axes


class Style(NamedTuple):
    """How a backend is drawn."""

    colour: str
    marker: str
    line: str


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Return the style of each name. The first 18 all differ."""
    marks = list(zip(COLOURS, MARKERS, strict=True))
    all_of_them = [Style(*mark, line) for line, mark in product(LINES, marks)]
    return dict(zip(names, cycle(all_of_them), strict=False))


def legend_below(axis: Axes, title: str) -> None:
    """Put a panel's legend below it, where it hides nothing."""
    axis.legend(
        title=title,
        title_fontsize=7,
        fontsize=7,
        frameon=False,
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        handlelength=4,
    )


def plain_ticks(axis: Axes) -> None:
    """Label a logarithmic x axis with 1, 10, ..., and with 2, 5, ... where there is room."""
    ticker = need("matplotlib.ticker", "plots")
    low, high = axis.get_xlim()
    few = high / low > 10**2.5
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1,) if few else (1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.tick_params(axis="x", labelsize=7)
