"""Which figures are noise. A machine that does other work, too, makes them larger, at random.

A row is noisy where

    other processes worked         while it was timed, by the kernel's count
    its quartiles gape             the upper is far above the lower
    it is a floor above an epoch   that has the same products in it, and more
    a larger case takes less       a step of 64 inputs is not slower than one of 1,024

The figures tell by themselves, so old results are judged as new ones are. A noisy row is measured
again (runner.py). Where it stays noisy, tables and pictures mark it, and nothing is concluded from
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from benchmarks.cases import Case
from benchmarks.results import FLOORS, OURS, Results, Row

BUSY = 0.15  # cores: what a quiet system does by itself is less
GAP = 1.5  # the upper quartile over the lower one, and a small case over a larger one
FLOOR_MARGIN = 1.05  # a floor over an epoch: medians have an error of a few per cent
MARK = "?"  # after a noisy figure in tables and pictures


def mark(rows: Sequence[Row]) -> list[Row]:
    """Say of each row whether it is noisy, and why; return those that are."""
    ran = [row for row in rows if row.values and not row.not_run]
    for row in ran:
        row.noisy = _by_itself(row)
    for row, why in (*_floors(ran), *_larger_cases(ran)):
        row.noisy = row.noisy or why
    return [row for row in ran if row.noisy]


def marked(results: Results) -> Results:
    """Return the results, with their noisy rows marked."""
    mark(results.rows)
    return results


def spread(rows: Sequence[Row]) -> float:
    """Return the largest ratio of a row's quartiles."""
    return max((_gap(row) for row in rows if row.values), default=1.0)


def _by_itself(row: Row) -> str:
    if row.others is not None and row.others > BUSY:
        return f"other processes took {row.others:.1f} cores"
    if (gap := _gap(row)) > GAP:
        return f"its quartiles are {gap:.1f} x apart"
    return ""


def _gap(row: Row) -> float:
    s = row.summary
    return s.high / s.low if s.low > 0 else float("inf")


def _floors(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Yield floors that take longer than an epoch in NumPy, which has the floor's work in it."""
    least: dict[tuple[Case, int], float] = {}
    for row in rows:
        if row.backend.startswith((OURS, "plain loop")):
            key, median = (row.case, row.threads), row.summary.median
            least[key] = min(median, least.get(key, median))
    for row in rows:
        bound = least.get((row.case, row.threads))
        if row.backend in FLOORS and bound and row.summary.median > FLOOR_MARGIN * bound:
            yield row, "it is above an epoch, which has the same work in it"


def _larger_cases(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Yield rows that take longer than a case of the same kind that is larger in every way."""
    families: dict[object, list[Row]] = {}
    for row in rows:
        if size := _size(row.case):
            family = (row.backend, row.threads, row.case.group, row.case.axis, len(size))
            families.setdefault(family, []).append(row)
    for family_rows in families.values():
        for row, other in permutations(family_rows, 2):
            is_larger = all(a <= b for a, b in zip(_size(row.case), _size(other.case), strict=True))
            if is_larger and row.summary.median > GAP * other.summary.median:
                yield row, f"{other.case.name} takes less"


def _size(case: Case) -> tuple[int, ...]:
    """Return the sizes in which cases of a group can be compared, or none."""
    if case.group == "scaling":
        return (case.value,)
    return (len(case.sizes), case.sizes[0], case.batch) if case.group == "crossover" else ()
