"""Whether the probabilities of a classifier can be trusted.

It is calibrated if, of the answers that it gives with probability 0.8, 8 in 10 are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scratchnn.information import check_distributions
from scratchnn.ops.shared import (
    Array,
    IntArray,
    check_labels,
    check_matrix,
    check_number,
    check_real,
    check_whole,
)
from scratchnn.ops.softmax import softmax

ROUNDING = 2 * float(np.finfo(np.float64).eps)
MOST_STEPS = 2_000  # 3,000 random cases needed at most 58


@dataclass(frozen=True)
class Reliability:
    """Predictions sorted by their confidence into bins of equal width.

    Bin b is (edges[b], edges[b + 1]]; the first has its lower edge, too. Confidence and accuracy
    are means over the predictions of a bin, and NaN where a bin is empty.

    Shapes   edges (B + 1,); count, confidence, accuracy (B,)
    """

    edges: Array
    count: IntArray
    confidence: Array
    accuracy: Array


def reliability_bins(p: Array, target: IntArray, *, bins: int = 15) -> Reliability:
    """Return how many predictions have which confidence, and how many of them are right.

        confidence_n = max_c p_nc        right_n = [argmax_c p_nc = target_n]

    A calibrated classifier has accuracy = confidence in every bin, up to chance.

    Shapes   p (N, C), target (N,) in [0, C)
    Options  bins   the number of bins, of equal width, in [0, 1]
    Raises   TypeError, ValueError for a row of p that is not a distribution, a target that does
             not hold class indices, or bins below 1
    Source   Guo et al. 2017, arXiv:1706.04599
    """
    _check(p, target)
    check_whole(1, bins=bins)
    confidence = p.max(axis=1).astype(np.float64)
    right = p.argmax(axis=1) == target
    edges = np.linspace(0, 1, bins + 1)
    b = np.searchsorted(edges[1:-1], confidence)  # an edge belongs to the bin below
    count = np.bincount(b, minlength=bins)

    def mean(x: Array) -> Array:
        total = np.bincount(b, weights=x, minlength=bins)
        return np.divide(total, count, out=np.full(bins, math.nan), where=count > 0)

    return Reliability(edges, count, mean(confidence), mean(right.astype(np.float64)))


def expected_calibration_error(p: Array, target: IntArray, *, bins: int = 15) -> float:
    """Return the mean difference between confidence and accuracy over the reliability bins.

        ECE = Σ_b (n_b / N) |accuracy_b - confidence_b|

    It depends on `bins`, and chance alone makes it positive for a calibrated
    classifier. So compare only values with equal N and bins.

    Shapes   p (N, C), target (N,) in [0, C)
    Options  bins   the number of bins, of equal width, in [0, 1]
    Raises   as `reliability_bins`
    Source   Naeini, Cooper & Hauskrecht 2015, doi:10.1609/aaai.v29i1.9602
    """
    r = reliability_bins(p, target, bins=bins)
    full = r.count > 0
    gaps = abs(r.accuracy - r.confidence)[full]
    return float((r.count[full] * gaps).sum() / len(target))


def brier_score(p: Array, target: IntArray) -> float:
    """Return the mean squared distance of the probabilities from the one-hot target.

        1/N Σ_n Σ_c (p_nc - [c = target_n])²        between 0 and 2

    Like the cross-entropy it is a proper score: the true probabilities have the
    best one in expectation. Unlike it, it is bounded. For two classes many texts
    sum over one class only, which gives half of this.

    Shapes   p (N, C), target (N,) in [0, C)
    Raises   TypeError, ValueError for a row of p that is not a distribution, or a target that does
             not hold class indices
    Source   Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    _check(p, target)
    distance = p.astype(np.float64)
    distance[np.arange(len(target)), target] -= 1  # p - onehot(target)
    return float(np.square(distance).sum() / len(target))


