"""Information theory of discrete distributions: how surprising, how uncertain, how far apart.

Everywhere 0 log 0 = 0: what never happens surprises nobody.
"""

import math
from typing import Literal, TypeAlias

import numpy as np

from scratchnn.arrays import Array, check_distributions, check_probabilities, check_same_shape

Unit: TypeAlias = Literal["nats", "bits"]

LOG = {"nats": np.log, "bits": np.log2}
NEAR = 1 / 8  # up to this s = (q - p) / (q + p), the divergence of p and q is a series


def surprisal(p: Array, *, unit: Unit = "nats") -> Array:
    """Return how much is learned when something of probability p happens.

        -log p        0 for the certain, ∞ for the impossible

    Shapes   p (...) → (...)
    Units    nats, or bits
    Raises   TypeError, ValueError for what is no probability
    """
    check_probabilities(p=p)
    return _surprisal(p, unit)


def entropy(p: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the expected surprisal: the least mean code length, the floor of any prediction.

        H(P) = -Σ p log p        between 0 (certainty) and log C (all alike)

    Shapes   p (..., C, ...) → (..., ...)
    Units    nats, or bits
    Raises   TypeError, ValueError for what is no distribution along `axis`
    """
    check_distributions(axis, p=p)
    return _expected(p, _surprisal(p, unit), axis)


def cross_entropy(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Return the expected surprisal of one who believes Q where P is true.

        H(P, Q) = -Σ p log q = H(P) + KL(P‖Q)        least, H(P) and not 0, at Q = P

    ∞ where P has mass and Q none. From logits: `functional.cross_entropy`.

    Shapes   p, q (..., C, ...) → (..., ...)
    Units    nats, or bits
    Raises   TypeError, ValueError for what is no distribution along `axis`
    """
    _check_pair(p, q, axis)
    return _expected(p, _surprisal(q, unit), axis)


def perplexity(p: Array, *, axis: int = -1) -> Array:
    """Return the number of equally likely outcomes that are as uncertain as P.

        exp H(P) = 2^(H(P) in bits)        between 1 and C

    Shapes   p (..., C, ...) → (..., ...)
    Raises   TypeError, ValueError for what is no distribution along `axis`
    """
    y: Array = np.exp2(entropy(p, axis=axis, unit="bits"))  # exact for 2^k equal outcomes
    return y


def kl_divergence(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Relative entropy: the surprise that believing Q adds where P is true.

        KL(P‖Q) = Σ p log(p/q) = Σ (p log(p/q) - p + q)        as Σ p = Σ q = 1

    Each term of the last sum is ≥ 0, so nothing cancels, and KL is 0 only at
    P = Q. It is ∞ where P has mass and Q none, and not symmetric.

    Shapes   p, q (..., C, ...) → (..., ...)
    Units    nats, or bits
    Raises   TypeError, ValueError for what is no distribution along `axis`
    Torch    F.kl_div(log_q, p, reduction="none").sum(dim)
    """
    _check_pair(p, q, axis)
    return _in(unit, _excess(p, q, q - p).sum(axis=axis))


def jeffreys_divergence(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Kullback-Leibler both ways, which makes it symmetric.

        J(P, Q) = KL(P‖Q) + KL(Q‖P) = Σ (p - q) log(p/q)

    Shapes   p, q (..., C, ...) → (..., ...)
    Units    nats, or bits
    Raises   TypeError, ValueError for what is no distribution along `axis`
    """
    there = kl_divergence(p, q, axis=axis, unit=unit)
    return there + kl_divergence(q, p, axis=axis, unit=unit)


def jensen_shannon_divergence(p: Array, q: Array, *, axis: int = -1, unit: Unit = "nats") -> Array:
    """Mean divergence from the mixture: symmetric and never infinite; its root is a metric.

        JS(P, Q) = KL(P‖M)/2 + KL(Q‖M)/2,  M = (P + Q)/2        between 0 and ln 2 (1 bit)

    The distances q - m and p - m are taken as ∓(q - p)/2, which m does not round.

    Shapes   p, q (..., C, ...) → (..., ...)
    Units    nats, or bits
    Raises   TypeError, ValueError for what is no distribution along `axis`
    Source   Lin 1991, doi:10.1109/18.61115; Endres & Schindelin 2003, doi:10.1109/TIT.2003.813506
    """
    _check_pair(p, q, axis)
    m, half = (p + q) / 2, (q - p) / 2
    terms = _excess(p, m, half) + _excess(q, m, -half)
    return _in(unit, terms.sum(axis=axis) / 2)


def _surprisal(p: Array, unit: Unit) -> Array:
    with np.errstate(divide="ignore"):  # -log 0 = ∞
        y: Array = 0 - _log(unit)(np.minimum(p, 1))  # not -log: no -0.0
    return y


def _expected(p: Array, x: Array, axis: int) -> Array:
    terms: Array = np.multiply(p, x, out=np.zeros_like(p + x), where=p > 0)  # 0 ∞ = 0
    total: Array = terms.sum(axis=axis)
    return total


def _excess(p: Array, q: Array, d: Array) -> Array:
    """Return p log(p/q) + d where d = q - p: ≥ 0, and 0 only at p = q.

    With s = d / (p + q) it is log(q/p) = 2 atanh s, and for small s
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
        y: Array = np.where(p > 0, np.where(abs(s) < NEAR, near, far), d)
    return y


def _log(unit: Unit) -> np.ufunc:
    if unit not in LOG:
        raise ValueError(f'unit must be "nats" or "bits", got {unit!r}')
    return LOG[unit]


def _in(unit: Unit, nats: Array) -> Array:
    return nats * float(_log(unit)(math.e))  # a nat is 1, or log2(e) bits


def _check_pair(p: Array, q: Array, axis: int) -> None:
    check_distributions(axis, p=p, q=q)
    check_same_shape(p=p, q=q)
