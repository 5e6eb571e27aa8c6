"""A structured linear map: its weight is a sum of n Kronecker products, with 1/n of the numbers."""

from __future__ import annotations

import numpy as np

from scratchnn.ops.linear import as_rows, bias_gradient, check_bias
from scratchnn.ops.shared import Array, check_float, check_real


def kronecker_linear(X: Array, A: Array, S: Array, b: Array | None = None) -> Array:
    """Map the last axis of X from D to H features by a sum of n Kronecker products.

        Y = X (Σ_i A_i ⊗ S_i) + b        Y_n = Σ_i A_iᵀ X_n S_i + b

    In the second form each row X_n is read as a matrix (n, D/n), and Y_n and b
    as (n, H/n). The weight (D, H) is never formed.

    Shapes   X (..., D), A (n, n, n), S (n, D/n, H/n), b (H,) → Y (..., H)
    Options  b   the bias; default: none
    Raises   TypeError, ValueError
    Source   Zhang et al. 2021, arXiv:2102.08597
    """
    n, p, q = _check_factors(A, S)
    check_float(X=X)
    if X.shape[-1:] != (n * p,):
        raise ValueError(f"X must have {n} × {p} features, as S {S.shape} says, got {X.shape}")
    Y = np.tensordot(_XS(X, S), A, ((-3, -2), (1, 0)))  # (..., H/n, n)
    Y = Y.swapaxes(-1, -2).reshape(*X.shape[:-1], n * q)
    if b is not None:
        check_bias(b, n * q, Y.dtype)
        Y += b
    return Y


def kronecker_linear_backward(
    dY: Array, X: Array, A: Array, S: Array, b: Array | None = None
) -> tuple[Array, Array, Array] | tuple[Array, Array, Array, Array]:
    """Backward of `kronecker_linear`: dX, dA, dS and db from dY.

        dX_n = Σ_i A_i dY_n S_iᵀ        dA_i = Σ_n X_n S_i dY_nᵀ
        dS_i = Σ_n X_nᵀ A_i dY_n        db = Σ_n dY_n

    n runs over all axes of X but the last.

    Shapes   dY (..., H), X (..., D), A (n, n, n), S (n, D/n, H/n), b (H,)
             → the shapes of X, A, S and, where there is a bias, b
    Raises   TypeError, ValueError
    """
    n, p, q = _check_factors(A, S)
    check_real(dY=dY, X=X, A=A, S=S)
    expected = (*X.shape[:-1], n * q)
    if X.shape[-1:] != (n * p,) or dY.shape != expected:
        raise ValueError(
            f"dY must have shape {expected} and X {n} × {p} features, got {dY.shape} and {X.shape}"
        )
    dY = dY.astype(np.result_type(X, A, S), copy=False)
    dX = input_gradient(dY, A, S).astype(X.dtype, copy=False)
    dA, dS = factor_gradients(dY, X, A, S)
    dA, dS = dA.astype(A.dtype, copy=False), dS.astype(S.dtype, copy=False)
    if b is None:
        return dX, dA, dS
    check_bias(b, n * q, dY.dtype)
    return dX, dA, dS, bias_gradient(dY).astype(b.dtype, copy=False)


def input_gradient(dY: Array, A: Array, S: Array) -> Array:
    """Return dX, whose rows are Σ_i A_i dY_n S_iᵀ.

    Shapes   dY (..., H), A (n, n, n), S (n, D/n, H/n) → dX (..., D)
    """
    dX = np.tensordot(_AdY(dY, A), S, ((-1, -3), (0, 2)))  # (..., n, D/n)
    return dX.reshape(*dY.shape[:-1], len(S) * S.shape[1])


def factor_gradients(dY: Array, X: Array, A: Array, S: Array) -> tuple[Array, Array]:
    """Return dA_i = Σ_n X_n S_i dY_nᵀ and dS_i = Σ_n X_nᵀ A_i dY_n.

    Shapes   dY (..., H), X (..., D), A (n, n, n), S (n, D/n, H/n) → the shapes of A and S
    """
    n, X, dY = len(A), as_rows(X), as_rows(dY)
    dA = np.tensordot(_XS(X, S), _blocks(dY, n), ((0, 3), (0, 2)))  # (n, n of A_i, n)
    dS = np.tensordot(_blocks(X, n), _AdY(dY, A), ((0, 1), (0, 2)))  # (D/n, H/n, n)
    return dA.swapaxes(0, 1), np.moveaxis(dS, 2, 0)


def kronecker_weight(A: Array, S: Array) -> Array:
    """Form the weight that `kronecker_linear` multiplies by without forming it.

        W = Σ_i A_i ⊗ S_i        W[a D/n + p, b H/n + q] = Σ_i A_iab S_ipq

    Shapes   A (n, n, n), S (n, D/n, H/n) → W (D, H)
    Raises   TypeError, ValueError
    """
    n, p, q = _check_factors(A, S)
    return np.einsum("iab,ipq->apbq", A, S).reshape(n * p, n * q)


def _blocks(X: Array, n: int) -> Array:
    return X.reshape(*X.shape[:-1], n, X.shape[-1] // n)


def _XS(X: Array, S: Array) -> Array:  # noqa: N802
    """Return X_n S_i (..., n, i, H/n), one matrix product."""
    return np.tensordot(_blocks(X, len(S)), S, (-1, 1))


def _AdY(dY: Array, A: Array) -> Array:  # noqa: N802
    """Return A_i dY_n (..., H/n, n, i), one matrix product."""
    return np.tensordot(_blocks(dY, len(A)), A, (-2, 2)).swapaxes(-1, -2)


def _check_factors(A: Array, S: Array) -> tuple[int, int, int]:
    """Return n, D/n and H/n; raise where A and S do not fit."""
    check_float(A=A, S=S)
    if S.ndim != 3:
        raise ValueError(f"S must have shape (n, D/n, H/n), got {S.shape}")
    n, p, q = S.shape
    if A.shape != (n, n, n):
        raise ValueError(f"A must have shape {(n, n, n)}, as S has n = {n}, got {A.shape}")
    return n, p, q
