"""The affine map of a dense layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scratchnn.ops.shared import AnyArray, Array, check_float, check_real


def linear(X: Array, W: Array, b: Array | None = None) -> Array:
    """Map the last axis of X from D to H features.

        Y = X W + b

    With a column of ones appended to X, and b as a row below W, this is one
    matrix product: the bias is a weight whose input is always 1.

    Shapes   X (..., D), W (D, H), b (H,) → Y (..., H)
    Options  b   the bias; default: none
    Raises   TypeError for arrays that are not floating point, ValueError for shapes that do not fit
    Torch    torch.nn.functional.linear(X, W.T, b)
    """
    check_float(X=X, W=W)
    _check_fit(X, W)
    if b is not None:
        check_bias(b, W.shape[1], np.result_type(X, W))
    return affine(X, W, b)


def affine(X: Array, W: Array, b: Array | None) -> Array:
    """Return Y = X W + b.

    Shapes   X (..., D), W (D, H), b (H,) → Y (..., H)
    """
    Y = X @ W
    if b is not None:
        Y += b
    return Y


def linear_backward(
    dY: Array, X: Array, W: Array, b: Array | None = None
) -> tuple[Array, Array] | tuple[Array, Array, Array]:
    """Backward of `linear`: dX, dW and db from dY.

        Y_nh = Σ_d X_nd W_dh + b_h
        dX = dY Wᵀ        dW = Xᵀ dY        db = Σ_n dY_n

    n runs over all axes of X but the last.

    Shapes   dY (..., H), X (..., D), W (D, H), b (H,)
             → dX (..., D), dW (D, H) and, where there is a bias, db (H,)
    Raises   TypeError, ValueError
    """
    check_real(dY=dY, X=X, W=W)
    _check_fit(X, W)
    expected = (*X.shape[:-1], W.shape[1])
    if dY.shape != expected:
        raise ValueError(f"dY must have shape {expected}, got {dY.shape}")
    dY = dY.astype(np.result_type(X, W), copy=False)
    dX = input_gradient(dY, W).astype(X.dtype, copy=False)
    dW = weight_gradient(dY, X).astype(W.dtype, copy=False)
    if b is None:
        return dX, dW
    check_bias(b, W.shape[1], dY.dtype)
    return dX, dW, bias_gradient(dY).astype(b.dtype, copy=False)


def input_gradient(dY: Array, W: Array) -> Array:
    """Return dX = dY Wᵀ.

    Shapes   dY (..., H), W (D, H) → dX (..., D)
    """
    return dY @ W.T


def weight_gradient(dY: Array, X: Array, out: Array | None = None) -> Array:
    """Return dW = Xᵀ dY.

    Shapes   dY (..., H), X (..., D) → dW (D, H)
    Options  out   an array for the result
    """
    return np.matmul(as_rows(X).T, as_rows(dY), out=out)


def bias_gradient(dY: Array, out: Array | None = None) -> Array:
    """Return db = Σ_n dY_n, computed as (1, ..., 1) dY.

    Shapes   dY (..., H) → (H,)
    Options  out   an array for the result
    """
    dY = as_rows(dY)
    return np.matmul(np.ones(len(dY), dY.dtype), dY, out=out)


def check_bias(b: Array, features: int, dtype: np.dtype[Any]) -> None:
    """Raise where b is not one floating-point bias per feature, or is complex and Y is not.

    Raises   TypeError, ValueError
    """
    (check_float if dtype.kind == "c" else check_real)(b=b)
    if b.shape != (features,):
        raise ValueError(f"b must have shape ({features},), one bias per feature, got {b.shape}")


def _check_fit(X: Array, W: Array) -> None:
    if W.ndim != 2:
        raise ValueError(f"W must have shape (D, H), got {W.shape}")
    if X.shape[-1:] != W.shape[:1]:
        torchs = X.shape[-1:] == W.shape[1:]
        advice = ": pass W.T if W is (H, D), as torch has it" if torchs else ""
        raise ValueError(
            f"X must have {W.shape[0]} features, as W {W.shape} says, got {X.shape}{advice}"
        )


def as_rows(X: AnyArray) -> AnyArray:
    """Put all axes but the last into one: (..., D) → (N, D)."""
    if X.ndim == 2:
        return X
    return X.reshape(math.prod(X.shape[:-1]), X.shape[-1])  # -1 would not do for D = 0
