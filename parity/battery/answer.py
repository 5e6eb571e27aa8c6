"""One answer of a function beside the right one: what is wrong with it, if anything."""

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from parity import right
from parity.battery.finding import Problem, shown
from parity.battery.subject import Subject
from parity.oracle.digits import Numbers
from parity.strategies import Case
from parity.verdict import measure
from scratchnn.arrays import Array


def value_problem(subject: Subject, case: Case, bound_case: Case | None = None) -> Problem | None:
    """Return what is wrong with the function's value on a case, if anything.

    `bound_case` is the case that the bound is taken at, where that of `case` is no number.
    """
    exact = right.value(subject.op, case)
    bound = right.value_bound(subject.op, bound_case or case)
    dtype = right.dtype_of(subject.op, case)
    return guarded(lambda: judged(subject(case), exact, bound, dtype), exact, dtype)


def guarded(
    look: Callable[[], Problem | None], exact: Numbers, dtype: np.dtype[Any]
) -> Problem | None:
    """Return what `look` does; an exception in it is the user's, and a problem."""
    try:
        return look()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Problem(
            "raises",
            f"it raises {type(error).__name__}",
            shown(np.asarray(exact).astype(dtype)),
            f"{type(error).__name__}: {error}\n(line {where.lineno}: {where.line})",
        )


def judged(result: Any, exact: Numbers, bound: Any, dtype: np.dtype[Any]) -> Problem | None:
    """Return what is wrong with a result beside the right one: its shape, its kind, its numbers."""
    expected = shown(np.asarray(exact).astype(np.float64).astype(dtype))
    found = np.asarray(result)
    if found.dtype.kind not in "fiub":
        return Problem("kind", f"the result is no array of numbers: {type(result).__name__}",
                       expected, repr(result)[:200])  # fmt: skip
    if found.shape != np.shape(exact):
        words = f"the result must have shape {np.shape(exact)}, got {found.shape}"
        return Problem("shape", words, expected, shown(found))
    error = measure("it", "value", as_dtype(found, dtype), exact, bound, dtype)
    if error.holds:
        return None
    at = f"[{', '.join(map(str, error.index))}]" if error.index else ""
    wrong = (
        f"the answer{at} is {error.value!r}, right is {error.exact!r}: off by {error.error:.2g}, "
        f"where rounding explains {error.tolerance:.2g}"
    )
    return Problem("value", wrong, expected, shown(found))


def as_dtype(found: Array, dtype: np.dtype[Any]) -> Array:
    """Return an answer in the precision it should have; that it has none is another check's."""
    with np.errstate(all="ignore"):
        return found.astype(dtype)
