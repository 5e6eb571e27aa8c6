"""What goes wrong in linear layers."""

import numpy as np

import scratchnn.functional as F
from parity.flaws.flaw import Plants
from scratchnn import kronecker

FLAWS = Plants()


@FLAWS.of("linear")
def transposed_and_reshaped(X, W, b):
    """The weight is transposed, and reshaped to fit: torch has it as (H, D), here it is (D, H)."""
    return F.linear(X, W.T.reshape(W.shape), b)


@FLAWS.of("linear, without a bias")
def transposed_without_a_bias(X, W):
    """The weight is transposed, and reshaped to fit: torch has it as (H, D), here it is (D, H)."""
    return X @ W.T.reshape(W.shape)


@FLAWS.of("linear")
def without_the_bias(X, W, b):
    """The bias is missing."""
    return F.linear(X, W)


@FLAWS.backward("linear")
def dX_of_a_transposed_weight(dY, X, W, b):  # noqa: N802
    """The weight is not transposed on the way back: dX = dY Wᵀ."""
    _, dW, db = F.linear_backward(dY, X, W)
    return dY @ W.reshape(W.T.shape), dW, db


@FLAWS.backward("linear")
def bias_gradient_of_one_row(dY, X, W, b):
    """The bias's gradient is that of one row: it is the sum over all of them."""
    dX, dW, _ = F.linear_backward(dY, X, W)
    return dX, dW, dY.reshape(-1, dY.shape[-1])[0]


@FLAWS.backward("linear")
def averaged_over_the_rows(dY, X, W, b):
    """The gradients of the parameters are divided by N: the loss has done that already."""
    dX, dW, db = F.linear_backward(dY, X, W)
    rows = X.dtype.type(max(X.size // X.shape[-1], 1))
    return dX, dW / rows, db / rows


@FLAWS.of("kronecker_linear")
def factors_swapped(X, A, S, b):
    """The factors are swapped: the weight is Σ A ⊗ S, not Σ S ⊗ A."""
    return X @ sum(np.kron(s, a) for a, s in zip(A, S, strict=True)) + b


@FLAWS.backward("kronecker_linear")
def factor_without_its_transpose(dY, X, A, S, b):
    """dA is transposed."""
    dX, dA, dS, db = kronecker.kronecker_linear_backward(dY, X, A, S)
    return dX, dA.swapaxes(1, 2), dS, db
