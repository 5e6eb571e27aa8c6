"""A structured linear map: n Kronecker products for a weight, with 1/n of its numbers."""

import numpy as np

from scratchnn.arrays import Array, check_float
from scratchnn.linear import add_bias, as_rows
from scratchnn.strictness import watched


@watched
def kronecker_weight(A: Array, S: Array) -> Array:
    """Form the weight that `kronecker_linear` multiplies by without forming it.

        W = Σ_i A_i ⊗ S_i        W[a D/n + p, b H/n + q] = Σ_i A_iab S_ipq

    Shapes   A (n, n, n), S (n, D/n, H/n) → W (D, H)
    Raises   TypeError, ValueError
    """
    n, p, q = _check_factors(A, S)
    W: Array = np.einsum("iab,ipq->apbq", A, S).reshape(n * p, n * q)
    return W


def kronecker_count(D: int, H: int, n: int) -> int:
    """Return the number of parameters, n³ + D H / n + H for A, S and b; a full weight has D H + H.

    Raises   ValueError unless n divides D and H
    """
    check_divides(D, H, n)
    return n**3 + D * H // n + H


def check_divides(D: int, H: int, n: int) -> None:
    """Refuse sizes that n blocks do not tile.

    Raises   ValueError
    """
    if n < 1 or D % n or H % n:
        raise ValueError(f"n must divide D = {D} and H = {H}, the sizes of the layer, got n = {n}")


@watched
def kronecker_linear(X: Array, A: Array, S: Array, b: Array | None = None) -> Array:
    """Map the last axis of X from D to H features by a sum of n Kronecker products.

        Y = X (Σ_i A_i ⊗ S_i) + b        Y_n = Σ_i A_iᵀ X_n S_i + b

    with each row X_n read as a matrix (n, D/n), Y_n and b as (n, H/n).

    Shapes   X (..., D), A (n, n, n), S (n, D/n, H/n), b (H,) or none → Y (..., H)
    Source   Zhang et al. 2021, arXiv:2102.08597
    """
    n, p, q = _check_factors(A, S)
    check_float(X=X)
    if X.shape[-1:] != (n * p,):
        raise ValueError(f"X must have {n} × {p} features, as S {S.shape} says, got {X.shape}")
    Y = np.tensordot(_XS(X, S), A, ((-3, -2), (1, 0)))  # (..., H/n, n)
    return add_bias(Y.swapaxes(-1, -2).reshape(*X.shape[:-1], n * q), b)


@watched
def kronecker_linear_backward(
    dY: Array, X: Array, A: Array, S: Array
) -> tuple[Array, Array, Array, Array]:
    """Vector-Jacobian product of `kronecker_linear`: (dX, dA, dS, db) from dY.

        dX_n = Σ_i A_i dY_n S_iᵀ        dA_i = Σ_n X_n S_i dY_nᵀ
        dS_i = Σ_n X_nᵀ A_i dY_n        db = Σ_n dY_n

    n runs over all axes of X but the last.

    Shapes   dY (..., H), X (..., D), A (n, n, n), S (n, D/n, H/n) → the shapes of X, A, S and b
    Raises   TypeError, ValueError
    """
    n, p, q = _check_factors(A, S)
    check_float(dY=dY, X=X)
    expected = (*X.shape[:-1], n * q)
    if X.shape[-1:] != (n * p,) or dY.shape != expected:
        raise ValueError(
            f"dY must have shape {expected} and X {n} × {p} features, got {dY.shape} and {X.shape}"
        )
    dY = dY.astype(np.result_type(X, A, S), copy=False)
    return kronecker_backward_input(dY, A, S), *kronecker_backward_parameters(dY, X, A, S)


@watched
def kronecker_backward_input(dY: Array, A: Array, S: Array) -> Array:
    """Return dX alone: the rows Σ_i A_i dY_n S_iᵀ.

    Shapes   dY (..., H), A (n, n, n), S (n, D/n, H/n) → dX (..., D)
    """
    dX: Array = np.tensordot(_AdY(dY, A), S, ((-1, -3), (0, 2)))  # (..., n, D/n)
    return dX.reshape(*dY.shape[:-1], len(S) * S.shape[1])


@watched
def kronecker_backward_parameters(
    dY: Array, X: Array, A: Array, S: Array
) -> tuple[Array, Array, Array]:
    """Return (dA, dS, db).

    Shapes   dY (..., H), X (..., D), A (n, n, n), S (n, D/n, H/n) → the shapes of A, S and b
    """
    n, X, dY = len(A), as_rows(X), as_rows(dY)
    dA = np.tensordot(_XS(X, S), _blocks(dY, n), ((0, 3), (0, 2)))  # (n, n of A_i, n)
    dS = np.tensordot(_blocks(X, n), _AdY(dY, A), ((0, 1), (0, 2)))  # (D/n, H/n, n)
    return dA.swapaxes(0, 1), np.moveaxis(dS, 2, 0), dY.sum(axis=0)


def _blocks(X: Array, n: int) -> Array:
    return X.reshape(*X.shape[:-1], n, X.shape[-1] // n)


def _XS(X: Array, S: Array) -> Array:  # noqa: N802
    """Return X_n S_i (..., n, i, H/n), one matrix product."""
    return np.tensordot(_blocks(X, len(S)), S, (-1, 1))


def _AdY(dY: Array, A: Array) -> Array:  # noqa: N802
    """Return A_i dY_n (..., H/n, n, i), one matrix product."""
    return np.tensordot(_blocks(dY, len(A)), A, (-2, 2)).swapaxes(-1, -2)


def _check_factors(A: Array, S: Array) -> tuple[int, int, int]:
    """Refuse factors that do not fit; return n, D/n and H/n."""
    check_float(A=A, S=S)
    if S.ndim != 3:
        raise ValueError(f"S must have shape (n, D/n, H/n), got {S.shape}")
    n, p, q = S.shape
    if A.shape != (n, n, n):
        raise ValueError(f"A must have shape {(n, n, n)}, as S has n = {n}, got {A.shape}")
    return n, p, q
