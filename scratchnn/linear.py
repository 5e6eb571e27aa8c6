"""The affine map of a dense layer."""

import numpy as np

from scratchnn.arrays import Array, check_float


def linear(X: Array, W: Array, b: Array) -> Array:
    """Map each row of X to H features.

        Y = X W + b

    With a column of ones appended to X, and b as a row below W, this is one
    matrix product: the bias is a weight whose input is always 1.

    Shapes   X (N, D), W (D, H), b (H,) → Y (N, H)
    Torch    torch.nn.functional.linear(X, W.T, b)
    """
    check_float(X=X, W=W, b=b)
    if b.shape != W.shape[1:]:
        raise ValueError(f"b must have shape {W.shape[1:]}, one bias a column of W, got {b.shape}")
    Y: Array = X @ W
    Y += b
    return Y


def linear_backward(dY: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    """Vector-Jacobian product of `linear`: (dX, dW, db) from dY.

        Y_nh = Σ_d X_nd W_dh + b_h
        dX = dY Wᵀ        dW = Xᵀ dY        db = Σ_n dY_n

    Shapes   dY (N, H), X (N, D), W (D, H) → dX (N, D), dW (D, H), db (H,)
    """
    return linear_backward_input(dY, W), *linear_backward_parameters(dY, X)


def linear_backward_input(dY: Array, W: Array) -> Array:
    """Return dX = dY Wᵀ alone; the first layer of a network has no use for it.

    Shapes   dY (N, H), W (D, H) → dX (N, D)
    """
    dX: Array = dY @ W.T
    return dX


def linear_backward_parameters(
    dY: Array, X: Array, *, out: tuple[Array, Array] | tuple[None, None] = (None, None)
) -> tuple[Array, Array]:
    """Return (dW, db) = (Xᵀ dY, Σ_n dY_n), written into `out` where it is given.

    Shapes   dY (N, H), X (N, D) → dW (D, H), db (H,)
    """
    dW: Array = np.matmul(X.T, dY, out=out[0])
    db: Array = np.sum(dY, axis=0, out=out[1])
    return dW, db
