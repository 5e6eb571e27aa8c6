"""Errors of every operation in ulps of the right answer: ours beside everybody else's.

A cell is one operation on one family of logits, one number of classes, one precision. In every
cell, the 99.9th percentile of our errors must be at most twice that of the best of torch, SciPy
and JAX, or 4 ulp; and nowhere may we have no digit right. Where a result is a sum whose terms may
cancel by accident of the inputs, this may hold in ulps of the terms instead.

    answers.py    the right answers, and how large their terms are
    textbook.py   the formulas of most textbooks, to measure against
    libraries.py  the same operations in torch, SciPy, JAX, scikit-learn and textbooks
    __init__.py   everybody's errors, and what ours may be
    speed.py      cross-entropy's time beside the textbook's
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import scratchnn.functional as F
from parity.accuracy import answers, libraries
from parity.accuracy.answers import SOFT, Answer, Inputs
from scratchnn.arrays import Array, IntArray

RESULTS = Path(__file__).parents[2] / "docs/results/accuracy.json"
RIVALS = ("torch", "SciPy", "JAX")
CLASSES = (2, 10, 1000)
DTYPES = (np.float32, np.float64)
ENOUGH_ULPS = 4.0  # where no comparison is needed
BCE_VALUES = ("bce, t in {0, 1}", "bce, t in (0, 1)")
SUMS = (  # `answers.answers` says of what terms
    "logsumexp", "softmax gradient", "log_softmax gradient", f"{SOFT} gradient",
    "bce, t in (0, 1) gradient",
)  # fmt: skip

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
    rivals = [errors[name][0] for name in RIVALS if name in errors]
    return max(2 * min(rivals, default=0.0), ENOUGH_ULPS)


def ulps(result: Array, value: Array, terms: Array | None = None) -> Array:
    """Return the error of each element, in ulps of the right answer, or of its terms.

        |result - value| / ulp,   ulp = spacing(value) ≥ smallest subnormal

    An ulp of the terms is what even correctly rounded ones leave of a sum that cancels. Equal
    infinities are right; a NaN or an infinity on one side alone has no digit right, which counts
    as 2^24 ulps, or 2^53.
    """
    none = float(2 / np.finfo(result.dtype).eps)
    with np.errstate(all="ignore"):
        error = abs(result.astype(np.float64) - value)
        size = abs(value) if terms is None else terms
        unit = np.spacing(size.astype(result.dtype)).astype(np.float64)
        error = np.where(result == value, 0, error / unit)
        return np.where(error <= none, error, none)  # NaN, too, is none


def is_lost(error: float, dtype: str | type) -> bool:
    """Return whether an error in ulps is a relative error near 1: above a quarter."""
    return error > 0.25 / float(np.finfo(dtype).eps)


def _near_ties(rng: np.random.Generator, shape: tuple[int, int], _: Any) -> Array:
    return 1 + 1e-6 * rng.normal(size=shape)


def _one_dominant(rng: np.random.Generator, shape: tuple[int, int], _: Any) -> Array:
    z = rng.normal(size=shape)
    z[np.arange(len(z)), rng.integers(shape[1], size=len(z))] += rng.uniform(10, 80, len(z))
    return z


def _masked(rng: np.random.Generator, shape: tuple[int, int], _: Any) -> Array:
    hidden = rng.random(shape) < 0.3
    hidden[np.arange(len(hidden)), rng.integers(shape[1], size=len(hidden))] = False
    return np.where(hidden, -np.inf, rng.normal(size=shape))


def _uniform(rng: np.random.Generator, shape: tuple[int, int], dtype: Any) -> Array:
    edge = -np.log(float(np.finfo(dtype).smallest_subnormal))  # 103 or 744, where exp(-z) is gone
    return rng.uniform(-edge, edge, shape)


FAMILIES: dict[str, Callable[[np.random.Generator, tuple[int, int], Any], Array]] = {
    "standard normal": lambda rng, shape, _: rng.normal(size=shape),
    "normal × 30": lambda rng, shape, _: 30 * rng.normal(size=shape),
    "near ties": _near_ties,
    "one dominant": _one_dominant,
    "±1e30": lambda rng, shape, _: rng.choice([-1e30, 0, 1e30], shape),
    "subnormal": lambda rng, shape, dtype: rng.uniform(-1, 1, shape) * np.finfo(dtype).tiny,
    "-inf masks": _masked,
    "uniform": _uniform,
}


def draw(family: str, rows: int, classes: int, dtype: Any) -> Inputs:
    """Return the inputs of a family's cells; in half of the rows, the likeliest class is right."""
    rng = np.random.default_rng([list(FAMILIES).index(family), classes, np.dtype(dtype).itemsize])
    shape = (rows, classes)
    z = FAMILIES[family](rng, shape, dtype).astype(dtype)
    target = np.where(rng.random(rows) < 0.5, z.argmax(axis=1), rng.integers(classes, size=rows))
    dy, yes, share = rng.normal(size=shape), rng.integers(0, 2, shape), rng.uniform(size=shape)
    dloss, likely = rng.normal(size=rows), _distributions(rng, target, classes)
    return Inputs(
        z, dy.astype(dtype), yes.astype(dtype), share.astype(dtype), likely.astype(dtype),
        target, dloss.astype(dtype),
    )  # fmt: skip


