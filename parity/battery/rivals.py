"""The checks beside torch, and how accurate both are."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity import bounds, later, right
from parity.battery.answer import as_dtype, guarded
from parity.battery.finding import Problem, shown
from parity.battery.outcome import Broken, Outcome, Remark, Skipped, searched
from parity.battery.subject import Subject
from parity.battery.typical import typical
from parity.strategies import Case
from parity.verdict import compare, measure
from scratchnn.arrays import Array


def beside_torch(subject: Subject, examples: int) -> Outcome:
    """Compare with torch on generated inputs, within what rounding on both sides explains."""
    if not later.has_torch():
        return Skipped("torch is not installed; the oracle was asked")
    return searched(subject, lambda case: _unlike_torch(subject, case), np.float32, examples // 2)


def accuracy(subject: Subject, _: int) -> Outcome:
    """Measure the largest error in ulps on standard normal numbers; a digit at least must be right.

    Not where one logit dominates: there torch has none right either.
    """
    case = subject.cut(typical(subject.op, np.float32, 64, 10))
    exact, bound = right.value(subject.op, case), right.value_bound(subject.op, case)
    sides: dict[str, Callable[[Case], Any]] = {
        "yours": subject,
        "scratchnn's": lambda case: subject.op.ours(**case),
    }
    if later.has_torch():
        sides["torch's"] = lambda case: _torch_value(subject, case)
    with np.errstate(all="ignore"):
        try:
            errors = {side: _ulps(side, f(case), exact, bound) for side, f in sides.items()}
        except Exception:
            return Skipped("there is no answer to measure")
    text = ", ".join(f"{side} {ulps:,.2g}" for side, ulps in errors.items())
    lost = 0.25 / float(np.finfo(np.float32).eps)  # a relative error of a quarter
    if not errors["yours"] <= lost:
        words = f"no digit is right somewhere: largest errors in float32 ulps: {text}"
        return Broken(Problem("digits", words), case, [case])
    return Remark(f"largest errors on standard normal numbers, in float32 ulps: {text}")


def _unlike_torch(subject: Subject, case: Case) -> Problem | None:
    dtype, bound = right.dtype_of(subject.op, case), right.value_bound(subject.op, case)
    theirs = _torch_value(subject, case)

    def look() -> Problem | None:
        ours = as_dtype(np.asarray(subject(case)), dtype)
        difference = compare("value", ours, theirs, bounds.tolerance(bound, dtype))
        if difference.holds:
            return None
        words = (
            f"yours {difference.ours!r}, torch's {difference.torch!r}: apart by "
            f"{difference.difference:.2g}, where rounding explains {difference.tolerance:.2g}"
        )
        return Problem("torch", words, shown(theirs), shown(ours))

    return guarded(look, theirs, dtype)


def _torch_value(subject: Subject, case: Case) -> Array:
    from parity.search.sides import run_torch

    empty = np.zeros(np.shape(right.value(subject.op, case)), right.dtype_of(subject.op, case))
    return run_torch(subject.op, case, empty, "cpu", "ieee")[0]


def _ulps(side: str, result: Any, exact: Any, bound: Any) -> float:
    single = as_dtype(np.asarray(result), np.dtype(np.float32))
    return measure(side, "value", single, exact, bound, np.float32).ulps
