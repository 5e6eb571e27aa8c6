"""Derivatives of a function at one point, measured from its values alone.

The function is φ: it takes one number t and returns an array (m,). What is measured is φ'(0), the
derivative of each of the m values at t = 0: by the complex step, or by five-point differences,
which come with an estimate of their error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from scratchnn.ops.shared import Array

Curve: TypeAlias = Callable[[complex], Array]


class Measured(NamedTuple):
    """A measured derivative.

    Shapes   value     φ'(0), (m,)
             error     an estimate of its error, (m,)
             noise     how far rounding moves the values of φ itself, (m,)
    """

    value: Array
    error: Array
    noise: Array


def complex_step(phi: Curve) -> Array | None:
    """Return φ'(0) = Im φ(ih) / h, or None where φ(ih) is real.

    Nothing is subtracted, so nothing cancels and h can be tiny. The formula's own
    error, h² φ'''/6, is then below rounding. φ must be analytic: a formula that
    takes complex numbers as they are, without |z|.

    Source   Squire & Trapp 1998, doi:10.1137/S003614459631241X
    """
    h = float(np.finfo(np.float64).tiny) ** (1 / 3)
    value = phi(1j * h)
    return value.imag / h if value.dtype.kind == "c" else None


def steps(u: float) -> Array:
    """Return the steps t at which φ is evaluated, each half of the one before.

    They go from u^(1/10) down to u^(2/5). The best step of five-point differences
    is near u^(1/5), in the middle: there the truncation h⁴ is as large as the
    rounding u / h.
    """
    levels = int(np.log2(u ** (1 / 10 - 2 / 5)))
    return u ** (1 / 10) * 0.5 ** np.arange(levels + 1)


def five_points(phi: Curve, u: float) -> Measured:
    """Return φ'(0) by five-point differences, at the step with the smallest estimated error.

        C(h) = (φ(h) - φ(-h)) / 2h        D(h) = (4 C(h) - C(2h)) / 3 = φ'(0) + O(h⁴)
        error(h) = |D(h) - D(2h)| + 3 ε / h

    The first term of the error is the truncation, as Richardson estimates it. In
    the second, ε is the rounding of φ: u |φ|, or more where D still changes at the
    smallest third of the steps. The weights of φ in D add up to 3/2 / h. They are
    doubled, because a few steps show ε only roughly.

    Source   Fornberg 1988, doi:10.1090/S0025-5718-1988-0935077-0 (the weights)
    """
    t = steps(u)[:, None]
    right, left = (np.array([phi(sign * step) for step in t[:, 0]]) for sign in (1, -1))
    with np.errstate(all="ignore"):  # φ may be infinite or NaN at some steps
        C = (right - left) / (2 * t)
        D, h = (4 * C[1:] - C[:-1]) / 3, t[1:]
        change = abs(np.diff(D, axis=0))
        jitter = (change * h[1:])[-(len(change) // 3) :].max(axis=0)
        epsilon = np.maximum(jitter, u * abs(right[-1]))
        error = change + 3 * epsilon / h[1:]
    error[np.isnan(error)] = np.inf
    best, column = error.argmin(axis=0), np.arange(D.shape[1])
    return Measured(D[1:][best, column], error[best, column], epsilon)


def order(remainder: Array, noise: Array | float) -> float:
    """Return the p with which the remainders at `steps` fall: remainder ∝ tᵖ as t → 0.

        p = log₂ (remainder(2t) / remainder(t))

    2t is the smallest step whose remainder is more than 2⁶ times the noise, as is
    the remainder of the step before it. Where no step has that, the remainder is
    all rounding, and p is inf.
    """
    clear = remainder > 2**6 * noise
    (pairs,) = np.nonzero(clear[:-1] & clear[1:])
    if not len(pairs):
        return np.inf
    last = min(pairs[-1] + 1, len(remainder) - 2)
    least = np.broadcast_to(noise, remainder.shape)[last + 1]
    with np.errstate(divide="ignore"):
        return float(np.log2(remainder[last] / np.maximum(remainder[last + 1], least)))


def bend(phi: Curve, u: float, noise: float) -> tuple[float, float, float]:
    """Return the order p of the second difference, and the slopes on the left and on the right.

        φ(t) - 2 φ(0) + φ(-t) ∝ tᵖ

    p is 2 where φ is smooth and 1 at a kink, where the two slopes differ.
    """
    t = steps(u)
    right, left = (np.array([phi(sign * step)[0] for step in t]) for sign in (1, -1))
    middle = float(phi(0.0)[0])
    p = order(abs(right - 2 * middle + left), 4 * noise)
    return p, float((middle - left[-1]) / t[-1]), float((right[-1] - middle) / t[-1])
