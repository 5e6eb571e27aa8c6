"""Arithmetic that has digits to spare: float64 for float32, and 51 digits for float64.

The 51 digits are gmpy2's where it is installed (2 µs for an exponential) and mpmath's elsewhere
(ten times that), in arrays of Python objects. gmpy2 computes to the precision of its context, which
each thread has for itself and others may change: arithmetic on them belongs inside `precise`.

Source   Fousse et al. 2007, doi:10.1145/1236463.1236468 (MPFR, correctly rounded)
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import Array

Numbers = Any  # an array of float64, or of numbers of 51 digits
BITS = 170

try:
    import gmpy2

    number, _exp, _log, _log1p = gmpy2.mpfr, gmpy2.exp, gmpy2.log, gmpy2.log1p
except ModuleNotFoundError:
    from mpmath import MPContext

    gmpy2, mp = None, MPContext()  # a context of our own: mpmath.mp is everyone's
    mp.prec = BITS
    number, _exp = mp.mpf, mp.exp

    def _log(x: Any) -> Any:
        return mp.nan if x < 0 else mp.log(x)  # and no complex number

    def _log1p(x: Any) -> Any:
        return mp.nan if x < -1 else mp.log1p(x)


DIGITS = int(BITS * np.log10(2))

_number = np.frompyfunc(number, 1, 1)
_functions: dict[np.ufunc, Callable[[Any], Any]] = {
    np.exp: np.frompyfunc(_exp, 1, 1),
    np.log: np.frompyfunc(_log, 1, 1),
    np.log1p: np.frompyfunc(_log1p, 1, 1),
}


@contextmanager
def precise() -> Iterator[None]:
    """Compute with 51 digits in this thread, and leave it as it was; a decorator, too."""
    local: AbstractContextManager[Any] = gmpy2.context(precision=BITS) if gmpy2 else nullcontext()
    with local:
        yield


@precise()
def lift(value: Any, dtype: np.dtype | type) -> Any:
    """Make a floating-point argument of an operation in `dtype` one that has digits to spare."""
    if not (isinstance(value, float) or getattr(value, "dtype", np.dtype(int)).kind == "f"):
        return value
    if np.dtype(dtype) == np.float64:
        with np.errstate(all="ignore"):  # what gmpy2 leaves in the processor's flags
            return _number(np.asarray(value, np.float64).astype(object))
    return np.float64(value) if np.ndim(value) == 0 else value.astype(np.float64)


def rounded(exact: Numbers, dtype: np.dtype | type) -> Array:
    """Return the right answers in `dtype`."""
    with np.errstate(over="ignore"):
        return np.asarray(exact).astype(np.float64).astype(dtype)


@precise()
def distance(result: Array, exact: Numbers) -> NDArray[np.float64]:
    """Return |result - exact|, entry by entry: 0 for equal infinities and two NaNs, inf for one."""
    right, exact = rounded(exact, result.dtype), np.asarray(exact)
    with np.errstate(invalid="ignore"):
        wide = (
            _number(result.astype(object)) if exact.dtype == object else result.astype(np.float64)
        )
        error = np.asarray(abs(wide - exact)).astype(np.float64)
    agree = (result == right) | (np.isnan(result) & np.isnan(right))
    finite = np.isfinite(result) & np.isfinite(right)
    return np.where(finite, error, np.where(agree, 0.0, np.inf))


def exp(x: Numbers) -> Numbers:
    """Return e^x."""
    return _apply(np.exp, x)


def log(x: Numbers) -> Numbers:
    """Return ln x."""
    return _apply(np.log, x)


def log1p(x: Numbers) -> Numbers:
    """Return ln(1 + x)."""
    return _apply(np.log1p, x)


def _apply(function: np.ufunc, x: Numbers) -> Numbers:
    return _functions[function](x) if np.asarray(x).dtype == object else function(x)
