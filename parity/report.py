"""One report of what a command found: as text, as JSON, and as an HTML page.

First comes what every command uses: a report with its sections, and how it is written. At the end
stand the lines, the verdict and the sections of `python -m parity ops`. scratchnn.run.look.page
makes the page.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from parity import bounds
from scratchnn import plots
from scratchnn.run.look import page
from scratchnn.run.look.page import Section as Section  # parity's reports are made of these
from scratchnn.run.look.page import code as code
from scratchnn.run.look.page import picture as picture
from scratchnn.run.look.page import table as table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from parity.search import Cell  # which needs Hypothesis


Facts: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Report:
    """What a command found: its verdict, what it depends on, all results, and how to show them.

    The sections are made when they are wanted, as only a page needs pictures.
    """

    title: str
    holds: bool
    verdict: str
    settings: Facts
    environment: Facts
    results: object
    sections: Callable[[], Sequence[Section]]


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Add --json and --html.

    Options  parser   of the command that gets them, or a group of its options
    """
    parser.add_argument("--json", metavar="FILE", help="save the results as JSON")
    parser.add_argument("--html", metavar="FILE", help="save a page to read in a browser")


def save(report: Report, json_file: str | None, html_file: str | None) -> list[Path]:
    """Write the files that are named, and return their paths.

    Options  report      what to write
             json_file   where to write it as JSON; None: nowhere
             html_file   where to write it as a page; None: nowhere
    """
    paths = []
    for name, make in ((json_file, as_json), (html_file, as_html)):
        if name:
            paths.append(Path(name))
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(make(report), encoding="utf-8")
    return paths


def say_saved(*paths: object) -> None:
    """Print which files were saved, if any."""
    if paths:
        print(f"saved {', '.join(map(str, paths))}")


def as_json(report: Report) -> str:
    """Return the report without its pictures; what is not finite becomes a string."""
    return to_json({name: value for name, value in vars(report).items() if name != "sections"})


def to_json(value: object) -> str:
    """Return a value as JSON; numbers that are not finite become strings."""
    return json.dumps(_plain(value), indent=1, allow_nan=False) + "\n"


def save_rows(path: Path, environment: Facts, name: str, rows: Iterable[Facts]) -> None:
    """Write an environment and results as JSON, a result per line.

    Options  path          the file
             environment   what the results depend on
             name          of the results in the file
             rows          the results
    """
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    facts = json.dumps(environment, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"environment": {facts},\n"{name}": [\n{lines}\n]}}\n')


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def as_html(report: Report) -> str:
    """Return the report as a page."""
    outcome = "holds" if report.holds else "fails"
    return page.render(
        report.title,
        report.verdict,
        report.sections(),
        {**report.settings, **report.environment},
        word=f"parity {outcome}",
        outcome=outcome,
    )


