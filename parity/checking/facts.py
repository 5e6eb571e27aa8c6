"""What can be said of an answer where no known flaw explains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity.cases import Case
from parity.checking.asking import DY, Asked, apart
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.findings import WRONG, Finding
from parity.checking.gradients import FITS
from scratchnn.ops.shared import AnyArray

LEAST = 5e-4  # of a factor: what four digits show


def of_shape(finding: Finding) -> str:
    """Return why an answer has another shape, in words; empty where nobody knows."""
    problem = finding.problem
    assert problem is not None
    got, right = np.asarray(problem.got), problem.right
    if right is None or got.dtype.kind not in "fiu":
        return ""
    of = f"d{problem.role}" if problem.role else "it"
    if got.shape == right.shape[::-1] and apart(got.T, right) < FITS:
        return f"{of} is transposed."
    for axis in range(got.ndim):
        if got.sum(axis=axis).shape == right.shape and apart(got.sum(axis=axis), right) < FITS:
            return f"{of} is not summed over axis {axis}: a .sum(axis={axis}) is missing."
    return ""


def facts(finding: Finding) -> Iterator[str]:
    """Yield what can be said of an answer without knowing its cause."""
    problem = finding.problem
    assert problem is not None
    if problem.kind != "value" or problem.right is None:
        return
    got, right = np.asarray(problem.got, float), np.asarray(problem.right, float)
    if np.isnan(got).any() and not np.isnan(right).any():
        yield "nan comes from inf - inf, inf / inf or 0 · inf: an overflow on the way, or log 0"
        return
    if np.isinf(got).any() and not np.isinf(right).any():
        yield "inf comes from an overflow on the way, or from log 0"
        return
    if finding.grade != WRONG:
        return
    if got.ndim == 2 and got.shape[0] == got.shape[1] and apart(got.T, right) < FITS:
        yield "it is the transposed of the right answer"
    differences = got - right
    spread = float(np.ptp(differences)) if differences.size > 1 else np.inf
    if spread <= FITS * float(abs(differences).max()):
        yield f"it is a constant apart: {float(differences.flat[0]):.4g} in each entry"
    with np.errstate(all="ignore"):
        ratios = got[right != 0] / right[right != 0]
    far = abs(ratios - 1).max(initial=0)
    if far > LEAST and np.ptp(ratios) <= FITS * far:
        yield f"here it is {ratios.flat[0]:.4g} times the right answer"
    if got.ndim and len(got) > 1:
        off = [n for n in range(len(got)) if apart(got[n], right[n]) > FITS]
        if 0 < len(off) < len(got):
            count = f"{len(got) - len(off)} of {len(got)}"
            yield f"{count} rows are right; the first wrong one is {off[0]}"


def of_its_own(asked: Asked) -> bool:
    """Whether the gradient is that of the function itself, by central differences."""
    value = replace(asked, gradient=False)
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
