"""How far apart two right answers can be: first-order rounding-error bounds.

Each function returns, entry by entry, a bound of the absolute rounding error of one operation on
the given inputs, whatever the order of its sums. It has the operation's name and arguments.
f_backward returns one bound or a tuple, as the operation's does. loss_bounds.py has the losses.
Two options are common to all functions here and there, and not repeated at each:

    u         the unit roundoff of the arithmetic, 2^-24 or 2^-53: see `unit_roundoff`
    factors   f, the relative error of a rounded factor of a matrix product: 0, or TF32. Only bounds
              of matrix products take it.

Two implementations may be apart by twice their bound: `tolerance`. The bounds describe the
algorithms of the textbook, and torch's; the errors of scratchnn are much smaller.

Source   Higham 2002, Accuracy and Stability of Numerical Algorithms, ch. 3 and 4
         Higham & Mary 2019, doi:10.1137/18M1226312, for the √n in `gamma_product`
         Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038, for softmax
         docs/bounds.md derives each bound
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike

from parity import oracle
from parity.digits import AnyDtype, cast
from parity.oracle import Axes
from scratchnn.ops.shared import Array

Bias: TypeAlias = Array | None
Analysis: TypeAlias = Literal["mixed", "worst-case", "probabilistic"]

TF32 = 2.0**-10  # what rounding a factor to 10 bits of mantissa changes at most, even by cutting
EXP_ULPS = 6  # E, in u: half ulps. The largest error seen is 2.4 ulps for exp, at most 4.8 u,
LOG_ULPS = 8  # L, and 3.0 ulps for log, at most 6 u: safe counts for every library measured

ANALYSES: tuple[Analysis, ...] = get_args(Analysis)
_chosen: ContextVar[Analysis] = ContextVar("analysis", default="mixed")


@contextmanager
def analysis(kind: Analysis) -> Iterator[None]:
    """Choose how sums are bounded in a block: all by the worst case, or all with high probability.

    Outside of such a block it is "mixed": matrix products with high probability, and other sums by
    the worst case.

    Options  kind   "mixed", "worst-case" or "probabilistic"
    Raises   ValueError for another kind
    """
    if kind not in ANALYSES:
        raise ValueError(f"analysis must be one of {', '.join(ANALYSES)}, got {kind!r}")
    token = _chosen.set(kind)
    try:
        yield
    finally:
        _chosen.reset(token)


def unit_roundoff(dtype: DTypeLike) -> float:
    """Return u: half the distance from 1 to the next number, 2^-24 or 2^-53.

    Options  dtype   float32 or float64
    """
    return float(np.finfo(np.dtype(dtype)).eps) / 2


def smallest_normal(u: float) -> float:
    """Return the smallest normal number of the precision whose unit roundoff is u.

    Raises   KeyError for a u that is neither float32's nor float64's
    """
    return {unit_roundoff(t): float(np.finfo(t).tiny) for t in (np.float32, np.float64)}[u]


def gamma(n: int, u: float) -> float:
    """Bound the relative error of a sum of n terms, in any order:  n u / (1 - n u).

    Under the probabilistic `analysis` it is `gamma_product`.
    """
    return _likely(n, u) if _chosen.get() == "probabilistic" else _worst(n, u)


def gamma_product(n: int, u: float) -> float:
    """Bound the relative error of an inner product of n terms in a matrix product.

        4 √n u, where that is less than γ(n)

    This is not proven, but observed in more than 100,000 generated cases. The theorem of Higham &
    Mary says that it is exceeded with a probability of at most n · 0.07 %, if the errors have mean
    zero. They do not in a sum of 60,000 equal terms, as of a constant column, and it is exceeded.
    """
    return _worst(n, u) if _chosen.get() == "worst-case" else _likely(n, u)


def _worst(n: int, u: float) -> float:
    return n * u / (1 - n * u) if n * u < 1 else np.inf


def _likely(n: int, u: float) -> float:
    return min(_worst(n, u), 4 * float(np.sqrt(n)) * u)


def allowance(bound: Array | float, dtype: DTypeLike) -> Array:
    """Return how far one implementation may be from the right answer: its error, and underflow.

        B + 2 · smallest subnormal + smallest normal, as some flush subnormals to 0

    Options  bound   B, from a function of this file
             dtype   of the results
    """
    return np.asarray(bound + _underflow(2, dtype))


def tolerance(bound: Array | float, dtype: DTypeLike) -> Array:
    """Return how far two implementations may be apart: both errors, and underflow.

        2 B + 4 · smallest subnormal + smallest normal, as at most one of the two flushes to 0

    Options  bound   B, from a function of this file
             dtype   of the results
    """
    return np.asarray(2 * bound + _underflow(4, dtype))


def _underflow(subnormals: int, dtype: DTypeLike) -> float:
    info = np.finfo(np.dtype(dtype))
    return subnormals * float(info.smallest_subnormal) + float(info.tiny)


def linear(X: Array, W: Array, b: Bias = None, *, u: float, factors: float = 0.0) -> Array:
    """Bound X W + b:  (γ'(D + 1) + 2 f) (|X| |W| + |b|), with the error f of a factor."""
    return (gamma_product(len(W) + 1, u) + 2 * factors) * oracle.linear(*absolute(X, W, b))


def linear_backward(
    dY: Array, X: Array, W: Array, b: Bias = None, *, u: float, factors: float = 0.0
) -> tuple[Array, ...]:
    """Bound dY Wᵀ by γ'(H), Xᵀ dY by γ'(N) and Σ dY by γ(N) of the same with |dY|, |X| and |W|."""
    N = dY[..., 0].size
    growth = gamma_product(W.shape[1], u) + 2 * factors, gamma_product(N, u) + 2 * factors
    sizes = oracle.linear_backward(*absolute(dY, X, W, b))
    return tuple(g * size for g, size in zip((*growth, gamma(N, u)), sizes, strict=False))


def kronecker_linear(
    X: Array, A: Array, S: Array, b: Bias = None, *, u: float, factors: float = 0.0
) -> Array:
    """Bound X (Σ A_i ⊗ S_i) + b, whether the weight is formed or not.

    (γ'(D + n² + n + 2) + 2 f) (|X| Σ |A_i| ⊗ |S_i| + |b|)
    """
    n = len(A)
    growth = gamma_product(X.shape[-1] + n**2 + n + 2, u) + 2 * factors
    return growth * oracle.kronecker_linear(*absolute(X, A, S, b))


def kronecker_linear_backward(
    dY: Array, X: Array, A: Array, S: Array, b: Bias = None, *, u: float, factors: float = 0.0
) -> tuple[Array, ...]:
    """Bound dX, dA, dS and db by γ of as many terms as either way has, of the same sums of |·|.

    dX sums over H, and n² + n + 1 for the weight. dA sums over D/n, and over N and H/n at once, or
    over N and then over a whole block of dW. dS sums over n, and over N and n at once, or over N
    and then n².
    """
    N, D, H, n = dY[..., 0].size, X.shape[-1], dY.shape[-1], len(A)
    of_A, of_S = D // n + N * H // n + N + D * H // n**2 + 1, n + N * n + N + n**2 + 1
    terms = H + n**2 + n + 1, of_A, of_S
    growth = *(gamma_product(count, u) + 2 * factors for count in terms), gamma(N, u)
    sizes = oracle.kronecker_linear_backward(*absolute(dY, X, A, S, b))
    return tuple(g * size for g, size in zip(growth, sizes, strict=False))


def absolute(*arrays: Bias) -> list[Bias]:
    """Return |x| of each array; a bias may be None."""
    return [None if array is None else abs(array) for array in arrays]


def relu(z: Array, *, u: float) -> Array:  # noqa: ARG001
    """Return 0: max(z, 0) is exact."""
    return np.zeros_like(z)


def relu_backward(dy: Array, z: Array, *, u: float) -> Array:  # noqa: ARG001
    """Return 0: dy or 0 is exact."""
    return np.zeros_like(z)


def sigmoid(z: Array, *, u: float) -> Array:
    """Bound 1 / (1 + exp(-z)):  (E + 4 + |min(z, 0)|) u σ.

    The last term is for exp(min(z, 0) - log1p(exp(-|z|))), whose exponent is rounded.
    """
    return (EXP_ULPS + 4 + abs(np.minimum(z, 0))) * u * sigma(z)


def sigmoid_backward(dp: Array, z: Array, *, u: float) -> Array:
    """Bound dp σ (1 - σ), where 1 - σ may have cancelled."""
    p = sigma(z)
    return abs(dp) * (sigmoid(z, u=u) + smallest_normal(u) + (EXP_ULPS + 4) * u * p * (1 - p))


def tanh(z: Array, *, u: float) -> Array:
    """Bound tanh(z) by as much as exp:  E u |y|."""
    return EXP_ULPS * u * abs(np.tanh(z))


def tanh_backward(dy: Array, z: Array, *, u: float) -> Array:
    """Bound dy (1 - y²), where 1 - y² may have cancelled."""
    square, slope = np.tanh(z) ** 2, oracle.tanh_backward(1.0, z)
    return abs(dy) * u * ((2 * EXP_ULPS + 2) * square + (EXP_ULPS + 6) * slope)


def softplus(z: Array, *, beta: float = 1.0, threshold: float = 20.0, u: float) -> Array:
    """Bound log(1 + exp βz) / β, with βz off by 2 u |βz|:  u (σ (2 |βz| + E) + (L + 3) log) / β."""
    x = beta * z
    log = np.logaddexp(0, x)
    errors = (sigma(x) * (2 * abs(x) + EXP_ULPS) + (LOG_ULPS + 3) * log) * u + smallest_normal(u)
    return (errors + at_the_threshold(x, threshold, np.logaddexp(0, -x), u)) / beta


def softplus_backward(
    dy: Array, z: Array, *, beta: float = 1.0, threshold: float = 20.0, u: float
) -> Array:
    """Bound dy σ(βz), with βz off by 2 u |βz|:  |dy| u σ ((1 - σ) (2 |βz| + E) + 4)."""
    x = beta * z
    errors = sigma(x) * (sigma(-x) * (2 * abs(x) + EXP_ULPS) + 4) * u + smallest_normal(u)
    return abs(dy) * (errors + at_the_threshold(x, threshold, sigma(-x), u))


def at_the_threshold(x: Array, threshold: float, jump: Array, u: float) -> Array:
    """Return the jump where x = βz is so near the threshold that rounding decides the side; else 0.

    Options  jump   by how much the two branches of softplus, or of its gradient, differ
    """
    return np.where(abs(x - threshold) <= 4 * u * abs(threshold), jump, 0)


def sigma(z: Array) -> Array:
    """Return σ(z), accurate enough for a bound."""
    return np.exp(-np.logaddexp(0, -z))


def softmax(z: Array, axis: int = -1, *, dtype: AnyDtype = None, u: float) -> Array:
    """Bound exp z / Σ exp z:  p ρ."""
    parts = SoftmaxErrors(cast(z, dtype), axis, u)
    return parts.times_p(parts.rho)


def softmax_backward(
    dp: Array, z: Array, axis: int = -1, *, dtype: AnyDtype = None, u: float
) -> Array:
    """Bound p (dp - Σ dp p), with p computed from z."""
    parts = SoftmaxErrors(cast(z, dtype), axis, u)
    centred = abs(dp - parts.total(dp * parts.p))
    mean_error = parts.total(parts.times_p(abs(dp) * (parts.rho + gamma(parts.terms + 1, u))))
    return parts.times_p((parts.rho + 2 * u) * centred + mean_error)


def log_softmax(z: Array, axis: int = -1, *, dtype: AnyDtype = None, u: float) -> Array:
    """Bound z - log Σ exp z:  u |z - m| + d + u |log p|."""
    return SoftmaxErrors(cast(z, dtype), axis, u).log_p_error


def log_softmax_backward(
    dlog_p: Array, z: Array, axis: int = -1, *, dtype: AnyDtype = None, u: float
) -> Array:
    """Bound dlog_p - p Σ dlog_p, with p = exp(log p) computed from z."""
    parts = SoftmaxErrors(cast(z, dtype), axis, u)
    sum_error = gamma(parts.terms, u) + (EXP_ULPS + 4) * u
    rho = parts.log_p_error + EXP_ULPS * u + sum_error
    return parts.times_p(rho * parts.total(abs(dlog_p))) + (EXP_ULPS + 3) * u * abs(dlog_p)


def logsumexp(z: Array, axis: Axes = -1, *, keepdims: bool = False, u: float) -> Array:
    """Bound log Σ exp z:  d + u |lse|."""
    error = SoftmaxErrors(z, axis, u).lse_error
    return error if keepdims else error.squeeze(axis)


def logsumexp_backward(
    dlse: Array, z: Array, axis: Axes = -1, *, keepdims: bool = False, u: float
) -> Array:
    """Bound p dlse, with p = exp(z - lse), as torch has it.

    The rounding of lse itself counts: at z = [1e30, 1e30] torch has p = [1, 1].
    """
    parts = SoftmaxErrors(z, axis, u)
    rho = parts.log_p_error + parts.lse_error + (EXP_ULPS + 3) * u
    return parts.times_p(rho * abs(dlse if keepdims else np.expand_dims(dlse, axis)))


class SoftmaxErrors:
    """The errors that the operations on a distribution are made of, along one axis or several.

        η_i = u |z_i - m| + E u         the relative error of exp(z_i - m)
        σ = Σ p_j η_j + γ(C - 1)        that of S = Σ exp(z_j - m)
        d = σ + L u log S               the absolute error of log S
        ρ_i = η_i + d + u |log p_i| + u the relative error of p_i, also as exp(log p_i)

    A class with p = 0, such as one whose logit is -inf, adds nothing to a sum.
    """

    def __init__(self, z: Array, axis: Axes, u: float) -> None:
        self.axis = axis
        m = z.max(axis=axis, keepdims=True)
        distance, e = abs(z - m), np.exp(z - m)
        S = self.total(e)
        lse = m + np.log(S)
        eta = u * distance + EXP_ULPS * u
        self.terms = z.size // max(m.size, 1)
        self.p = e / S
        sigma = self.total(self.times_p(eta)) + gamma(self.terms - 1, u)
        d = sigma + LOG_ULPS * u * np.log(S)
        self.log_p = z - lse
        self.rho = eta + d + u * abs(self.log_p) + u
        self.lse_error = d + u * abs(lse)
        self.log_p_error = u * distance + d + u * abs(self.log_p)

    def total(self, x: Array) -> Array:
        """Return Σ x over the classes."""
        return x.sum(axis=self.axis, keepdims=True)

    def times_p(self, x: Array) -> Array:
        """Return p x, which is 0 where p is."""
        return np.where(self.p == 0, 0, self.p * x)


def sgd_step(theta: Array, update: Array, learning_rate: float, u: float) -> Array:
    """Bound θ - learning_rate v, the update by a velocity v.

    Options  update   the sum of the absolute values of the terms of v
    """
    return 2 * u * abs(theta) + 6 * u * learning_rate * update