def _percent(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio < 100 else "off"


def share(ratio: float) -> str:
    """Return a share of a bound in HTML, with a bar next to it.

    Options  ratio   the share; above 1 the bound is exceeded
    """
    kind = "share" if ratio <= 1 else "share over"
    return f'<span class="{kind}" style="--share:{min(ratio, 1):.0%}">{_percent(ratio)}</span>'


# What the search over the table of operations found: the cells of parity.search

MATRIX = (
    "For each side, the largest error as a share of its rounding-error bound, and the largest "
    "error in units in the last place (ulps), over values and gradients of all generated cases. "
    "“none”: no digit of some element is right, where terms cancel and the bound allows it."
)
PARTS = {
    "theirs": "torch's side",
    "exact": "the right value",
    "exact_backward": "the right gradient",
    "bound": "the value's bound",
    "backward_bound": "the gradient's bound",
}
COLOURS = (plots.BLUE, plots.ORANGE, plots.GREEN)


def of_cells(cells: Sequence[Cell], settings: Facts, environment: Facts) -> Report:
    """Return the report of `python -m parity ops`.

    Options  cells         as from `parity.search.search`
             settings      what was asked for
             environment   as from `devices.environment`
    """
    title = "NumPy compared with PyTorch, operation by operation"
    held, cases = sum(cell.holds for cell in cells), sum(cell.cases for cell in cells)
    verdict = (
        f"{held} of {len(cells)} cells (operation × precision) hold, value and gradients, over "
        f"{cases:,} generated cases"
    )
    found = {cell.op: missing(cell) for cell in cells if cell.missing}
    verdict += "".join(f"; missing in {op}: {parts}" for op, parts in found.items())
    results, holds = [asdict(cell) | {"holds": cell.holds} for cell in cells], held == len(cells)
    return Report(title, holds, verdict, settings, environment, results, partial(_sections, cells))


def cells_header(sides: Sequence[str]) -> str:
    """Return the head of the table whose rows are made by `cell_line`.

    Options  sides   the names of the sides: ours, and torch on each device
    """
    over = "".join(f"  {side:^17}" for side in sides)
    return (
        f"{'':49}{over}\n{'operation':33} {'dtype':8} {'cases':>6}"
        f"{'  of bound     ulps' * len(sides)}  closest"
    )


def cell_line(cell: Cell, sides: Sequence[str]) -> str:
    """Return a cell as a row of the table, in text; "-" for a side that it does not have.

    Options  sides   those of `cells_header`
    """
    line = f"{cell.op:33} {cell.dtype:8} {cell.cases:>6,}"
    for worst in map(cell.sides.get, sides):
        ratio = _percent(worst.error.ratio) if worst else "-"
        line += f"  {ratio:>8} {_ulps(worst.ulps, cell.dtype) if worst else '-':>8}"
    return f"{line}  {_closest(cell)}"


def missing(cell: Cell) -> str:
    """Return the names of the parts that nobody has written yet."""
    return ", ".join(PARTS[part] for part in cell.missing)


def _closest(cell: Cell) -> str:
    """Say which quantity came closest to its bound, and what is missing."""
    words = "FAILS"
    if cell.holds:
        worst = max(cell.sides.values(), key=lambda worst: worst.error.ratio)
        quantity = worst.quantity.removeprefix(cell.op).removeprefix(", ") or "value"
        words = quantity if worst.error.ratio else "all exact"
    return words + (f", missing: {missing(cell)}" if cell.missing else "")


def _ulps(error: float, dtype: str) -> str:
    if error >= _no_digit(dtype):
        return "none"
    return f"{error:.2g}" if error < 99.5 else f"{error:,.0f}" if error < 1e7 else f"{error:.0e}"


def _no_digit(dtype: str) -> float:
    """Return the error in ulps from which on no digit is right."""
    return 0.5 / bounds.unit_roundoff("float32" if dtype == "tf32" else dtype)


def refusals(cells: Sequence[Cell]) -> list[str]:
    """Say for each operation in TF32 in how many cases the float32 bounds fail: they must in some.

    This checks the check. Bounds that TF32 never exceeds would be too wide.
    """
    return [
        f"{cell.op} in TF32, judged as float32: refused in {cell.refused:,} of {cell.cases:,} "
        f"cases, {'as it must be' if cell.refused else 'and it must be: the bound sees nothing'}"
        for cell in cells
        if cell.refused is not None and cell.failure is None
    ]


def cell_failure(cell: Cell) -> str:
    """Return the smallest failing case, and the program that shows it; "" if no case fails."""
    if cell.failure is None:
        return ""
    sides = " and ".join(cell.failure.guilty) or "the operation"
    what = "left its bound" if cell.failure.guilty else "raised"
    return (
        f"{cell.op} in {cell.dtype}: {sides} {what}. The smallest case:\n"
        f"{cell.failure.message}\n\n{cell.failure.code}"
    )


def _sections(cells: Sequence[Cell]) -> list[Section]:
    failed = {f"{cell.op} in {cell.dtype} fails": cell_failure(cell) for cell in cells}
    sections = [Section(title, "", code(text)) for title, text in failed.items() if text]
    sections.append(Section("Operations", MATRIX))
    for dtype in dict.fromkeys(cell.dtype for cell in cells):
        html = _matrix(dtype, [cell for cell in cells if cell.dtype == dtype])
        sections.append(Section(dtype, "", html))
    if texts := refusals(cells):
        sections.append(Section("The check of the check", ". ".join(texts) + "."))
    return sections


def _matrix(dtype: str, cells: Sequence[Cell]) -> str:
    sides = list(dict.fromkeys(side for cell in cells for side in cell.sides))
    rows = []
    for cell in cells:
        word = "holds" if cell.holds else "fails"
        row = [cell.op, f'<span class="{word}">{word}</span>']
        for side in sides:
            worst = cell.sides.get(side)
            row += [share(worst.error.ratio), _ulps(worst.ulps, dtype)] if worst else ["", ""]
        rows.append([*row, _closest(cell)])
    parts = (f"{side}<br>{part}" for side in sides for part in ("share of bound", "ulps"))
    head = ["operation", "", *parts, "closest to<br>its bound"]
    drawn = picture(_drawn(cells, sides, dtype), f"largest errors in {dtype}, in ulps")
    return table(head, rows, words=(0, 1, len(head) - 1)) + drawn


def _drawn(cells: Sequence[Cell], sides: Sequence[str], dtype: str) -> Figure:
    """Draw the largest errors of each side in ulps, no larger than where no digit is right."""
    lost = _no_digit(dtype)
    figure, (axis,) = plots.new_figure(1)
    figure.set_size_inches(9, 1.2 + 0.24 * len(cells))
    for number, (side, colour) in enumerate(zip(sides, COLOURS, strict=False)):
        found = {i: cell.sides[side].ulps for i, cell in enumerate(cells) if side in cell.sides}
        heights = [i + 0.2 * (number - (len(sides) - 1) / 2) for i in found]
        errors = [min(max(error, 0.1), lost) for error in found.values()]
        axis.plot(errors, heights, "o", color=colour, markersize=4.5, label=side, clip_on=False)
    axis.axvline(lost, color="black", linewidth=0.8)
    words, units = "no digit is right", "offset points"
    axis.annotate(words, (lost, -0.6), (-4, 0), textcoords=units, ha="right", va="center")
    axis.set(xscale="log", xlim=(0.1, 2 * lost), ylim=(len(cells) - 0.5, -1))
    axis.set_xlabel("largest error in ulps (0.1 stands for less)")
    axis.set_yticks(range(len(cells)), [cell.op for cell in cells])
    if sides:
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
