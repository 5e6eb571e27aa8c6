"""What can be said of an answer where no known flaw explains it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeGuard

import numpy as np

from parity.cases import Case
from parity.checking.asking import DY, Asked, apart
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.conventions import kind
from parity.checking.findings import WRONG, Finding
from parity.checking.gradients import FITS
from parity.checking.subject import Subject
from scratchnn.ops.shared import AnyArray

ORDINARY = 80.0  # of smaller numbers no exponential overflows
LEAST = 5e-4  # of a factor: what four digits show


def of_shape(asked: Asked, finding: Finding) -> str:
    """Return why an answer has another shape, in words; empty where nobody knows."""
    problem = finding.problem
    assert problem is not None
    got, right = np.asarray(problem.got), problem.right
    if right is None or got.dtype.kind not in "fiu":
        return ""
    of = f"d{problem.role}" if problem.role else "it"
    if _is_jacobian_of_one_row(asked, finding, got):
        return "It returns the Jacobian of one row, not a gradient of a batch."
    if got.shape == right.shape[::-1] and apart(got.T, right) < FITS:
        return f"{of} is transposed."
    for axis in range(got.ndim):
        if got.sum(axis=axis).shape == right.shape and apart(got.sum(axis=axis), right) < FITS:
            return f"{of} is not summed over axis {axis}: a .sum(axis={axis}) is missing."
    return ""


def _is_jacobian_of_one_row(asked: Asked, finding: Finding, got: AnyArray) -> bool:
    if not asked.gradient or kind(asked.row) != "distribution" or finding.case is None:
        return False
    case = {name: x for name, x in finding.case.items() if name != DY}
    jacobians = np.asarray(asked.reading.jacobian(case), np.float64)
    return len(jacobians) == 1 and apart(got, jacobians[0]) < FITS


MADE = re.compile(
    r"np\.(zeros|ones|empty|full|eye|identity|linspace)\(([^()]*(?:\([^()]*\)[^()]*)*)\)"
)
SCALAR = re.compile(r"np\.(?:finfo|float64|double)\(\w*(?:\.\w+)?\)(?:\.\w+)?")
LISTS = re.compile(r"\bmath\.|\[.* for .*\]|np\.(?:array|asarray|stack)\(\[|\.append\(|\.tolist\(")


def of_float64(subject: Subject, gradient: bool) -> str:
    """Say by what in the code float64 comes in; empty where that cannot be seen."""
    code = source_of(subject.backward if gradient and subject.backward else subject.forward)
    code = "\n".join(line.partition("#")[0] for line in code.splitlines())
    for name, given in MADE.findall(code):
        if "float" not in given and "dtype" not in given:
            return f": by np.{name} without dtype"
    if found := SCALAR.search(code):
        return f": by {found.group()}, a NumPy scalar"
    return ": by Python numbers or a list" if LISTS.search(code) else ""


def source_of(thing: object) -> str:
    """Return the code of a function; empty where Python cannot tell."""
    try:
        return inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return ""


def facts(asked: Asked, finding: Finding) -> Iterator[str]:
    """Yield what can be said of an answer without knowing its cause."""
    problem = finding.problem
    assert problem is not None
    if problem.kind != "value" or problem.right is None:
        return
    got, right = np.asarray(problem.got, float), np.asarray(problem.right, float)
    if not np.isfinite(got[np.isfinite(right)]).all():
        yield _of_infinities(asked, finding, bool(np.isnan(got[np.isfinite(right)]).any()))
        return
    if finding.grade != WRONG or not np.isfinite(right).all():
        return
    if got.ndim == 2 and got.shape[0] == got.shape[1] and apart(got.T, right) < FITS:
        yield "it is the transposed of the right answer"
    yield from _of_numbers(asked, finding)
    if got.ndim and len(got) > 1:
        off = [n for n in range(len(got)) if apart(got[n], right[n]) > min(FITS, problem.size / 10)]
        if 0 < len(off) < len(got):
            count = f"{len(got) - len(off)} of {len(got)}"
            yield f"{count} rows are right; the first wrong one is {off[0]}"


def _of_numbers(asked: Asked, finding: Finding) -> Iterator[str]:
    """Yield that the answers are a constant apart, or a multiple of the right ones.

    Of all answers, if that is so; else of the example alone.
    """
    example, *others = _pairs(asked, finding)
    got, right = (np.concatenate(x) for x in zip(example, *others, strict=True))
    differences = got - right
    if differences.size > 1 and np.ptp(differences) <= FITS * abs(differences).max():
        each = " in each entry" if example[0].size > 1 else ""
        yield f"it is a constant apart: {differences[0]:.4g}{each}"
        return
    for where, (a, b) in (("everywhere", (got, right)), ("here", example)):
        with np.errstate(all="ignore"):
            ratios = a[b != 0] / b[b != 0]
        far = abs(ratios - 1).max(initial=0)
        if far > 0 and np.ptp(ratios) <= FITS * far and (b != 0).any():
            by = float(ratios[0])
            times = f"{by:.4g}" if far > LEAST else f"1 {'+' if by > 1 else '-'} {abs(by - 1):.4g}"
            yield f"{where} it is {times} times the right answer"
            return


def _pairs(asked: Asked, finding: Finding) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Yield the numbers of the example that came, and the right ones, then those of other cases."""
    problems = [finding.problem, *(asked.problem(case) for case in finding.cases)]
    for problem in problems:
        if problem and problem.kind == "value" and problem.right is not None:
            yield np.asarray(problem.got, float).ravel(), problem.right.astype(float).ravel()