def fit_temperature(z: Array, target: IntArray) -> float:
    """Return the T > 0 at which softmax(z / T) has the least cross-entropy.

    Give it logits of examples that were not trained on. A classifier that is too
    confident gets T > 1. The order of the classes stays, and so does the accuracy.

    The loss is convex in β = 1/T, so its slope has one zero. Newton's method on
    log β finds it, and stays between the largest β where the slope was negative
    and the smallest where it was positive.

    Shapes   z (N, C), target (N,) in [0, C)
    Raises   TypeError; ValueError for logits that are not finite, and where no T is best: all
             predictions are right (the loss falls as T → 0), or they are no better than chance (it
             falls as T → ∞)
    Source   Guo et al. 2017, arXiv:1706.04599
    """
    _check_logits(z, target)
    gaps = _gaps(z)
    at_target = gaps[np.arange(len(target)), target]
    if (gaps.mean(axis=1) - at_target).mean() >= 0:  # the slope at β = 0
        raise ValueError("no temperature is best: z favours its targets no more than chance")
    if not at_target.any():
        raise ValueError("no temperature is best: all targets have the largest z of their row")
    scale = -float(gaps.min())  # nothing overflows then, whatever the unit of z
    gaps, at_target = gaps / scale, at_target / scale
    low, high, beta = 0.0, math.inf, -1 / float(gaps.mean())
    for _ in range(MOST_STEPS):
        with np.errstate(over="ignore", invalid="ignore"):
            slope, curvature = _derivatives(gaps, at_target, beta)
        if not math.isfinite(curvature):
            break
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = -slope / max(curvature, abs(slope))  # Newton's, and at most 1 in log β
        if abs(step) > ROUNDING and not low < beta * math.exp(step) < high:
            step = math.log(low / beta) / 2 + math.log(high / beta) / 2  # to √(low high)
        if abs(step) <= ROUNDING:
            return scale / beta
        beta *= math.exp(step)
    raise ValueError("no temperature is found: the logits are of too different sizes")


def temperature_derivatives(z: Array, target: IntArray, T: float) -> tuple[float, float]:
    """Return slope and curvature of the mean cross-entropy of z / T along log β = -log T.

        x = β z        L = mean(log Σ_c exp x_c - x_t)
        β ∂L/∂β   = mean(E_p[x] - x_t)        with p = softmax(x)
        β² ∂²L/∂β² = mean(E_p[x²] - E_p[x]²)  ≥ 0: convex in β

    At the best T the slope is 0: the mean logit that the model expects is then
    the one observed.

    Shapes   z (N, C), target (N,) in [0, C)
    Options  T   the temperature, above 0
    Raises   TypeError, ValueError for logits that are not finite, a target that does not hold class
             indices, or T ≤ 0
    """
    _check_logits(z, target)
    check_number(T=T)
    if not T > 0:
        raise ValueError(f"T must be positive, got {T}")
    gaps = _gaps(z)
    return _derivatives(gaps, gaps[np.arange(len(target)), target], 1 / T)


def _gaps(z: Array) -> Array:
    """Return z minus the maximum of its row: softmax is the same."""
    z = z.astype(np.float64)
    with np.errstate(over="ignore"):
        gaps = z - z.max(axis=1, keepdims=True)
    if not np.isfinite(gaps).all():
        raise ValueError("z must have differences within a row that are finite in float64")
    return gaps


def _derivatives(gaps: Array, at_target: Array, beta: float) -> tuple[float, float]:
    x = beta * gaps
    p = softmax(x)
    mean = (p * x).sum(axis=1, keepdims=True)  # E_p[x]
    variance = (p * np.square(x - mean)).sum(axis=1)
    return float((mean[:, 0] - beta * at_target).mean()), float(variance.mean())


def _check(p: Array, target: IntArray) -> None:
    check_real(p=p)
    check_matrix(p=p)
    check_distributions(1, p=p)
    check_labels(target, p.shape[:1], p.shape[1])


def _check_logits(z: Array, target: IntArray) -> None:
    check_real(z=z)
    check_matrix(z=z)
    check_labels(target, z.shape[:1], z.shape[1])
    infinite = ~np.isfinite(z).all(axis=1)
    if infinite.any():
        raise ValueError(f"z must be finite, got {z[infinite.argmax()]} in row {infinite.argmax()}")
