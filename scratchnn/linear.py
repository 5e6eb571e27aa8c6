"""The affine map of a dense layer."""

import math

import numpy as np

from scratchnn.arrays import Array, check_float


def linear(X: Array, W: Array, b: Array | None = None) -> Array:
    """Map the last axis of X from D to H features.

        Y = X W + b

    With a column of ones appended to X, and b as a row below W, this is one
    matrix product: the bias is a weight whose input is always 1.

    Shapes   X (..., D), W (D, H), b (H,) or none → Y (..., H)
    Torch    torch.nn.functional.linear(X, W.T, b)
    """
    check_float(X=X, W=W)
    Y: Array = X @ W
    if b is None:
        return Y
    check_float(b=b)
    if b.shape != W.shape[1:]:
        raise ValueError(f"b must have shape {W.shape[1:]}, one bias a column of W, got {b.shape}")
    Y += b
    return Y


def linear_backward(dY: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    """Vector-Jacobian product of `linear`: (dX, dW, db) from dY.

        Y_nh = Σ_d X_nd W_dh + b_h
        dX = dY Wᵀ        dW = Xᵀ dY        db = Σ_n dY_n

    n runs over all axes of X but the last.

    Shapes   dY (..., H), X (..., D), W (D, H) → dX (..., D), dW (D, H), db (H,)
    Raises   ValueError
    """
    expected = (*X.shape[:-1], W.shape[1])
    if X.shape[-1] != W.shape[0] or dY.shape != expected:
        raise ValueError(
            f"dY must have shape {expected} and X {W.shape[0]} features, "
            f"got {dY.shape} and {X.shape[-1]}"
        )
    return linear_backward_input(dY, W), *linear_backward_parameters(dY, X)


def linear_backward_input(dY: Array, W: Array) -> Array:
    """Return dX = dY Wᵀ alone; the first layer of a network has no use for it.

    Shapes   dY (..., H), W (D, H) → dX (..., D)
    """
    dX: Array = dY @ W.T
    return dX


def linear_backward_parameters(
    dY: Array, X: Array, *, out: tuple[Array, Array] | tuple[None, None] = (None, None)
) -> tuple[Array, Array]:
    """Return (dW, db) = (Xᵀ dY, Σ_n dY_n), written into `out` where it is given.

    Shapes   dY (..., H), X (..., D) → dW (D, H), db (H,)
    """
    N = math.prod(X.shape[:-1])  # -1 would not do for D = 0 or H = 0
    dY, X = dY.reshape(N, dY.shape[-1]), X.reshape(N, X.shape[-1])
    dW: Array = np.matmul(X.T, dY, out=out[0])
    db: Array = np.sum(dY, axis=0, out=out[1])
    return dW, db
