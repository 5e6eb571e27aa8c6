"""A structured linear map: n Kronecker products for a weight, with 1/n of its numbers."""

import numpy as np

from scratchnn.arrays import Array, check_float


def kronecker_weight(A: Array, S: Array) -> Array:
    """Form the weight that `kronecker_linear` multiplies by without forming it.

        W = Σ_i A_i ⊗ S_i        W[a D/n + p, b H/n + q] = Σ_i A_iab S_ipq

    Shapes   A (n, n, n), S (n, D/n, H/n) → W (D, H)
    """
    n, p, q = S.shape
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


def kronecker_linear(X: Array, A: Array, S: Array, b: Array) -> Array:
    """Map each row of X to H features by a sum of n Kronecker products.

        Y = X (Σ_i A_i ⊗ S_i) + b        Y_n = Σ_i A_iᵀ X_n S_i + b

    with each row X_n read as a matrix (n, D/n), Y_n and b as (n, H/n).

    Shapes   X (N, D), A (n, n, n), S (n, D/n, H/n), b (H,) → Y (N, H)
    Source   Zhang et al. 2021, arXiv:2102.08597
    """
    _check(X, A, S, b)
    Y = np.tensordot(_XS(X, S), A, ((1, 2), (1, 0)))  # (N, H/n, n)
    Y = Y.swapaxes(1, 2).reshape(len(X), -1)
    Y += b
    return Y


def kronecker_linear_backward(
    dY: Array, X: Array, A: Array, S: Array
) -> tuple[Array, Array, Array, Array]:
    """Vector-Jacobian product of `kronecker_linear`: (dX, dA, dS, db) from dY.

        dX_n = Σ_i A_i dY_n S_iᵀ        dA_i = Σ_n X_n S_i dY_nᵀ
        dS_i = Σ_n X_nᵀ A_i dY_n        db = Σ_n dY_n

    Shapes   dY (N, H), X (N, D), A (n, n, n), S (n, D/n, H/n) → the shapes of X, A, S and b
    """
    return kronecker_backward_input(dY, A, S), *kronecker_backward_parameters(dY, X, A, S)


def kronecker_backward_input(dY: Array, A: Array, S: Array) -> Array:
    """Return dX alone: the rows Σ_i A_i dY_n S_iᵀ.

    Shapes   dY (N, H), A (n, n, n), S (n, D/n, H/n) → dX (N, D)
    """
    dX: Array = np.tensordot(_AdY(dY, A), S, ((3, 1), (0, 2)))  # (N, n, D/n)
    return dX.reshape(len(dY), -1)


def kronecker_backward_parameters(
    dY: Array, X: Array, A: Array, S: Array
) -> tuple[Array, Array, Array]:
    """Return (dA, dS, db).

    Shapes   dY (N, H), X (N, D), A (n, n, n), S (n, D/n, H/n) → the shapes of A, S and b
    """
    n = len(A)
    dA = np.tensordot(_XS(X, S), _blocks(dY, n), ((0, 3), (0, 2)))  # (n, n of A_i, n)
    dS = np.tensordot(_blocks(X, n), _AdY(dY, A), ((0, 1), (0, 2)))  # (D/n, H/n, n)
    return dA.swapaxes(0, 1), np.moveaxis(dS, 2, 0), dY.sum(axis=0)


def _blocks(X: Array, n: int) -> Array:
    return X.reshape(len(X), n, -1)


def _XS(X: Array, S: Array) -> Array:  # noqa: N802
    """Return X_n S_i (N, n, i, H/n), one matrix product."""
    return np.tensordot(_blocks(X, len(S)), S, (2, 1))


def _AdY(dY: Array, A: Array) -> Array:  # noqa: N802
    """Return A_i dY_n (N, H/n, n, i), one matrix product."""
    return np.tensordot(_blocks(dY, len(A)), A, (1, 2)).swapaxes(2, 3)


def _check(X: Array, A: Array, S: Array, b: Array) -> None:
    check_float(X=X, A=A, S=S, b=b)
    D, H, n = X.shape[-1], b.shape[0], len(S)
    check_divides(D, H, n)
    for name, array, shape in (("A", A, (n, n, n)), ("S", S, (n, D // n, H // n))):
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