def _distributions(rng: np.random.Generator, target: IntArray, classes: int) -> Array:
    """Return a distribution a row; half of them are almost one-hot, by e^-10 to e^-80."""
    z = rng.normal(size=(len(target), classes))
    ahead = rng.uniform(10, 80, len(target)) * (rng.random(len(target)) < 0.5)
    z[np.arange(len(target)), target] += ahead
    return F.softmax(z)


def sizes(classes: int, quick: bool) -> tuple[int, int]:
    """Return the number of rows, and of those among them of which every element counts."""
    if classes == 1000:
        return (100, 4) if quick else (2000, 50)
    rows = 1000 if classes == 2 else 200
    return (2000, rows) if quick else (4000, 2 * rows)


def measure(quick: bool = False) -> Iterator[Cell]:
    """Yield every cell; the oracle takes most of the time, and all cores."""
    tables = {name: table for name in libraries.LIBRARIES if (table := libraries.load(name))}
    plan = [
        (family, *sizes(classes, quick), classes, dtype)
        for classes, dtype, family in product(CLASSES[::-1], DTYPES, FAMILIES)
    ]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        answered = pool.map(_answers, *zip(*plan, strict=True))
        for (family, rows, _, classes, dtype), right in zip(plan, answered, strict=True):
            yield from cells(family, rows, classes, dtype, right, tables)


def cells(
    family: str, rows: int, classes: int, dtype: Any,
    right: dict[str, Answer], tables: dict[str, libraries.Library],
) -> Iterator[Cell]:  # fmt: skip
    """Yield the cells of one family, number of classes and precision."""
    inputs = draw(family, rows, classes, dtype)
    for op, answer in right.items():
        if family == "-inf masks" and op in BCE_VALUES:
            continue  # 0 · inf: NaN in torch, and a mask means nothing here
        part = inputs.head(len(answer.value))
        errors: Errors = {}
        of_terms: Errors = {}
        for name, table in tables.items():
            if op in table:
                with np.errstate(all="warn" if name == "ours" else "ignore", under="ignore"):
                    result = table[op](part)
                errors[name] = _largest(ulps(result, answer.value))
                if op in SUMS:
                    of_terms[name] = _largest(ulps(result, answer.value, answer.terms))
        yield Cell(op, family, classes, np.dtype(dtype).name, answer.value.size, errors, of_terms)


def _largest(error: Array) -> tuple[float, float]:
    return float(np.quantile(error, 0.999)), float(error.max())


def _answers(family: str, rows: int, few: int, classes: int, dtype: Any) -> dict[str, Answer]:
    return answers.answers(draw(family, rows, classes, dtype), few)


def worst(found: list[Cell]) -> dict[tuple[str, str], dict[str, tuple[float, float, str]]]:
    """Return, by (op, dtype) and library, the worst percentile and maximum, and their family."""
    rows: dict[tuple[str, str], dict[str, tuple[float, float, str]]] = {}
    for cell in found:
        for op, of_each in ((cell.op, cell.errors), (f"{cell.op}, by its terms", cell.of_terms)):
            for name, errors in of_each.items():
                row = rows.setdefault((op, cell.dtype), {})
                row[name] = max(row.get(name, (0.0, 0.0, "")), (*errors, cell.family))
    return {key: rows[key] for key in sorted(rows)}


def table(found: list[Cell], dtype: str) -> str:
    """Return op × library in one precision: the 99.9th percentile in the worst cell."""
    rows = {op: row for (op, of), row in worst(found).items() if of == dtype}
    lines = [f"| {dtype} | {' | '.join(libraries.LIBRARIES)} | ours worst on |"]
    lines.append(f"|---|{'--:|' * len(libraries.LIBRARIES)}---|")
    for op, row in rows.items():
        shown = [_show(row[name][0], dtype) if name in row else "" for name in libraries.LIBRARIES]
        lines.append(f"| {op} | {' | '.join(shown)} | {row['ours'][2]} |")
    return "\n".join(lines) + "\n"


def summary(found: list[Cell]) -> str:
    """Return how many cells hold the criterion, and which of them by their terms alone."""
    held = sum(cell.holds for cell in found)
    plainly = sum(cell.holds_plainly for cell in found)
    line = (
        f"{held} of {len(found)} cells hold the criterion, {plainly} of them in ulps of the result."
    )
    return "\n".join([line, *(f"- {cell}" for cell in found if cell.holds > cell.holds_plainly)])


def _show(error: float, dtype: str) -> str:
    return "none" if is_lost(error, dtype) else f"{error:.2g}" if error < 99.5 else f"{error:,.0f}"


def save(path: Path, found: list[Cell], environment: dict[str, Any]) -> None:
    """Write all cells as JSON, a line each."""
    cells = ",\n".join(json.dumps(asdict(cell) | {"holds": cell.holds}) for cell in found)
    facts = json.dumps(environment, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"environment": {facts},\n"cells": [\n{cells}\n]}}\n')


def read(path: Path) -> list[Cell]:
    """Return the cells of a results file."""
    rows = json.loads(path.read_text())["cells"]
    return [Cell(**{k: v for k, v in row.items() if k != "holds"}) for row in rows]
