"""The right answers: every operation by its definition, in arithmetic that has digits to spare.

One set of formulas serves arrays of float64 and of numbers of 51 digits, so none may cancel: a sum
leaves out the maximum's own 1, and 1 - p is made from what is left. The functions have the names
and options of scratchnn.functional; here a backward takes the forward's inputs.

    digits.py    arithmetic that has digits to spare
    __init__.py  the operations
    losses.py    the losses, with all their options
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.oracle.digits import Numbers, exp, log1p


def linear(X: Numbers, W: Numbers, b: Numbers | None = None) -> Numbers:
    """X W + b."""
    Y = X @ W
    return Y if b is None else Y + b


def linear_backward(dY: Numbers, X: Numbers, W: Numbers) -> tuple[Numbers, ...]:
    """dY Wᵀ, Xᵀ dY and Σ dY."""
    rows = dY.reshape(-1, dY.shape[-1])
    return dY @ W.T, X.reshape(-1, X.shape[-1]).T @ rows, rows.sum(axis=0)


def kronecker_weight(A: Numbers, S: Numbers) -> Numbers:
    """Σ_i A_i ⊗ S_i."""
    return sum(np.kron(a, s) for a, s in zip(A, S, strict=True))


def kronecker_linear(X: Numbers, A: Numbers, S: Numbers, b: Numbers) -> Numbers:
    """X (Σ_i A_i ⊗ S_i) + b."""
    return linear(X, kronecker_weight(A, S), b)


def kronecker_linear_backward(
    dY: Numbers, X: Numbers, A: Numbers, S: Numbers
) -> tuple[Numbers, ...]:
    """With dW in blocks (n, D/n, n, H/n):  dA_iab = Σ_pq dW_apbq S_ipq, and dS likewise"""
    n, p, q = S.shape
    dX, dW, db = linear_backward(dY, X, kronecker_weight(A, S))
    blocks = dW.reshape(n, p, n, q)
    dA = np.tensordot(S, blocks, ((1, 2), (1, 3)))
    dS = np.tensordot(A, blocks, ((1, 2), (0, 2)))
    return dX, dA, dS, db


def relu(z: Numbers) -> Numbers:
    """max(z, 0)."""
    return np.maximum(z, 0)


def relu_backward(dy: Numbers, z: Numbers) -> Numbers:
    """dy [z > 0]."""
    return dy * (z > 0)


def sigmoid(z: Numbers) -> Numbers:
    """1 / (1 + exp(-z)), with e = exp(-|z|)."""
    e = exp(-abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_backward(dp: Numbers, z: Numbers) -> Numbers:
    """dp σ(z) σ(-z)."""
    return dp * sigmoid(z) * sigmoid(-z)


class Softmax(NamedTuple):
    """All that the operations on a distribution are made of."""

    top: NDArray[np.bool_]  # the maximum's place, the first of several
    p: Numbers
    rest: Numbers  # 1 - p
    log_p: Numbers
    lse: Numbers  # with the axis kept


def distribution(z: Numbers, axis: int) -> Softmax:
    """With m = max z, e = exp(z - m), q = Σ e but for the maximum's own 1:  p = e / (1 + q)."""
    top = np.zeros(z.shape, bool)
    np.put_along_axis(top, z.argmax(axis=axis, keepdims=True), True, axis)
    m = z.max(axis=axis, keepdims=True)
    e = exp(z - m)
    q = np.where(top, 0, e).sum(axis=axis, keepdims=True)
    p = e / (1 + q)
    return Softmax(top, p, np.where(top, q / (1 + q), 1 - p), (z - m) - log1p(q), m + log1p(q))


def softmax(z: Numbers, axis: int = -1) -> Numbers:
    """exp z / Σ exp z."""
    return distribution(z, axis).p


def softmax_backward(dp: Numbers, z: Numbers, axis: int = -1) -> Numbers:
    """p (dp - Σ p dp), where a constant in dp, such as the top class's dp, changes nothing."""
    top, p, *_ = distribution(z, axis)
    shifted = dp - np.where(top, dp, 0).sum(axis=axis, keepdims=True)
    return p * (shifted - (p * shifted).sum(axis=axis, keepdims=True))


def log_softmax(z: Numbers, axis: int = -1) -> Numbers:
    """z - log Σ exp z."""
    return distribution(z, axis).log_p


def log_softmax_backward(dlog_p: Numbers, z: Numbers, axis: int = -1) -> Numbers:
    """dlog_p - p Σ dlog_p; at the top class, dlog_p (1 - p) - p Σ of the others' dlog_p."""
    top, p, rest, *_ = distribution(z, axis)
    others = np.where(top, 0, dlog_p).sum(axis=axis, keepdims=True)
    total = dlog_p.sum(axis=axis, keepdims=True)
    return np.where(top, dlog_p * rest - p * others, dlog_p - p * total)


def logsumexp(z: Numbers, axis: int = -1, keepdims: bool = False) -> Numbers:
    """log Σ exp z = m + log(1 + q)."""
    lse = distribution(z, axis).lse
    return lse if keepdims else lse.squeeze(axis)


def logsumexp_backward(
    dlse: Numbers, z: Numbers, axis: int = -1, keepdims: bool = False
) -> Numbers:
    """dlse p."""
    return softmax(z, axis) * (dlse if keepdims else np.expand_dims(dlse, axis))


def softplus(x: Numbers) -> Numbers:
    """Return ln(1 + e^x)."""
    return np.maximum(x, 0) + log1p(exp(-abs(x)))
