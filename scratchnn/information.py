"""Information theory of discrete distributions: surprise, uncertainty and divergence.

Everywhere 0 log 0 = 0, its limit: an outcome that never happens adds nothing to an expectation.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from scratchnn.ops.shared import Array, check_axis, check_choice, check_real, check_same_shape

Unit: TypeAlias = Literal["nats", "bits"]

LOG = {"nats": np.log, "bits": np.log2}
NEAR = 1 / 8  # up to this s = (q - p) / (q + p), the divergence of p and q is taken from a series


def surprisal(p: Array, *, unit: Unit = "nats") -> Array:
    """Return the information that an event of probability p gives when it happens.

        -log p        0 for a certain event, ∞ for an impossible one

    Shapes   p (...) → (...)
    Options  unit   "nats" for the natural logarithm, "bits" for log2
    Raises   TypeError, ValueError where p is not a probability
    """
    check_probabilities(p=p)
    return _surprisal(p, unit)


def entropy(p: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the expected surprisal of a distribution: how uncertain its outcome is.

        H(P) = -Σ p log p        from 0 (one outcome is certain) to log C (all are equally likely)

    It is the least mean length of a code for the outcomes, and the least
    cross-entropy of any prediction.

    Shapes   p (..., C, ...) → (..., ...)
    Options  axis   the axis of the outcomes
             unit   "nats" for the natural logarithm, "bits" for log2
    Raises   TypeError, ValueError where p is not a distribution along `axis`
    """
    check_distributions(axis, p=p)
    return _expected(p, _surprisal(p, unit), axis)


