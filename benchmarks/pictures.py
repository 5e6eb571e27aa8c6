"""The pictures of a results file: epochs, operations, sizes, threads, and the crossover maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, product
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cases import CLASSES, Case
from benchmarks.noise import MARK
from benchmarks.results import FLOORS, OURS, Results, Row, by_backend, floor, rivals
from benchmarks.tables import SHOWN_FLOORS, growth, series
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
DATA = {"mnist": "MNIST", "digits": "digits"}
UNITS = {"N": "examples", "D": "inputs", "C": "classes", "H": "hidden units", "batch": "rows"}


def all_of(results: Results) -> dict[str, Figure]:
    """Return every picture that the results have the rows for, by name."""
    return {name: draw() for name, draw in _drawings(results).items()}


def names(results: Results) -> list[str]:
    """Return the names of the pictures, without drawing them."""
    return list(_drawings(results))


def _drawings(results: Results) -> dict[str, Callable[[], Figure]]:
    found: dict[str, Callable[[], Figure]] = {}
    if by_backend(results.of("epoch")):
        found["epochs"] = partial(epochs, [results])
    if any(len(rows) > 1 for rows in by_backend(results.of("op")).values()):
        found["ops"] = partial(operations, results)
    if series(results):
        found["scaling"] = partial(scaling, results)
    counts = {(r.case, r.threads) for r in results.rows if r.values and r.backend == OURS}
    if len(counts) > len({case for case, _ in counts}):
        found["threads"] = partial(threads, results)
    for rival in sorted(rivals(results)):
        name = f"crossover-{rival.lower().replace(' ', '-')}"
        found[name] = partial(crossover, results, rival)
    return found


def epochs(machines: Sequence[Results]) -> Figure:
    """Draw every backend's epoch as a point with its quartiles, and the floors as lines.

    Each machine has a row of panels, and each model a column.
    """
    shown = [results for results in machines if by_backend(results.of("epoch"))]
    found = [by_backend(results.of("epoch")) for results in shown]
    columns = max(map(len, found))
    figure, axes = panels(len(shown) * columns, 5.4, 3.9, columns)
    for i, (results, cases) in enumerate(zip(shown, found, strict=True)):
        for axis, (case, rows) in zip(axes[i * columns :], cases.items(), strict=False):
            _epoch_panel(axis, rows)
            axis.set_title(f"{case.name}, {DATA[case.data]}\n{results.where}", fontsize=9)
        for axis in axes[i * columns + len(cases) : (i + 1) * columns]:
            axis.set_visible(False)
    title = "Time per epoch: further left is faster; orange is what the matrix products alone take"
    _titled(figure, "epoch", title, *shown, named=False)
    return figure


def _epoch_panel(axis: Axes, rows: dict[str, Row]) -> None:
    drawn = sorted((r for r in rows.values() if r.backend not in FLOORS), key=_median)
    for place, row in enumerate(reversed(drawn)):
        s, colour = row.summary, BLUE if row.backend.startswith(OURS) else GREY
        errors = [[s.median - s.low], [s.high - s.median]]
        fill = "white" if row.noisy else colour
        axis.errorbar(s.median, place, xerr=errors, fmt="o", color=colour, mfc=fill, capsize=3)
    labels = [row.backend + (MARK if row.noisy else "") for row in reversed(drawn)]
    axis.set_yticks(range(len(drawn)), labels)
    for name, style in zip(SHOWN_FLOORS, ("--", ":"), strict=True):
        if least := floor(rows, name):
            label = SHOWN_FLOORS[name] + (MARK if least.noisy else "")
            axis.axvline(_median(least), color=ORANGE, linestyle=style, label=label)
    axis.set(xscale="log", ylabel="backend", xlabel="seconds per epoch (logarithmic)")
    plain_ticks(axis)
    if FLOORS[0] in rows:
        axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def operations(results: Results) -> Figure:
    """Draw, for each operation with its gradients, how many times our time others need."""
    found = {case: rows for case, rows in by_backend(results.of("op")).items() if OURS in rows}
    others = dict.fromkeys(name for rows in found.values() for name in rows if name != OURS)
    figure, (axis,) = new_figure(1)
    figure.set_size_inches(7, 2.0 + 0.19 * len(found))
    for name, style in styles(others).items():
        pairs = [
            (i, rows[name], rows[OURS]) for i, rows in enumerate(found.values()) if name in rows
        ]
        _ratios(axis, name, pairs, style)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(found)), [case.name for case in found])
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set(xscale="log", ylabel="operation (shape of its input)")
    axis.set_xlabel(f"time of value and gradients / {OURS}'s (logarithmic)")
    plain_ticks(axis)
    _titled(figure, "op", f"Operations: right of 1, {OURS} is faster", results)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=len(others))
    return figure


def _ratios(axis: Axes, name: str, pairs: list[tuple[int, Row, Row]], style: Style) -> None:
    """Draw how many times our time another needs, with quartiles; hollow where one is noise."""
    label = name
    for noisy in (False, True):
        some = [(i, a.times(b)) for i, a, b in pairs if bool(a.noisy or b.noisy) == noisy]
        if not some:
            continue
        places, ratios = zip(*some, strict=True)
        median, low, high = zip(*ratios, strict=True)
        axis.hlines(places, low, high, color=style.colour)
        fill = "white" if noisy else style.colour
        _draw(axis, median, places, replace(style, line=""), label, fill)
        label = ""  # once


def scaling(results: Results) -> Figure:
    """Draw the time over each size, with quartile bands, and the exponents beside the theory's."""
    found: dict[str, dict[str, list[Row]]] = {}
    for (axis_name, backend), rows in series(results).items():
        found.setdefault(axis_name, {})[backend] = rows
    style = styles(dict.fromkeys(name for lines in found.values() for name in lines))
    figure, axes = panels(len(found), 3.6, 3.6)
    for axis, (name, lines) in zip(axes, found.items(), strict=True):
        for backend, rows in lines.items():
            sizes = [row.case.value for row in rows]
            _band(axis, sizes, rows, _with_exponents(backend, rows), style[backend])
        unit = rows[0].case.kind  # step or epoch
        axis.set(xscale="log", yscale="log", xlabel=f"{name} ({UNITS[name]}, logarithmic)")
        axis.set_ylabel(f"seconds per {unit} (logarithmic)")
        plain_ticks(axis)
        legend_below(axis, "exponent (that of the multiplications)")
    _titled(figure, "scaling", "Time over each size: lower is faster", results)
    return figure


