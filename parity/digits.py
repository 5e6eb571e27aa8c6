"""Arithmetic with digits to spare: float64 for float32, and 51 digits for float64.

The 51 digits come from gmpy2 where it is installed (2 µs for an exponential), else from mpmath
(ten times as long), in arrays of Python objects. Either is imported when it is first needed, so
that importing this file takes NumPy alone. gmpy2 computes to the precision of its context. Each
thread has a context, and other code may change it: compute inside `precise`.

Source   Fousse et al. 2007, doi:10.1145/1236463.1236468 (MPFR, correctly rounded)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from scratchnn.extras import need
from scratchnn.ops.shared import Array

Numbers: TypeAlias = Any  # an array of float64, or of numbers of 51 digits; or one such number
AnyDtype: TypeAlias = DTypeLike | None
Precision: TypeAlias = Literal["ieee", "tf32"]  # of torch's products of float32 matrices

BITS = 170
DIGITS = int(BITS * np.log10(2))


@contextmanager
def precise() -> Iterator[None]:
    """Compute with 51 digits in this thread, and restore its precision after; also a decorator."""
    with _arithmetic().context():
        yield


def lift(value: object, dtype: DTypeLike) -> Numbers:
    """Give a floating-point argument of an operation in `dtype` digits to spare.

    All other arguments are returned as they are.
    """
    if not (isinstance(value, float) or getattr(value, "dtype", np.dtype(int)).kind == "f"):
        return value
    array = np.asarray(value, np.float64)
    if np.dtype(dtype) == np.float64:
        with precise(), np.errstate(all="ignore"):  # gmpy2 leaves flags in the processor
            return _arithmetic().number(array.astype(object))
    return array[()]


def rounded(exact: Numbers, dtype: DTypeLike) -> Array:
    """Return right answers, rounded to `dtype`."""
    with np.errstate(over="ignore", invalid="ignore"):  # older NumPy says that NaN is invalid
        return np.asarray(exact).astype(np.float64).astype(dtype)


def cast(x: Numbers, dtype: DTypeLike | None) -> Numbers:
    """Round x to `dtype`, as a number with digits to spare; None returns x unchanged."""
    if dtype is None:
        return x
    return lift(rounded(x, dtype), np.float64 if np.asarray(x).dtype == object else np.float32)


@precise()
def distance(result: Array, exact: Numbers) -> NDArray[np.float64]:
    """Return |result - exact|, entry by entry.

    It is 0 for equal infinities and for two NaNs, and inf where only one of the two is finite.
    """
    right, exact = rounded(exact, result.dtype), np.asarray(exact)
    with np.errstate(invalid="ignore"):
        wide = lift(result, np.float64 if exact.dtype == object else np.float32)
        error = np.asarray(abs(wide - exact)).astype(np.float64)
    agree = (result == right) | (np.isnan(result) & np.isnan(right))
    finite = np.isfinite(result) & np.isfinite(right)
    return np.where(finite, error, np.where(agree, 0.0, np.inf))


def _function(name: str) -> Callable[[Numbers], Numbers]:
    """Return NumPy's function of arrays of float64, and the one of this name of all others."""

    def function(x: Numbers) -> Numbers:
        return getattr(_arithmetic() if np.asarray(x).dtype == object else np, name)(x)

    return function


exp, expm1, log, log1p = map(_function, ("exp", "expm1", "log", "log1p"))


@cache
def _arithmetic() -> SimpleNamespace:
    """Return functions of arrays of gmpy2, or mpmath, and a context in which to call them.

    mpmath's are those of a context of our own, as all share mpmath.mp. A logarithm of a negative
    number is NaN, where mpmath has a complex number.

    Raises   MissingExtraError where neither is installed
    """
    functions: dict[str, Callable[[Numbers], Numbers]]
    context: Callable[[], object] = nullcontext
    try:
        import gmpy2
    except ModuleNotFoundError:
        mp = need("mpmath", "check").MPContext()
        mp.prec = BITS
        functions = {"number": mp.mpf, "exp": mp.exp, "expm1": mp.expm1}
        functions["log"] = lambda x: mp.nan if x < 0 else mp.log(x)
        functions["log1p"] = lambda x: mp.nan if x < -1 else mp.log1p(x)
    else:
        names = ("exp", "expm1", "log", "log1p")
        functions = {"number": gmpy2.mpfr, **{name: getattr(gmpy2, name) for name in names}}
        context = partial(gmpy2.context, precision=BITS)
    arrays = {name: np.frompyfunc(function, 1, 1) for name, function in functions.items()}
    return SimpleNamespace(**arrays, context=context)
