"""What the search over the table of operations found: lines, a verdict, a page."""

from dataclasses import asdict
from typing import Any

from parity import bounds
from parity.report import page
from parity.search import ROWS, Cell, Worst
from scratchnn import plots

MATRIX = (
    "For each side, the largest error as a share of its rounding-error bound, and the largest "
    "error in units in the last place (ulps), over values and gradients of all generated cases. "
    "“none”: no digit of some element is right, where terms cancel and the bound allows it."
)
COLOURS = (plots.BLUE, plots.ORANGE, plots.GREEN)


def header(sides: list[str]) -> str:
    """Return the head of the table that `line` fills."""
    over = "".join(f"  {side:^17}" for side in sides)
    return (
        f"{'':49}{over}\n{'operation':33} {'dtype':8} {'cases':>6}"
        f"{'  of bound     ulps' * len(sides)}  closest"
    )


def line(cell: Cell) -> str:
    """Format one cell."""
    sides = "".join(
        f"  {page.percent(worst.error.ratio):>8} {ulps(worst.ulps, cell.dtype):>8}"
        for worst in cell.sides.values()
    )
    return f"{cell.op:33} {cell.dtype:8} {cell.cases:>6,}{sides}  {closest(cell)}"


def closest(cell: Cell) -> str:
    """Say which quantity came closest to its bound."""
    if not cell.holds:
        return "FAILS"
    worst = max(cell.sides.values(), key=lambda worst: worst.error.ratio)
    if worst.error.ratio == 0:
        return "all exact"
    return worst.quantity.removeprefix(cell.op).removeprefix(", ") or "value"


def ulps(error: float, dtype: str) -> str:
    """Format an error in ulps; from 1/2u on, no digit is right."""
    if error >= 0.5 / bounds.unit_roundoff(ROWS[dtype][0]):
        return "none"
    return f"{error:.2g}" if error < 99.5 else f"{error:,.0f}" if error < 1e7 else f"{error:.0e}"


def verdict(cells: list[Cell]) -> str:
    """Return one line: how many cells hold, over how many cases."""
    held = sum(cell.holds for cell in cells)
    cases = sum(cell.cases for cell in cells)
    return (
        f"{held} of {len(cells)} cells (operation × precision) hold, value and gradients, over "
        f"{cases:,} generated cases"
    )


def refusals(cells: list[Cell]) -> list[str]:
    """Say for each row of TF32 that the bounds of float32 refuse it: the check of the check."""
    return [
        f"{cell.op} in TF32, judged as float32: refused in {cell.refused:,} of {cell.cases:,} "
        f"cases, {'as it must be' if cell.refused else 'and it must be: the bound sees nothing'}"
        for cell in cells
        if cell.refused is not None and cell.failure is None
    ]


def failure(cell: Cell) -> str:
    """Return the smallest failing case, and the program that shows it; nothing where none is."""
    if cell.failure is None:
        return ""
    sides = " and ".join(cell.failure.guilty) or "the operation"
    what = "left its bound" if cell.failure.guilty else "raised"
    return (
        f"{cell.op} in {cell.dtype}: {sides} {what}. The smallest case:\n"
        f"{cell.failure.message}\n\n{cell.failure.code}"
    )


def report(cells: list[Cell], settings: dict[str, Any], environment: dict[str, Any]) -> page.Report:
    """Return all that was found, ready for JSON and HTML."""
    return page.Report(
        "NumPy beside PyTorch, operation by operation",
        all(cell.holds for cell in cells),
        verdict(cells),
        settings,
        environment,
        [asdict(cell) | {"holds": cell.holds} for cell in cells],
        lambda: _sections(cells),
    )


def _sections(cells: list[Cell]) -> list[page.Section]:
    sections = [
        page.Section(f"{cell.op} in {cell.dtype} fails", "", page.code(failure(cell)))
        for cell in cells
        if cell.failure
    ]
    sections += [page.Section("Operations", MATRIX), *_matrices(cells)]
    if texts := refusals(cells):
        sections.append(page.Section("The check of the check", ". ".join(texts) + "."))
    return sections


def _matrices(cells: list[Cell]) -> list[page.Section]:
    dtypes = list(dict.fromkeys(cell.dtype for cell in cells))
    return [_matrix(dtype, [cell for cell in cells if cell.dtype == dtype]) for dtype in dtypes]


def _matrix(dtype: str, cells: list[Cell]) -> page.Section:
    sides = list(dict.fromkeys(side for cell in cells for side in cell.sides))
    parts = (f"{side}<br>{part}" for side in sides for part in ("share of bound", "ulps"))
    rows = [
        [
            cell.op,
            page.outcome(cell.holds),
            *(text for side in sides for text in _shown(cell.sides.get(side), dtype)),
            closest(cell),
        ]
        for cell in cells
    ]
    head = ["operation", "", *parts, "closest to<br>its bound"]
    html = page.table(head, rows, words=(0, 1, len(head) - 1))
    html += page.picture(_picture(cells, sides, dtype), f"largest errors in {dtype}, in ulps")
    return page.Section(dtype, "", html)


def _shown(worst: Worst | None, dtype: str) -> tuple[str, str]:
    if worst is None:
        return "", ""
    return page.share(worst.error.ratio), ulps(worst.ulps, dtype)


def _picture(cells: list[Cell], sides: list[str], dtype: str) -> Any:
    """Draw the largest errors of each side in ulps, no larger than where no digit is right."""
    lost = 0.5 / bounds.unit_roundoff(ROWS[dtype][0])
    figure, (axis,) = plots.new_figure(1)
    figure.set_size_inches(9, 1.2 + 0.24 * len(cells))
    for number, (side, colour) in enumerate(zip(sides, COLOURS, strict=False)):
        found = {i: cell.sides[side].ulps for i, cell in enumerate(cells) if side in cell.sides}
        heights = [i + 0.2 * (number - (len(sides) - 1) / 2) for i in found]
        errors = [min(max(error, 0.1), lost) for error in found.values()]
        axis.plot(errors, heights, "o", color=colour, markersize=4.5, label=side, clip_on=False)
    axis.axvline(lost, color="black", linewidth=0.8)
    axis.annotate("no digit is right", (lost, -0.6), (-4, 0), textcoords="offset points",
                  ha="right", va="center")  # fmt: skip
    axis.set(xscale="log", xlim=(0.1, 2 * lost), ylim=(len(cells) - 0.5, -1))
    axis.set_xlabel("largest error in ulps (0.1 stands for less)")
    axis.set_yticks(range(len(cells)), [cell.op for cell in cells])
    if sides:
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
