"""How far apart two right answers can be: first-order rounding-error bounds.

Each function bounds, entry by entry, the absolute error that floating-point arithmetic of unit
roundoff u makes in one operation on the inputs at hand, whatever the order of its sums. Two
implementations may differ by twice that: `tolerance`. The bounds describe the textbook algorithms,
torch's among them; scratchnn's own keep well inside.

Source   Higham 2002, Accuracy and Stability of Numerical Algorithms, ch. 3 and 4
         Higham & Mary 2019, doi:10.1137/18M1226312, for the √n in `gamma`
         Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038, for softmax
         docs/bounds.md derives each bound
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias, get_args

import numpy as np

from scratchnn import kronecker
from scratchnn.arrays import Array

TF32 = 2.0**-10  # what rounding a factor to 10 bits of mantissa changes at most, even by cutting
EXP_ULPS = 6  # E, in u: half ulps. The maxima seen are 2.4 ulps for exp, at most 4.8 u,
LOG_ULPS = 8  # L, and 3.0 ulps for log, at most 6 u: safe counts for every library measured

Analysis: TypeAlias = Literal["mixed", "worst-case", "probabilistic"]
ANALYSES: tuple[Analysis, ...] = get_args(Analysis)
_chosen: ContextVar[Analysis] = ContextVar("analysis", default="mixed")


@contextmanager
def analysis(kind: Analysis) -> Iterator[None]:
    """Bound all sums by the worst case, or all with overwhelming probability.

    "mixed", which holds outside of this: matrix products with probability, other sums by the
    worst case.

    Raises   ValueError
    """
    if kind not in ANALYSES:
        raise ValueError(f"analysis must be one of {', '.join(ANALYSES)}, got {kind!r}")
    token = _chosen.set(kind)
    try:
        yield
    finally:
        _chosen.reset(token)


def unit_roundoff(dtype: np.dtype | type) -> float:
    """Return u: half the distance from 1 to the next number; 2^-24 or 2^-53."""
    return float(np.finfo(dtype).eps) / 2


def smallest_normal(u: float) -> float:
    """Return the smallest normal number of the precision whose unit roundoff is u.

    Raises   KeyError
    """
    return {unit_roundoff(t): float(np.finfo(t).tiny) for t in (np.float32, np.float64)}[u]


def gamma(n: int, u: float) -> float:
    """Bound the relative error of a sum of n terms, in any order:  n u / (1 - n u)."""
    return _likely(n, u) if _chosen.get() == "probabilistic" else _worst(n, u)


def gamma_product(n: int, u: float) -> float:
    """Bound the relative error of an inner product of n terms in a matrix product.

        4 √n u, where that is less than γ(n)

    That errors keep to it is found, not proven: more than 100,000 generated cases do, where the
    theorem of Higham & Mary lets 0.07 % times n not do so. The 60,000 equal terms of a constant
    column do not: their errors have no mean of zero.
    """
    return _worst(n, u) if _chosen.get() == "worst-case" else _likely(n, u)


def _worst(n: int, u: float) -> float:
    return n * u / (1 - n * u) if n * u < 1 else np.inf


def _likely(n: int, u: float) -> float:
    return min(_worst(n, u), 4 * float(np.sqrt(n)) * u)


def allowance(bound: Array, dtype: np.dtype | type) -> Array:
    """Return how far one implementation may be from the right answer: its error, and underflow.

    B + 2 · smallest subnormal + smallest normal, as some flush subnormals to 0
    """
    info = np.finfo(dtype)
    return bound + (2 * float(info.smallest_subnormal) + float(info.tiny))


def tolerance(bound: Array, dtype: np.dtype | type) -> Array:
    """Return how far two implementations may be apart: both errors, and underflow.

    2 B + 4 · smallest subnormal + smallest normal, as at most one of the two flushes to 0
    """
    info = np.finfo(dtype)
    return 2 * bound + (4 * float(info.smallest_subnormal) + float(info.tiny))


def linear(X: Array, W: Array, b: Array | None, u: float, factors: float = 0.0) -> Array:
    """Bound X W + b:  (γ'(D + 1) + 2 f) (|X| |W| + |b|), f the error of a factor, 0 but in TF32."""
    size = abs(X) @ abs(W) + (0.0 if b is None else abs(b))
    return (gamma_product(W.shape[0] + 1, u) + 2 * factors) * size


def linear_backward_input(dY: Array, W: Array, u: float, factors: float = 0.0) -> Array:
    """Bound dY Wᵀ:  (γ'(H) + 2 f) |dY| |W|ᵀ."""
    return (gamma_product(W.shape[1], u) + 2 * factors) * (abs(dY) @ abs(W).T)


def linear_backward_parameters(
    dY: Array, X: Array, u: float, factors: float = 0.0
) -> tuple[Array, Array]:
    """Bound Xᵀ dY and Σ dY:  (γ'(N) + 2 f) |X|ᵀ |dY|  and  γ(N) Σ |dY|."""
    dY, X = dY.reshape(-1, dY.shape[-1]), X.reshape(-1, X.shape[-1])
    N = len(X)
    return (
        (gamma_product(N, u) + 2 * factors) * (abs(X).T @ abs(dY)),
        gamma(N, u) * abs(dY).sum(axis=0),
    )


def kronecker_linear(
    X: Array, A: Array, S: Array, b: Array, u: float, factors: float = 0.0
) -> Array:
    """Bound X (Σ A_i ⊗ S_i) + b, whether the weight is formed or not.

    (γ'(D + n² + n + 2) + 2 f) (|X| Σ |A_i| ⊗ |S_i| + |b|)
    """
    n = len(A)
    growth = gamma_product(X.shape[1] + n**2 + n + 2, u) + 2 * factors
    return growth * kronecker.kronecker_linear(abs(X), abs(A), abs(S), abs(b))


def kronecker_backward_input(
    dY: Array, A: Array, S: Array, u: float, factors: float = 0.0
) -> Array:
    """Bound dY (Σ A_i ⊗ S_i)ᵀ:  (γ'(H + n² + n + 1) + 2 f) |dY| (Σ |A_i| ⊗ |S_i|)ᵀ."""
    n = len(A)
    growth = gamma_product(dY.shape[1] + n**2 + n + 1, u) + 2 * factors
    return growth * kronecker.kronecker_backward_input(abs(dY), abs(A), abs(S))


def kronecker_backward_parameters(
    dY: Array, X: Array, A: Array, S: Array, u: float, factors: float = 0.0
) -> tuple[Array, Array, Array]:
    """Bound dA, dS and db by the same sums of absolute values.

    As many terms as either way has: dA sums over D/n, and over N and H/n at once, or over N and
    then over a whole block of dW; dS over n, and over N and n at once, or over N and then n².
    """
    (N, D), H, n = X.shape, dY.shape[1], len(A)
    dA, dS, db = kronecker.kronecker_backward_parameters(abs(dY), abs(X), abs(A), abs(S))
    terms = D // n + N * H // n + N + D * H // n**2 + 1, n + N * n + N + n**2 + 1, N
    return (
        (gamma_product(terms[0], u) + 2 * factors) * dA,
        (gamma_product(terms[1], u) + 2 * factors) * dS,
        gamma(terms[2], u) * db,
    )


def logsumexp(z: Array, axis: int, u: float) -> Array:
    """Bound log Σ exp z, with that axis kept."""
    _, d, lse = softmax_errors(z, axis, u)
    return d + u * abs(lse)


def log_softmax(z: Array, axis: int, u: float) -> Array:
    """Bound z - log Σ exp z:  u |z - m| + d + u |log p|."""
    _, d, lse = softmax_errors(z, axis, u)
    return u * abs(z - z.max(axis=axis, keepdims=True)) + d + u * abs(z - lse)


def softmax(z: Array, axis: int, u: float) -> Array:
    """Bound exp z / Σ exp z:  p ρ."""
    return probabilities(z, axis) * _rho(z, axis, u)


def softmax_backward(dp: Array, z: Array, axis: int, u: float) -> Array:
    """Bound p (dp - Σ dp p), with p computed from z."""
    p, rho = probabilities(z, axis), _rho(z, axis, u)

    def total(x: Array) -> Array:
        return x.sum(axis=axis, keepdims=True)

    centred = abs(dp - total(dp * p))
    mean_error = total(abs(dp) * p * (rho + gamma(z.shape[axis] + 1, u)))
    return p * ((rho + 2 * u) * centred + mean_error)


def log_softmax_backward(dlog_p: Array, z: Array, axis: int, u: float) -> Array:
    """Bound dlog_p - p Σ dlog_p, with p = exp(log p) computed from z."""
    p, rho = probabilities(z, axis), log_softmax(z, axis, u) + EXP_ULPS * u
    total = abs(dlog_p).sum(axis=axis, keepdims=True)
    sum_error = gamma(z.shape[axis], u) + (EXP_ULPS + 4) * u
    return p * (rho + sum_error) * total + (EXP_ULPS + 3) * u * abs(dlog_p)


def logsumexp_backward(dlse: Array, z: Array, axis: int, u: float) -> Array:
    """Bound p dlse, with p = exp(z - lse), as torch has it; dlse has that axis kept.

    The rounding of lse itself counts: at z = [1e30, 1e30] torch has p = [1, 1].
    """
    rho = log_softmax(z, axis, u) + logsumexp(z, axis, u) + (EXP_ULPS + 3) * u
    return probabilities(z, axis) * rho * abs(dlse)


def relu(z: Array, u: float) -> Array:  # noqa: ARG001
    """Return 0: max(z, 0) is exact, and so is its backward."""
    return np.zeros_like(z)


def sigmoid(z: Array, u: float) -> Array:
    """Bound 1 / (1 + exp(-z)):  (E + 2) u σ."""
    return (EXP_ULPS + 2) * u * sigma(z)


def sigmoid_backward(dp: Array, z: Array, u: float) -> Array:
    """Bound dp σ (1 - σ), where 1 - σ may have cancelled."""
    p = sigma(z)
    return abs(dp) * (sigmoid(z, u) + smallest_normal(u) + (EXP_ULPS + 4) * u * p * (1 - p))


def sgd_step(theta: Array, update: Array, learning_rate: float, u: float) -> Array:
    """Bound θ - learning_rate v, given what v is made of in absolute value."""
    return 2 * u * abs(theta) + 6 * u * learning_rate * update


def probabilities(z: Array, axis: int) -> Array:
    """Return softmax, near enough for a bound."""
    p = np.exp(z - z.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


def sigma(z: Array) -> Array:
    """Return σ(z), near enough for a bound."""
    return np.exp(-np.logaddexp(0, -z))


def softmax_errors(z: Array, axis: int, u: float) -> tuple[Array, Array, Array]:
    """Return σ, the relative error of S = Σ exp(z - m); d, the error of log S; and lse itself.

    η_i = u |z_i - m| + E u        σ = Σ p_j η_j + γ(C - 1)        d = σ + L u log S
    """
    m = z.max(axis=axis, keepdims=True)
    S = np.exp(z - m).sum(axis=axis, keepdims=True)
    eta = u * abs(z - m) + EXP_ULPS * u
    sigma = (probabilities(z, axis) * eta).sum(axis=axis, keepdims=True) + gamma(
        z.shape[axis] - 1, u
    )
    return sigma, sigma + LOG_ULPS * u * np.log(S), m + np.log(S)


def _rho(z: Array, axis: int, u: float) -> Array:
    """Return ρ_i = η_i + σ + u, the relative error of softmax."""
    sigma, _, _ = softmax_errors(z, axis, u)
    return u * abs(z - z.max(axis=axis, keepdims=True)) + EXP_ULPS * u + sigma + u
