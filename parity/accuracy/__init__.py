"""Errors of every operation in ulps of the right answer: ours compared with everybody else's.

A cell is one quantity of an operation, one family of logits, one number of classes, one precision.
In every cell, the 99.9th percentile of our errors must be at most twice that of the best of torch,
SciPy and JAX, or 4 ulp; and no result of ours may have no right digit. Where a result is a sum
whose terms may cancel by accident of the inputs, this may hold in ulps of the terms instead.

An operation's function, its right answer and its gradient are those of its row in parity.ops.

    __init__.py   what is measured, on which inputs; the right answers; everybody's errors
    libraries.py  the same operations in torch, SciPy, JAX, scikit-learn and textbooks
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
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

import scratchnn.functional as F
from parity import cases, oracle
from parity.accuracy import libraries
from parity.accuracy.libraries import BCE, Library
from parity.cases import Case
from parity.judge import right_gradients, right_value
from parity.ops import OPS, Op
from parity.report import save_rows
from scratchnn.ops.shared import AnyArray, Array

Drawn: TypeAlias = dict[str, AnyArray]
Errors: TypeAlias = dict[str, tuple[float, float]]  # 99.9th percentile and maximum, by library

RESULTS = Path(__file__).parents[2] / "docs/results/accuracy.json"
COMPARED = ("torch", "SciPy", "JAX")
CLASSES = (2, 10, 1000)
DTYPES = (np.float32, np.float64)
ENOUGH_ULPS = 4.0  # where no comparison is needed
AT_ONCE = 100_000  # numbers of 51 digits, as they take room

# By the name in the tables: a row of parity.ops, and which drawn arrays are its target and upstream
MEASURED = {
    "softmax": ("softmax", "", "dy"),
    "log_softmax": ("log_softmax", "", "dy"),
    "logsumexp": ("logsumexp", "", "dloss"),
    "cross_entropy": ("cross_entropy", "labels", "dloss"),
    "cross_entropy, probabilities": ("cross_entropy, probabilities", "likely", "dloss"),
    "sigmoid": ("sigmoid", "", "dy"),
    "tanh": ("tanh", "", "dy"),
    "softplus": ("softplus", "", "dy"),
    "bce, t in {0, 1}": (BCE, "yes", "dy"),
    "bce, t in (0, 1)": (BCE, "share", "dy"),
}
NAN_ON_MASKS = ("bce, t in {0, 1}", "bce, t in (0, 1)")  # 0 · inf, as in torch
TERMS = (  # sums whose terms can cancel: see _terms
    *("logsumexp", "softmax gradient", "log_softmax gradient"),
    *("cross_entropy, probabilities gradient", "bce, t in (0, 1) gradient"),
)
FAMILIES = (  # _logits makes them, or parity.cases
    *("standard normal", "normal × 30", "near ties", "one dominant", "±1e30", "subnormal"),
    *("-inf masks", "uniform"),
)


# The inputs


def draw(family: str, rows: int, classes: int, dtype: DTypeLike) -> Drawn:
    """Return the arrays of a family's cells. In half of the rows, the likeliest class is right.

    Of the distributions `likely`, half are almost one-hot, by e^-10 to e^-80.

    Shapes   z, the upstream gradient dy, targets `yes` in {0, 1} and `share` in (0, 1), and
             distributions `likely` (N, C); class indices `labels`, and dloss (N,)
    """
    rng = np.random.default_rng([FAMILIES.index(family), classes, np.dtype(dtype).itemsize])
    shape = (rows, classes)
    z = _logits(family, rng, shape, dtype).astype(dtype)
    labels = np.where(rng.random(rows) < 0.5, z.argmax(axis=1), rng.integers(classes, size=rows))
    floats = {
        "z": z,
        "dy": rng.normal(size=shape),
        "yes": rng.integers(0, 2, shape),
        "share": rng.uniform(size=shape),
        "dloss": rng.normal(size=rows),
        "likely": rng.normal(size=shape),
    }
    ahead = rng.uniform(10, 80, rows) * (rng.random(rows) < 0.5)
    floats["likely"][np.arange(rows), labels] += ahead
    floats["likely"] = F.softmax(floats["likely"])
    return {"labels": labels, **{name: x.astype(dtype) for name, x in floats.items()}}


def _logits(
    family: str, rng: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike
) -> Array:
    rows, info = np.arange(shape[0]), np.finfo(dtype)
    match family:
        case "one dominant":
            z = rng.normal(size=shape)
            z[rows, rng.integers(shape[1], size=len(z))] += rng.uniform(10, 80, len(z))
            return z
        case "subnormal":
            return rng.uniform(-1, 1, shape) * float(info.tiny)
        case "-inf masks":
            hidden = rng.random(shape) < 0.3
            hidden[rows, rng.integers(shape[1], size=len(rows))] = False
            return np.where(hidden, -np.inf, rng.normal(size=shape))
        case "uniform":
            edge = -np.log(float(info.smallest_subnormal))  # 103 or 744, where exp(-z) is gone
            return rng.uniform(-edge, edge, shape)
    there = {"normal × 30": "wide", "±1e30": "huge"}.get(family, family)
    return cases.FAMILIES[there](rng, shape)


def case(name: str, drawn: Drawn) -> tuple[Op, Case, Array]:
    """Return an operation's row, its arguments made of what was drawn, and its upstream gradient.

    The losses are not reduced; all other options have their defaults.
    """
    row, target, dy = MEASURED[name]
    op = OPS[row]
    arguments: Case = {op.inputs[0]: drawn["z"]}
    if target:
        arguments["target"] = drawn[target]
    if "reduction" in op.options:
        arguments["reduction"] = "none"
    return op, arguments, drawn[dy]


# The right answers: rounded once, with their terms


class Answer(NamedTuple):
    """The right result, and the size of the terms that it is a sum of.

    Where a result is no sum whose terms can cancel, its terms are itself.
    """

    value: NDArray[np.float64]
    terms: NDArray[np.float64]


def right_answers(drawn: Drawn, few: int) -> dict[str, Answer]:
    """Return the answers by quantity: for all rows where a row has one result, else for `few`."""
    wide = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in drawn.items()}
    narrow = {name: x[:few] for name, x in wide.items()}
    masked = np.isinf(drawn["z"]).any()
    found: dict[str, Answer] = {}
    for name, (_, _, dy) in MEASURED.items():
        if not (masked and name in NAN_ON_MASKS):
            found[name] = _answer(name, "", wide if dy == "dloss" else narrow)
        found[f"{name} gradient"] = _answer(name, " gradient", narrow)
    return found


def _answer(name: str, gradient: str, wide: Drawn) -> Answer:
    parts = []
    step = max(1, AT_ONCE // wide["z"].shape[1])
    for start in range(0, len(wide["z"]), step):
        some = {array: x[start : start + step] for array, x in wide.items()}
        op, arguments, dy = case(name, some)
        right = right_gradients(op, arguments, dy)[0] if gradient else right_value(op, arguments)
        parts.append(right.astype(np.float64))
    value, quantity = np.concatenate(parts), name + gradient
    with np.errstate(all="ignore"):
        return Answer(value, _terms(quantity, wide) if quantity in TERMS else abs(value))


def _terms(quantity: str, wide: Drawn) -> NDArray[np.float64]:
    """Return the size of a sum's terms, p = softmax(z).

    They are only the unit that errors are measured in, so they are summed in float64.
    """
    z, dy = wide["z"], wide["dy"]
    if quantity == "logsumexp":  # |m| + log(1 + q), m the maximum, q the other exponentials' sum
        m = z.max(axis=1)
        return abs(m) + abs(oracle.logsumexp(z) - m)
    if quantity == "softmax gradient":  # p_k Σ_j p_j |dy_k - dy_j|
        p = oracle.softmax(z)
        sums = [p_n @ abs(dy_n[:, None] - dy_n) for p_n, dy_n in zip(p, dy, strict=True)]
        return p * np.array(sums)
    if quantity == "bce, t in (0, 1) gradient":  # |dy| ((1 - t) σ(z) + t (1 - σ(z)))
        s, t = oracle.sigmoid(z), wide["share"]
        return abs(dy) * ((1 - t) * s + t * (1 - s))
    found = oracle.distribution(z, 1)
    p, rest = found.p, found.rest
    if quantity == "log_softmax gradient":  # |dy_k| (1 - p_k) + p_k Σ_(j≠k) |dy_j|
        return abs(dy) * rest + p * (abs(dy).sum(axis=1, keepdims=True) - abs(dy))
    t = wide["likely"]  # |dloss| (t_k (1 - p_k) + p_k Σ_(j≠k) t_j)
    return abs(wide["dloss"])[:, None] * (t * rest + p * oracle.mass_elsewhere(t))


# The errors


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


def measure(quick: bool = False) -> Iterator[Cell]:
    """Yield every cell; the right answers take most of the time, and all cores."""
    found = {name: library for name in libraries.LIBRARIES if (library := libraries.load(name))}
    sizes = {2: (4000, 2000), 10: (4000, 400), 1000: (2000, 50)}  # rows, and those with gradients
    if quick:
        sizes = {2: (2000, 1000), 10: (2000, 200), 1000: (100, 4)}
    plan = [
        (family, *sizes[classes], classes, dtype)
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
        for which, quantity in enumerate((name, f"{name} gradient")):
            if quantity in right:
                answer = right[quantity]
                found = {library: pair[which] for library, pair in results.items()}
                of_terms = _errors(found, *answer) if quantity in TERMS else {}
                key = quantity, family, classes, np.dtype(dtype).name, answer.value.size
                yield Cell(*key, _errors(found, answer.value), of_terms)


def _errors(found: Mapping[str, Array | None], value: Array, terms: Array | None = None) -> Errors:
    """Return the errors of the first rows of each library's result: those with a right answer."""
    errors: Errors = {}
    for library, result in found.items():
        if result is not None:
            error = ulps(result[: len(value)], value, terms)
            errors[library] = float(np.quantile(error, 0.999)), float(error.max())
    return errors