def _of_infinities(asked: Asked, finding: Finding, nan: bool) -> str:
    """Say where nan or inf comes from, by what NumPy warns of."""
    assert finding.case is not None
    try:
        warned = " ".join(asked(finding.case).warned)
    except (RaisedError, Mismatch):
        warned = ""
    found = "nan" if nan else "inf"
    largest = max(abs(x).max(initial=0) for x in finding.case.values() if _is_float(x))
    if "overflow" in warned:
        return (
            f"{found} comes from an overflow on the way" + nan * ": inf - inf, inf / inf, 0 · inf"
        )
    if "divide by zero encountered in log" in warned:
        return f"{found} comes from log 0 = -inf on the way"
    if "divide by zero" in warned:
        return f"{found} comes from a division by 0 on the way"
    if nan and largest < ORDINARY and "encountered in" in warned:
        of = warned.partition("encountered in ")[2].split()[0]
        known = {"divide": "0 / 0", "log": "the logarithm of a negative number"}
        return f"nan comes from {known.get(of, f'an invalid value in {of}')}"
    if nan:
        return "nan comes from 0 / 0, inf - inf, inf / inf or 0 · inf on the way"
    return "inf comes from an overflow, a division by 0 or log 0 on the way"


def _is_float(x: object) -> TypeGuard[AnyArray]:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size > 0


def of_its_own(asked: Asked) -> bool:
    """Whether the gradient is that of the function itself, a wrong one, by central differences."""
    value = replace(asked, gradient=False)
    off = value.problem(value.prepared(_typical(asked)))
    if off is None or off.size <= FITS:
        return False
    name, case = asked.row.inputs[0], asked.prepared(_typical(asked), 4)
    try:
        got = asked(case).arrays.get(name)
        slopes = np.zeros_like(case[name])
        for index in np.ndindex(slopes.shape):
            low, high = (_moved(value, case, name, index, h) for h in (-1e-5, 1e-5))
            slopes[index] = ((high - low) * case[DY]).sum() / 2e-5
    except (RaisedError, Mismatch, TypeError, ValueError):
        return False
    wanted = asked.reading.folded({name: slopes})[name]
    return got is not None and apart(np.asarray(got, float), wanted) < 1e-4


def _typical(asked: Asked) -> Case:
    shape = (3, 2, 2) if asked.row.products else (3, 2)
    return asked.row.plain(shape, np.float64, 3)


def _moved(value: Asked, case: Case, name: str, index: tuple[int, ...], h: float) -> AnyArray:
    moved = case[name].copy()
    moved[index] += h
    return np.asarray(value({**case, name: moved}).arrays[""], np.float64)
