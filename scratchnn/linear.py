"""The affine map of a dense layer."""

import math

import numpy as np

from scratchnn.arrays import Array, check_float
from scratchnn.strictness import watched


@watched
def linear(X: Array, W: Array, b: Array | None = None) -> Array:
    """Map the last axis of X from D to H features.

        Y = X W + b

    With a column of ones appended to X, and b as a row below W, this is one
    matrix product: the bias is a weight whose input is always 1.

    Shapes   X (..., D), W (D, H), b (H,) or none → Y (..., H)
    Torch    torch.nn.functional.linear(X, W.T, b)
    """
    check_float(X=X, W=W)
    return add_bias(X @ W, b)


@watched
def linear_backward(dY: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    """Vector-Jacobian product of `linear`: (dX, dW, db) from dY.

        Y_nh = Σ_d X_nd W_dh + b_h
        dX = dY Wᵀ        dW = Xᵀ dY        db = Σ_n dY_n

    n runs over all axes of X but the last.

    Shapes   dY (..., H), X (..., D), W (D, H) → dX (..., D), dW (D, H), db (H,)
    Raises   TypeError, ValueError
    """
    check_float(dY=dY, X=X, W=W)
    expected = (*X.shape[:-1], W.shape[1])
    if X.shape[-1] != W.shape[0] or dY.shape != expected:
        raise ValueError(
            f"dY must have shape {expected} and X {W.shape[0]} features, "
            f"got {dY.shape} and {X.shape[-1]}"
        )
    dY = dY.astype(np.result_type(X, W), copy=False)
    return linear_backward_input(dY, W), *linear_backward_parameters(dY, X)


@watched
def linear_backward_input(dY: Array, W: Array) -> Array:
    """Return dX = dY Wᵀ alone; the first layer of a network has no use for it.

    Shapes   dY (..., H), W (D, H) → dX (..., D)
    """
    dX: Array = dY @ W.T
    return dX


@watched
def linear_backward_parameters(
    dY: Array, X: Array, *, out: tuple[Array, Array] | tuple[None, None] = (None, None)
) -> tuple[Array, Array]:
    """Return (dW, db) = (Xᵀ dY, 1ᵀ dY), written into `out` where it is given.

    1 is the column of ones whose weights are the bias.

    Shapes   dY (..., H), X (..., D) → dW (D, H), db (H,)
    """
    dY, X = as_rows(dY), as_rows(X)
    dW: Array = np.matmul(X.T, dY, out=out[0])
    db: Array = np.matmul(np.ones(len(dY), dY.dtype), dY, out=out[1])  # Σ_n dY_n
    return dW, db


def add_bias(Y: Array, b: Array | None) -> Array:
    """Add b, where there is one, to every row of Y in place.

    Raises   TypeError, ValueError
    """
    if b is None:
        return Y
    check_float(b=b)
    if b.shape != Y.shape[-1:]:
        raise ValueError(
            f"b must have shape {Y.shape[-1:]}, one bias a feature of Y, got {b.shape}"
        )
    Y += b
    return Y


def as_rows(X: Array) -> Array:
    """Put all axes but the last into one: (..., D) → (N, D)."""
    return X.reshape(math.prod(X.shape[:-1]), X.shape[-1])  # -1 would not do for D = 0
