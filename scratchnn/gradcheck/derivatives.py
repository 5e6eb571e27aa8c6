"""Derivatives measured without formulas: by a complex step, or by differences with their error.

Everything here is about one function of one number, t → φ(t) (m,), near t = 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from scratchnn.arrays import Array

Curve: TypeAlias = Callable[[Any], Array]


class Measured(NamedTuple):
    """φ'(0), an estimate of its error, and the rounding noise of φ itself, each (m,)."""

    value: Array
    error: Array
    noise: Array


def complex_step(phi: Curve) -> Array | None:
    """Return φ'(0) = Im φ(ih) / h, exact to rounding where φ is analytic; None where it is real.

    Nothing is subtracted, so that h can be tiny and the truncation h² φ'''/6 vanishes.

    Source   Squire & Trapp 1998, doi:10.1137/S003614459631241X
    """
    h = float(np.finfo(np.float64).tiny) ** (1 / 3)
    value = phi(1j * h)
    return value.imag / h if value.dtype.kind == "c" else None


def steps(u: float) -> Array:
    """Return steps t, each half of the one before, from u^(1/10) down to u^(2/5).

    In the middle of them (of the exponents) is the best for five points, u^(1/5), where the
    truncation h⁴ is as large as the rounding u / h.
    """
    levels = int(np.log2(u ** (1 / 10 - 2 / 5)))
    t: Array = u ** (1 / 10) * 0.5 ** np.arange(levels + 1)
    return t


def five_points(phi: Curve, u: float) -> Measured:
    """Return φ'(0) by five-point differences, at the step whose estimated error is smallest.

        C(h) = (φ(h) - φ(-h)) / 2h        D(h) = (4 C(h) - C(2h)) / 3 = φ'(0) + O(h⁴)
        error(h) = |D(h) - D(2h)| + 3 ε / h

    The first term is the truncation, as Richardson estimates it; ε is the rounding of φ: u |φ|,
    or more where D jitters at the smallest third of the steps. The weights of φ in D add up to
    3/2 / h; twice that, as few steps are few samples of ε.

    Source   Fornberg 1988, doi:10.1090/S0025-5718-1988-0935077-0 (the weights)
    """
    t = steps(u)[:, None]
    right, left = (np.array([phi(sign * step) for step in t[:, 0]]) for sign in (1, -1))
    with np.errstate(all="ignore"):
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
    """Return p of remainder ∝ tᵖ at `steps`, as t → 0; inf where all is rounding.

        p = log₂ (remainder(2t) / remainder(t))

    where 2t is the smallest step whose remainder, like its predecessor's, is clear: six bits above
    the noise.
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
    """Return the order of the second difference, and the slopes on the left and on the right.

    φ(t) - 2 φ(0) + φ(-t) ∝ t² where φ is smooth, ∝ t where the slopes differ: a kink
    """
    t = steps(u)
    right, left = (np.array([phi(sign * step)[0] for step in t]) for sign in (1, -1))
    middle = float(phi(0.0)[0])
    p = order(abs(right - 2 * middle + left), 4 * noise)
    return p, float((middle - left[-1]) / t[-1]), float((right[-1] - middle) / t[-1])