def _with_exponents(backend: str, rows: list[Row]) -> str:
    fitted = growth(rows)
    return f"{backend}, {fitted[0]:.2f} ({fitted[1]:.2f})" if fitted else backend


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
        axis.set(xscale="log", yscale="log", xlabel="threads (logarithmic)", title=name)
        axis.set_ylabel("seconds per epoch (logarithmic)")
        plain_ticks(axis)
        axis.set_xticks(counts, map(str, counts))
        axis.minorticks_off()
        legend_below(axis, f"speed-up from {counts[0]} to {counts[-1]} threads")
    _titled(figure, "epoch", "Time per epoch with more threads: lower is faster", results)
    return figure


def _counts(lines: dict[str, list[Row]]) -> list[int]:
    return sorted({row.threads for rows in lines.values() for row in rows})


def _speedup(rows: list[Row], counts: list[int]) -> str:
    """Return a line's label: how many times faster it is with the most threads than the fewest."""
    times = {row.threads: _median(row) for row in rows if not row.noisy}
    if not {counts[0], counts[-1]} <= times.keys():
        return rows[0].backend
    return f"{rows[0].backend}, {times[counts[0]] / times[counts[-1]]:.2f} ×"


def _band(axis: Axes, x: list[int], rows: list[Row], label: str, style: Style) -> None:
    """Draw a line with its quartiles. What is noise is a hollow point beside the line."""
    pairs = list(zip(x, rows, strict=True))
    some = [(at, row.summary) for at, row in pairs if not row.noisy]
    at, median, low, high = zip(*((at, *s) for at, s in some), strict=True) if some else [()] * 4
    _draw(axis, at, median, style, label, style.colour)
    axis.fill_between(at, low, high, color=style.colour, alpha=0.25, linewidth=0)
    noisy = {at: _median(row) for at, row in pairs if row.noisy}
    _draw(axis, list(noisy), list(noisy.values()), replace(style, line=""), "", "white")


def _draw(
    axis: Axes, x: Sequence[float], y: Sequence[float], style: Style, label: str, fill: str
) -> None:
    """Draw points, with a line where the style has one."""
    axis.plot(
        x,
        y,
        color=style.colour,
        marker=style.marker,
        linestyle=style.line,
        markersize=4,
        markerfacecolor=fill,
        label=label,
    )


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
    bar.set_label(f"time of {rival} / {OURS}\n(logarithmic)", fontsize=8)
    title = f"A step of width-...-width-{CLASSES} networks: above 1 (orange), {OURS} is faster"
    _titled(figure, "crossover", f"{title}, below 1 {rival}", results)
    return figure


def _grid(
    found: dict[Case, dict[str, Row]], depth: int, rival: str
) -> tuple[list[int], list[int], Array]:
    """Return batches, widths, and the rival's time over ours; NaN where there is no figure.

    Shapes   the ratios are (widths, batches)
    """
    cells = {
        (case.sizes[0], case.batch): _reliable(rows[rival], rows[OURS])
        for case, rows in found.items()
        if len(case.sizes) - 1 == depth
    }
    widths, batches = (sorted(set(values)) for values in zip(*cells, strict=True))
    ratio = [[cells.get((width, batch), np.nan) for batch in batches] for width in widths]
    return batches, widths, np.array(ratio)


def _reliable(row: Row, other: Row) -> float:
    """Return the median ratio, or NaN where one is noise."""
    return np.nan if row.noisy or other.noisy else row.times(other).median


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
    for i, j in np.ndindex(ratio.shape):
        value = float(ratio[i, j])
        known = np.isfinite(value)
        shade = "white" if known and abs(np.log2(value)) > 2.8 else "black"
        text = cell_label(value) if known else MARK
        axis.text(j, i, text, ha="center", va="center", fontsize=6, color=shade)
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


def _titled(figure: Figure, group: str, title: str, *machines: Results, named: bool = True) -> None:
    """Write above a figure what it shows and which way is better; machine and date; and noise.

    group   the group of cases that it shows
    """
    lines = [title, *((results.where for results in machines) if named else ())]
    if any(r.noisy for results in machines for r in results.rows if r.case.group == group):
        lines.append(f"hollow points and {MARK}: the machine was busy, not to be relied on")
    figure.suptitle("\n".join(lines), fontsize=9)


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


@dataclass(frozen=True)
class Style:
    """How a backend is drawn. Without a line there are points alone."""

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
    """Label logarithmic axes with 1, 10, ..., and with 2, 5, ... where there is room."""
    ticker = need("matplotlib.ticker", "plots")
    both = ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim()))
    for one, (low, high) in both:
        if one.get_scale() == "log":
            subs = (1,) if high / low > 10**2.5 else (1, 2, 5)
            one.set_major_locator(ticker.LogLocator(subs=subs))
            one.set_major_formatter(ticker.FormatStrFormatter("%g"))
            one.set_minor_formatter(ticker.NullFormatter())
    axis.tick_params(labelsize=7)
