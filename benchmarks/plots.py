"""The pictures of a results file: epochs, operations, scaling, threads; crossover.py has maps."""

from typing import Any

from benchmarks.crossover import crossover
from benchmarks.panels import legend_below, panels, plain_ticks, styles
from benchmarks.results import Results, Row, by_backend
from benchmarks.statistics import exponent
from benchmarks.tables import BOTH_FLOORS, FLOORS, OURS, floor
from scratchnn.plots import BLUE, GREY, ORANGE, new_figure

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
        axis.set(xscale="log", title=f"{case.name}, {case.data}")
        axis.set_xlabel(f"seconds an epoch, threads: {results.threads}")
        plain_ticks(axis)
        if FLOORS[0] in rows:
            axis.legend(frameon=False, fontsize=8)
    return figure


def operations(results: Results) -> Any:
    """Draw, for each operation with its gradient, how many times our time others need."""
    found = {case: rows for case, rows in by_backend(results.of("op")).items() if OURS in rows}
    others = dict.fromkeys(name for rows in found.values() for name in rows if name != OURS)
    figure, (axis,) = new_figure(1)
    figure.set_size_inches(7, 1.2 + 0.19 * len(found))
    for name, style in styles(others).items():
        places = [place for place, rows in enumerate(found.values()) if name in rows]
        ratios = [rows[name].times(rows[OURS]) for rows in found.values() if name in rows]
        median, low, high = zip(*ratios, strict=True)
        axis.hlines(places, low, high, color=style["color"])
        axis.plot(median, places, **style | {"linestyle": ""}, markersize=4, label=name)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(found)), [case.name for case in found], fontsize=7)
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set(xscale="log", xlabel=f"time of value and gradients, as a multiple of {OURS}'s")
    plain_ticks(axis)
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=len(others))
    return figure


def scaling(results: Results) -> Any:
    """Draw time over each size, with quartile bands and the fitted exponent."""
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
        what = "an epoch" if rows[0].case.kind == "epoch" else "a step"
        axis.set(xscale="log", yscale="log", xlabel=f"{name} ({UNITS[name]})",
                 ylabel=f"seconds {what}")  # fmt: skip
        plain_ticks(axis)
        legend_below(axis, title="exponent", title_fontsize=7)
    return figure


def threads(results: Results) -> Any:
    """Draw an epoch's time over the number of threads, with the speed-up by the most of them."""
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
        axis.set(
            xscale="log", yscale="log", xlabel="threads", ylabel="seconds an epoch", title=name
        )
        axis.set_xticks(counts, map(str, counts))
        axis.minorticks_off()
        legend_below(
            axis, title=f"speed-up from {counts[0]} to {counts[-1]} threads", title_fontsize=7
        )
    return figure


def _counts(lines: dict[str, list[Row]]) -> list[int]:
    return sorted({row.threads for rows in lines.values() for row in rows})


def _speedup(rows: list[Row], counts: list[int]) -> str:
    """Return a line's label: how many times faster it is with the most threads than the fewest."""
    times = {row.threads: _median(row) for row in rows}
    if not {counts[0], counts[-1]} <= times.keys():
        return rows[0].backend
    return f"{rows[0].backend}, {times[counts[0]] / times[counts[-1]]:.2f} ×"


def all_of(results: Results) -> dict[str, Any]:
    """Return every picture that the results have the rows for, by name."""
    figures = {}
    if by_backend(results.of("epoch")):
        figures["epochs"] = epochs(results)
    if any(len(rows) > 1 for rows in by_backend(results.of("op")).values()):
        figures["ops"] = operations(results)
    if by_backend(results.of("scaling")):
        figures["scaling"] = scaling(results)
    epoch_counts = [(r.case, r.threads) for r in results.rows if r.values and r.backend == OURS]
    if len(set(epoch_counts)) > len({case for case, _ in epoch_counts}):
        figures["threads"] = threads(results)
    pairs = [rows for rows in by_backend(results.of("crossover")).values() if OURS in rows]
    rivals = {name for rows in pairs for name in rows} - {OURS}
    for rival in sorted(rivals):
        figures[f"crossover-{rival.lower().replace(' ', '-')}"] = crossover(results, rival)
    return figures


def _band(axis: Any, x: list[int], rows: list[Row], label: str, style: dict[str, str]) -> None:
    median, low, high = zip(*(row.summary for row in rows), strict=True)
    axis.plot(x, median, **style, markersize=4, label=label)
    axis.fill_between(x, low, high, color=style["color"], alpha=0.25, linewidth=0)


def _median(row: Row) -> float:
    return row.summary.median
