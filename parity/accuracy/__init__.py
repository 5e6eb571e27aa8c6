"""Errors of every operation in ulps of the right answer: ours compared with everybody else's.

A cell is one quantity of an operation, one family of logits, one number of classes, one precision.
In every cell, the 99.9th percentile of our errors must be at most twice that of the best of torch,
SciPy and JAX, or 4 ulp; and no result of ours may have no right digit. Where a result is a sum
whose terms may cancel by accident of the inputs, this may hold in ulps of the terms instead.

    answers.py    what is measured, on which inputs, and the right answers
    libraries.py  the same operations in torch, SciPy, JAX, scikit-learn and textbooks
    __init__.py   everybody's errors, and what ours may be
    speed.py      cross-entropy's time compared with the textbook's
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from parity.accuracy import libraries
from parity.accuracy.answers import (
    FAMILIES,
    MEASURED,
    TERMS,
    Answer,
    case,
    draw,
    quantities,
    right_answers,
)
from parity.accuracy.libraries import Library
from scratchnn.ops.shared import Array

RESULTS = Path(__file__).parents[2] / "docs/results/accuracy.json"
COMPARED = ("torch", "SciPy", "JAX")
CLASSES = (2, 10, 1000)
DTYPES = (np.float32, np.float64)
ENOUGH_ULPS = 4.0  # where no comparison is needed

Errors: TypeAlias = dict[str, tuple[float, float]]  # 99.9th percentile and maximum, by library


@dataclass(frozen=True)
class Cell:
    """Errors of each library in one cell, in ulps of the result; of a sum, of its terms as well."""

    op: str
    family: str
    classes: int
    dtype: str
    elements: int
    errors: Errors
    of_terms: Errors = field(default_factory=dict)

    @property
    def holds_plainly(self) -> bool:
        """Whether ours is within the limit and has digits right everywhere, by the result's ulp."""
        return self._within(self.errors)

    @property
    def holds(self) -> bool:
        """Whether it does by the result's ulp, or that of its terms."""
        return self.holds_plainly or (bool(self.of_terms) and self._within(self.of_terms))

    def _within(self, errors: Errors) -> bool:
        percentile, maximum = errors["ours"]
        return percentile <= limit(errors) and not is_lost(maximum, self.dtype)

    def __str__(self) -> str:
        percentile, maximum = self.errors["ours"]
        return (
            f"{self.op}, {self.family}, C = {self.classes}, {self.dtype}: 99.9 % within "
            f"{percentile:.3g} ulp, limit {limit(self.errors):.3g}, maximum {maximum:.3g}"
        )


def limit(errors: Errors) -> float:
    """Return what our 99.9th percentile may be."""
    found = [errors[name][0] for name in COMPARED if name in errors]
    return max(2 * min(found, default=0.0), ENOUGH_ULPS)


def ulps(result: Array, value: Array, terms: Array | None = None) -> NDArray[np.float64]:
    """Return the error of each element, in ulps of the right answer, or of its terms.

        |result - value| / ulp,   ulp = spacing(value) ≥ smallest subnormal

    An ulp of the terms is what even correctly rounded ones leave of a sum that cancels. Equal
    infinities are right. A NaN or an infinity on one side alone has no digit right, which counts
    as 2^24 ulps, or 2^53.
    """
    none = float(2 / np.finfo(result.dtype).eps)
    with np.errstate(all="ignore"):
        error = abs(result.astype(np.float64) - value)
        size = abs(value) if terms is None else terms
        unit = np.spacing(size.astype(result.dtype)).astype(np.float64)
        error = np.where(result == value, 0, error / unit)
        return np.where(error <= none, error, none)  # NaN, too, is none


def is_lost(error: float, dtype: DTypeLike) -> bool:
    """Return whether an error in ulps is a relative error near 1: above a quarter."""
    return error > 0.25 / float(np.finfo(dtype).eps)


def sizes(classes: int, quick: bool) -> tuple[int, int]:
    """Return the number of rows, and of those among them of which every element counts."""
    if classes == 1000:
        return (100, 4) if quick else (2000, 50)
    rows = 1000 if classes == 2 else 200
    return (2000, rows) if quick else (4000, 2 * rows)