def cross_entropy(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the expected surprisal of a prediction Q where P is true.

        H(P, Q) = -Σ p log q = H(P) + KL(P‖Q)

    It is least at Q = P, where it is H(P) and not 0. It is ∞ where p > 0 and
    q = 0. `functional.cross_entropy` computes it from logits.

    Shapes   p, q (..., C, ...) → (..., ...)
    Options  axis   the axis of the outcomes
             unit   "nats" for the natural logarithm, "bits" for log2
    Raises   TypeError, ValueError where p or q is not a distribution along `axis`
    """
    _check_pair(p, q, axis)
    return _expected(p, _surprisal(q, unit), axis)


def perplexity(p: Array, *, axis: int = -1) -> Array:
    """Return the number of equally likely outcomes that are as uncertain as P.

        exp H(P) = 2^(H(P) in bits)        between 1 and C

    Shapes   p (..., C, ...) → (..., ...)
    Options  axis   the axis of the outcomes
    Raises   TypeError, ValueError where p is not a distribution along `axis`
    """
    return np.exp2(entropy(p, axis=axis, unit="bits"))  # exact for 2^k equal outcomes


def kl_divergence(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the surprisal that a prediction Q adds to the least possible where P is true.

        KL(P‖Q) = Σ p log(p/q) = Σ (p log(p/q) - p + q)        as Σ p = Σ q = 1

    Each term of the last sum is ≥ 0, so nothing cancels, and KL is 0 only at
    P = Q. It is ∞ where p > 0 and q = 0. It is not symmetric.

    Shapes   p, q (..., C, ...) → (..., ...)
    Options  axis   the axis of the outcomes
             unit   "nats" for the natural logarithm, "bits" for log2
    Raises   TypeError, ValueError where p or q is not a distribution along `axis`
    Torch    F.kl_div(log_q, p, reduction="none").sum(dim)
    """
    _check_pair(p, q, axis)
    return _from_nats(_kl_terms(p, q, q - p).sum(axis=axis), unit)


def jeffreys_divergence(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the sum of the Kullback-Leibler divergences both ways, which is symmetric.

        J(P, Q) = KL(P‖Q) + KL(Q‖P) = Σ (p - q) log(p/q)

    Shapes   p, q (..., C, ...) → (..., ...)
    Options  axis   the axis of the outcomes
             unit   "nats" for the natural logarithm, "bits" for log2
    Raises   TypeError, ValueError where p or q is not a distribution along `axis`
    """
    one_way = kl_divergence(p, q, axis=axis, unit=unit)
    return one_way + kl_divergence(q, p, axis=axis, unit=unit)


def jensen_shannon_divergence(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the mean divergence of P and Q from their mixture M.

        JS(P, Q) = KL(P‖M)/2 + KL(Q‖M)/2,  M = (P + Q)/2        between 0 and ln 2 (1 bit)

    It is symmetric and always finite, and its square root is a metric. The
    differences m - p = (q - p)/2 and m - q = -(q - p)/2 are taken from q - p, so
    that the rounding of m does not enter them.

    Shapes   p, q (..., C, ...) → (..., ...)
    Options  axis   the axis of the outcomes
             unit   "nats" for the natural logarithm, "bits" for log2
    Raises   TypeError, ValueError where p or q is not a distribution along `axis`
    Source   Lin 1991, doi:10.1109/18.61115; Endres & Schindelin 2003, doi:10.1109/TIT.2003.813506
    """
    _check_pair(p, q, axis)
    m, half = (p + q) / 2, (q - p) / 2
    terms = _kl_terms(p, m, half) + _kl_terms(q, m, -half)
    return _from_nats(terms.sum(axis=axis) / 2, unit)


def check_probabilities(*, above_one: float = 0.0, **arrays: Array) -> None:
    """Raise where a number is not a probability: it is negative, above 1, or NaN.

    Options  above_one   how far above 1 a number may be, for rounding
             arrays      the arrays, by the names that messages give them
    Raises   TypeError, ValueError
    """
    check_real(**arrays)
    for name, p in arrays.items():
        wrong = ~((p >= 0) & (p <= 1 + above_one))  # True for NaN, too
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(f"{name} must hold probabilities in [0, 1], got {p[at]} at {at}")


def check_distributions(axis: int, **arrays: Array) -> None:
    """Raise where an array is not a probability distribution along `axis`, up to rounding.

        |Σ p - 1| ≤ 2 C u

    u is the unit roundoff of the array's precision. C roundings come from
    normalising C numbers, and C from summing them here.

    Options  axis     the axis of the outcomes
             arrays   the arrays, by the names that messages give them
    Raises   TypeError, ValueError
    """
    for name, p in arrays.items():
        check_real(**{name: p})
        if not p.ndim:
            raise ValueError(f"{name} must have an axis of classes, got a single number")
        C = p.shape[check_axis(axis, p.ndim)]
        tolerance = C * float(np.finfo(p.dtype).eps)
        check_probabilities(above_one=tolerance, **{name: p})
        total = p.sum(axis=axis)
        wrong = abs(total - 1) > tolerance
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(
                f"{name} must sum to 1 along axis {axis}, within {tolerance:.1e} for rounding "
                f"in {p.dtype}, got {total[at]}" + (f" at {at}" if at else "")
            )


def _check_pair(p: Array, q: Array, axis: int) -> None:
    check_distributions(axis, p=p, q=q)
    check_same_shape(p=p, q=q)


def _surprisal(p: Array, unit: Unit) -> Array:
    with np.errstate(divide="ignore"):  # -log 0 = ∞
        return 0 - _log(unit)(np.minimum(p, 1))  # 0 - x, as -x would make -0.0 of 0


def _expected(p: Array, x: Array, axis: int) -> Array:
    """Return Σ p x along `axis`, where 0 · ∞ is 0."""
    return np.multiply(p, x, out=np.zeros_like(p + x), where=p > 0).sum(axis=axis)


def _kl_terms(p: Array, q: Array, d: Array) -> Array:
    """Return p log(p/q) + d for d = q - p. It is ≥ 0, and 0 only at p = q.

    With s = d / (p + q), log(q/p) is 2 atanh s, and for small s

        p log(p/q) + d = d s - 2p (s³/3 + s⁵/5 + ...)

    The series ends where the next term is below a rounding of float64.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # p = 0 or q = 0
        s = d / (p + q)
        ratio = p / q
        log_ratio = np.where(np.isinf(ratio), np.log(p) - np.log(q), np.log(ratio))
        far = p * log_ratio + d
        series = np.zeros_like(s)
        for k in range(19, 1, -2):
            series = series * (s * s) + 1 / k
        near = d * s - 2 * p * s * (s * s) * series
        return np.where(p > 0, np.where(abs(s) < NEAR, near, far), d)


def _log(unit: Unit) -> np.ufunc:
    check_choice(LOG, unit=unit)
    return LOG[unit]


def _from_nats(nats: Array, unit: Unit) -> Array:
    return nats * float(_log(unit)(math.e))  # a nat is log2(e) bits
