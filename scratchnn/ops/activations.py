"""The nonlinear functions between layers, and the one that turns a logit into a probability."""

from __future__ import annotations

import numpy as np

from scratchnn.ops.shared import (
    Array,
    check_float,
    check_number,
    check_out,
    check_real,
    check_same_shape,
)


def relu(z: Array, *, out: Array | None = None) -> Array:
    """Set negative entries to zero.

        y = max(z, 0)

    Shapes   z (...) → y, the same shape
    Options  out   an array for the result; it may be z
    Torch    torch.relu(z)
    """
    check_float(z=z)
    check_out(out, z=z)
    return np.maximum(z, 0, out=out)


def relu_backward(
    dy: Array, z: Array | None, *, y: Array | None = None, out: Array | None = None
) -> Array:
    """Backward of `relu`: dz from dy.

        dz = dy where z > 0, else 0        ∂y/∂z = [z > 0] = [y > 0]

    The kink at z = 0 has no derivative; 0 is the usual choice, and torch's. Where
    z is NaN, dy passes, as in torch.

    Shapes   dy, z (...) → dz, the same shape
    Options  y     relu(z), where it is known already; z may then be None
             out   an array for the result; it may be dy
    """
    if y is None:
        if z is None:
            raise TypeError("relu_backward needs z, or y = relu(z)")
        check_real(dy=dy, z=z)
        check_same_shape(z=z, dy=dy)
        y = z  # as good as y: it is positive in the same places
    else:
        check_real(dy=dy, y=y)
        check_same_shape(y=y, dy=dy)
    check_out(out, y=y)
    with np.errstate(invalid="ignore"):  # 0 · inf is nan; torch has 0
        return relu_gradient(dy.astype(y.dtype, copy=False), y, out)


def relu_gradient(dy: Array, y: Array, out: Array | None = None) -> Array:
    """Return dz = dy where y > 0, else 0.

    Shapes   dy, y (...) → the same shape
    """
    return np.multiply(dy, ~(y <= 0), out=out)  # nan is not ≤ 0


def sigmoid(z: Array) -> Array:
    """Turn a logit, any real number, into a probability.

        p = σ(z) = 1 / (1 + exp(-z)) = exp(z) / (1 + exp(z))

    The first form serves z ≥ 0 and the second z < 0, so that exp never
    overflows; both have the same e = exp(-|z|).

    Shapes   z (...) → p, the same shape
    Torch    torch.sigmoid(z)
    """
    check_real(z=z)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_backward(dp: Array, z: Array) -> Array:
    """Backward of `sigmoid`: dz from dp.

        dz = dp σ'(z)        σ'(z) = σ(z) (1 - σ(z)) = e / (1 + e)²,   e = exp(-|z|)

    The last form has no 1 - σ, which cancels where σ is close to 1.

    Shapes   dp, z (...) → dz, the same shape
    """
    check_real(dp=dp, z=z)
    check_same_shape(z=z, dp=dp)
    e = np.exp(-np.abs(z))
    with np.errstate(invalid="ignore"):  # an infinite dp at σ' = 0 is nan, as in torch
        return dp.astype(z.dtype, copy=False) * (e / (1 + e) ** 2)


def tanh(z: Array, *, out: Array | None = None) -> Array:
    """Squash a number into (-1, 1).

        y = tanh(z) = (exp(z) - exp(-z)) / (exp(z) + exp(-z)) = 2 σ(2 z) - 1

    NumPy's own, as both forms subtract: where z is close to 0, they lose its digits.

    Shapes   z (...) → y, the same shape
    Options  out   an array for the result; it may be z
    Torch    torch.tanh(z)
    """
    check_float(z=z)
    check_out(out, z=z)
    return np.tanh(z, out=out)


def tanh_backward(
    dy: Array, z: Array | None, *, y: Array | None = None, out: Array | None = None
) -> Array:
    """Backward of `tanh`: dz from dy.

        dz = dy (1 - y²)        1 - y² = 4 e / (1 + e)²,   e = exp(-2 |z|)

    The last form has no 1 - y², which cancels where |y| is close to 1. From y
    alone it is (1 - y) (1 + y), as good as a rounded y allows.

    Shapes   dy, z (...) → dz, the same shape
    Options  y     tanh(z), where it is known already; z may then be None
             out   an array for the result; it may be dy
    """
    if y is not None:
        check_real(dy=dy, y=y)
        check_same_shape(y=y, dy=dy)
        slope = (1 - y) * (1 + y)
    elif z is not None:
        check_real(dy=dy, z=z)
        check_same_shape(z=z, dy=dy)
        with np.errstate(over="ignore"):  # 2 |z| may be infinite; e is 0 then
            e = np.exp(-2 * np.abs(z))
        slope = 4 * e / (1 + e) ** 2
    else:
        raise TypeError("tanh_backward needs z, or y = tanh(z)")
    check_out(out, **{"z" if y is None else "y": slope})
    with np.errstate(invalid="ignore"):  # an infinite dy at slope 0 is nan, as in torch
        return np.multiply(dy.astype(slope.dtype, copy=False), slope, out=out)


def softplus(z: Array, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """A relu without the kink: above it everywhere, by at most log(2) / β, at z = 0.

        y = log(1 + exp(β z)) / β,   z itself where β z > threshold

    It is computed as (max(β z, 0) + log(1 + exp(-|β z|))) / β, so that exp never
    overflows. Beyond a threshold of 20, float32 cannot tell y from z.

    Shapes   z (...) → y, the same shape
    Options  beta        β > 0: the larger it is, the closer y is to relu(z)
             threshold   where y is z itself
    Raises   TypeError, ValueError for β ≤ 0
    Torch    torch.nn.functional.softplus(z, beta, threshold)
    """
    check_real(z=z)
    _check_threshold(threshold)
    x = _times(beta, z)
    y = (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))) / float(beta)
    return np.where(x > threshold, z, y)


def softplus_backward(dy: Array, z: Array, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Backward of `softplus`: dz from dy.

        dz = dy σ(β z),   dy itself where β z > threshold

    Shapes   dy, z (...) → dz, the same shape
    Options  as given to `softplus`
    Raises   as `softplus`
    """
    check_real(dy=dy, z=z)
    check_same_shape(z=z, dy=dy)
    _check_threshold(threshold)
    x = _times(beta, z)
    slope = np.where(x > threshold, 1, sigmoid(x))
    with np.errstate(invalid="ignore"):  # an infinite dy at slope 0 is nan, as in torch
        return dy.astype(slope.dtype, copy=False) * slope


def _check_threshold(threshold: float) -> None:
    check_number(threshold=threshold)
    if np.isnan(threshold):
        raise ValueError("threshold must not be NaN: no number is above it")


def _times(beta: float, z: Array) -> Array:
    check_number(beta=beta)
    if not beta > 0:
        raise ValueError(f"beta must be positive, got {beta}")
    with np.errstate(over="ignore"):  # where β z is infinite, y is z or 0
        return np.asarray(float(beta) * z)  # a NumPy float64 would widen float32