def measure(quick: bool = False) -> Iterator[Cell]:
    """Yield every cell; the right answers take most of the time, and all cores."""
    found = {name: library for name in libraries.LIBRARIES if (library := libraries.load(name))}
    plan = [
        (family, *sizes(classes, quick), classes, dtype)
        for classes, dtype, family in product(CLASSES[::-1], DTYPES, FAMILIES)
    ]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        answered = pool.map(_right, *zip(*plan, strict=True))
        for (family, rows, _, classes, dtype), right in zip(plan, answered, strict=True):
            yield from cells(family, rows, classes, dtype, right, found)


def _right(family: str, rows: int, few: int, classes: int, dtype: DTypeLike) -> dict[str, Answer]:
    return right_answers(draw(family, rows, classes, dtype), few)


def cells(
    family: str,
    rows: int,
    classes: int,
    dtype: DTypeLike,
    right: Mapping[str, Answer],
    tables: Mapping[str, Library],
) -> Iterator[Cell]:
    """Yield the cells of one family, number of classes and precision."""
    drawn = draw(family, rows, classes, dtype)
    for name in MEASURED:
        op, arguments, dy = case(name, drawn)
        results = {}
        for library, run in tables.items():
            warn = library == "ours" and name in right
            with np.errstate(all="warn" if warn else "ignore", under="ignore"):
                results[library] = run(op, arguments, dy)
        for which, quantity in enumerate(quantities(name)):
            if quantity not in right:
                continue
            answer = right[quantity]
            found = {library: pair[which] for library, pair in results.items()}
            errors = _errors(found, answer.value)
            of_terms = _errors(found, *answer) if quantity in TERMS else {}
            precision, elements = np.dtype(dtype).name, answer.value.size
            yield Cell(quantity, family, classes, precision, elements, errors, of_terms)


def _errors(found: Mapping[str, Array | None], value: Array, terms: Array | None = None) -> Errors:
    """Return the errors of the first rows of each library's result: those with a right answer."""
    error = {
        library: ulps(result[: len(value)], value, terms)
        for library, result in found.items()
        if result is not None
    }
    return {name: (float(np.quantile(x, 0.999)), float(x.max())) for name, x in error.items()}


def worst(found: Sequence[Cell]) -> dict[tuple[str, str], dict[str, tuple[float, float, str]]]:
    """Return, by (op, dtype) and library, the worst percentile and maximum, and their family."""
    rows: dict[tuple[str, str], dict[str, tuple[float, float, str]]] = {}
    for cell in found:
        for op, of_each in ((cell.op, cell.errors), (f"{cell.op}, by its terms", cell.of_terms)):
            for name, errors in of_each.items():
                row = rows.setdefault((op, cell.dtype), {})
                row[name] = max(row.get(name, (0.0, 0.0, "")), (*errors, cell.family))
    return {key: rows[key] for key in sorted(rows)}


def table(found: Sequence[Cell], dtype: str) -> str:
    """Return op × library in one precision: the 99.9th percentile in the worst cell."""
    rows = {op: row for (op, of), row in worst(found).items() if of == dtype}
    lines = [f"| {dtype} | {' | '.join(libraries.LIBRARIES)} | ours worst on |"]
    lines.append(f"|---|{'--:|' * len(libraries.LIBRARIES)}---|")
    for op, row in rows.items():
        shown = [_show(row[name][0], dtype) if name in row else "" for name in libraries.LIBRARIES]
        lines.append(f"| {op} | {' | '.join(shown)} | {row['ours'][2]} |")
    return "\n".join(lines) + "\n"


def _show(error: float, dtype: str) -> str:
    return "none" if is_lost(error, dtype) else f"{error:.2g}" if error < 99.5 else f"{error:,.0f}"


def summary(found: Sequence[Cell]) -> str:
    """Return how many cells hold the criterion, and which of them by their terms alone."""
    held = sum(cell.holds for cell in found)
    plainly = sum(cell.holds_plainly for cell in found)
    line = (
        f"{held} of {len(found)} cells hold the criterion, {plainly} of them in ulps of the result."
    )
    return "\n".join([line, *(f"- {cell}" for cell in found if cell.holds > cell.holds_plainly)])


def save(path: Path, found: Sequence[Cell], environment: Mapping[str, object]) -> None:
    """Write all cells as JSON, a line each."""
    cells = ",\n".join(json.dumps(asdict(cell) | {"holds": cell.holds}) for cell in found)
    facts = json.dumps(environment, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"environment": {facts},\n"cells": [\n{cells}\n]}}\n')


def read(path: Path) -> list[Cell]:
    """Return the cells of a results file."""
    rows = json.loads(path.read_text())["cells"]
    return [Cell(**{k: v for k, v in row.items() if k != "holds"}) for row in rows]