# The tables


def table(found: Sequence[Cell], dtype: str) -> str:
    """Return op × library in one precision: the 99.9th percentile in the worst cell."""
    rows: dict[str, dict[str, tuple[float, float, str]]] = {}
    for cell in found:
        for op, of_each in ((cell.op, cell.errors), (f"{cell.op}, by its terms", cell.of_terms)):
            for name, errors in of_each.items() if cell.dtype == dtype else ():
                row = rows.setdefault(op, {})
                row[name] = max(row.get(name, (0.0, 0.0, "")), (*errors, cell.family))
    lines = [f"| {dtype} | {' | '.join(libraries.LIBRARIES)} | ours worst on |"]
    lines.append(f"|---|{'--:|' * len(libraries.LIBRARIES)}---|")
    for op, row in sorted(rows.items()):
        shown = [_show(row[name][0], dtype) if name in row else "" for name in libraries.LIBRARIES]
        lines.append(f"| {op} | {' | '.join(shown)} | {row['ours'][2]} |")
    return "\n".join(lines) + "\n"


def _show(error: float, dtype: str) -> str:
    if is_lost(error, dtype):
        return "none"
    if error >= 1e7:
        return f"{error:.1e}"
    return f"{error:.2g}" if error < 99.5 else f"{error:,.0f}"


def summary(found: Sequence[Cell]) -> str:
    """Return how many cells hold the criterion, and which of them by their terms alone."""
    held = sum(cell.holds for cell in found)
    plainly = sum(cell.holds_plainly for cell in found)
    line = (
        f"{held} of {len(found)} cells hold the criterion, {plainly} of them in ulps of the result."
    )
    return "\n".join([line, *(f"- {cell}" for cell in found if cell.holds > cell.holds_plainly)])


def save(path: Path, found: Sequence[Cell], environment: Mapping[str, object]) -> None:
    save_rows(path, environment, "cells", (asdict(cell) | {"holds": cell.holds} for cell in found))


def read(path: Path) -> list[Cell]:
    """Return the cells of a results file."""
    rows = json.loads(path.read_text())["cells"]
    return [Cell(**{k: v for k, v in row.items() if k != "holds"}) for row in rows]
