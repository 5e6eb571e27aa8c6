"""Losses that ask how much: squared, absolute and Huber.

All are functions of the difference r = prediction - target. So the gradient of the target is
minus that of the prediction.
"""

from __future__ import annotations

import numpy as np

from scratchnn.ops.shared import (
    Array,
    Reduction,
    check_float,
    check_number,
    check_real,
    check_same_shape,
    reduce,
    reduce_backward,
    upstream,
)


def squared_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Return half the squared error.

        loss = r² / 2,   r = prediction - target

    Up to a constant, that is -log of the probability of r under normal noise of variance 1.

    Shapes   prediction, target (...) → () or, for "none", (...)
    Options  reduction   "mean" over all entries, "sum", or "none"
    Torch    0.5 * torch.nn.functional.mse_loss(prediction, target)
    """
    return reduce(np.square(_difference(prediction, target)) / 2, reduction)


def squared_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    """Backward of `squared_loss`.

        ∂loss/∂prediction = r        ∂loss/∂target = -r

    Shapes   dloss () or, for "none", (...); prediction, target (...)
             → dprediction, dtarget (...)
    Options  as given to `squared_loss`
    """
    r = _real_difference(prediction, target)
    return _gradients(r, dloss, prediction, target, reduction)


def mse_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Return the squared error, without the 1/2 of `squared_loss`.

        loss = r²,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Options  reduction   "mean" over all entries, "sum", or "none"
    Torch    torch.nn.functional.mse_loss(prediction, target)
    """
    return reduce(np.square(_difference(prediction, target)), reduction)


def mse_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    """Backward of `mse_loss`.

        ∂loss/∂prediction = 2 r        ∂loss/∂target = -2 r

    Shapes   dloss () or, for "none", (...); prediction, target (...)
             → dprediction, dtarget (...)
    Options  as given to `mse_loss`
    """
    r = _real_difference(prediction, target)
    dloss = upstream(r.dtype, dloss=dloss)
    return _gradients(r, 2 * dloss, prediction, target, reduction)  # 2 r might overflow


def l1_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Return the absolute error.

        loss = |r|,   r = prediction - target

    An outlier counts in proportion to its distance, and not to its square. The
    constant prediction with the least loss is the median.

    Shapes   prediction, target (...) → () or, for "none", (...)
    Options  reduction   "mean" over all entries, "sum", or "none"
    Torch    torch.nn.functional.l1_loss(prediction, target)
    """
    return reduce(np.abs(_real_difference(prediction, target)), reduction)


def l1_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    """Backward of `l1_loss`.

        ∂loss/∂prediction = sign r        ∂loss/∂target = -sign r

    The slope has the same size everywhere. It jumps at r = 0, where 0 is torch's choice, too.

    Shapes   dloss () or, for "none", (...); prediction, target (...)
             → dprediction, dtarget (...)
    Options  as given to `l1_loss`
    """
    r = _real_difference(prediction, target)
    return _gradients(np.sign(r), dloss, prediction, target, reduction)


def huber_loss(
    prediction: Array, target: Array, *, reduction: Reduction = "mean", delta: float = 1.0
) -> Array:
    """Return Huber's loss: the squared error near zero, and a line far away.

        loss = r² / 2  where |r| ≤ δ,  else  δ (|r| - δ / 2);   r = prediction - target

    The two join smoothly at |r| = δ.

    Shapes   prediction, target (...) → () or, for "none", (...)
    Options  reduction   "mean" over all entries, "sum", or "none"
             delta       δ > 0, where the parabola becomes a line
    Raises   ValueError for δ ≤ 0
    Torch    torch.nn.functional.huber_loss(prediction, target)
    Source   Huber 1964, doi:10.1214/aoms/1177703732
    """
    _check_delta(delta)
    size = np.abs(_real_difference(prediction, target))
    near = np.minimum(size, float(delta))  # a NumPy float64 would widen float32
    return reduce(near * (size - near / 2), reduction)  # near is |r| or δ: both forms at once


def huber_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    delta: float = 1.0,
) -> tuple[Array, Array]:
    """Backward of `huber_loss`.

        ∂loss/∂prediction = r clipped to [-δ, δ]        ∂loss/∂target = minus that

    Shapes   dloss () or, for "none", (...); prediction, target (...)
             → dprediction, dtarget (...)
    Options  as given to `huber_loss`
    """
    _check_delta(delta)
    r = _real_difference(prediction, target)
    return _gradients(np.clip(r, -float(delta), float(delta)), dloss, prediction, target, reduction)


def smooth_l1_loss(
    prediction: Array, target: Array, *, reduction: Reduction = "mean", beta: float = 1.0
) -> Array:
    """Return the absolute error with its kink rounded off: `huber_loss` with δ = β, divided by β.

        loss = r² / (2 β)  where |r| < β,  else  |r| - β / 2;   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Options  reduction   "mean" over all entries, "sum", or "none"
             beta        β ≥ 0, where the parabola becomes a line; 0 makes it `l1_loss`
    Raises   ValueError for β < 0
    Torch    torch.nn.functional.smooth_l1_loss(prediction, target)
    Source   Girshick 2015, arXiv:1504.08083
    """
    _check_beta(beta)
    if beta == 0:
        return l1_loss(prediction, target, reduction=reduction)
    size = np.abs(_real_difference(prediction, target))
    near = np.minimum(size, float(beta))
    return reduce(near / float(beta) * (size - near / 2), reduction)


def smooth_l1_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    beta: float = 1.0,
) -> tuple[Array, Array]:
    """Backward of `smooth_l1_loss`.

        ∂loss/∂prediction = r / β clipped to [-1, 1]        ∂loss/∂target = minus that

    Shapes   dloss () or, for "none", (...); prediction, target (...)
             → dprediction, dtarget (...)
    Options  as given to `smooth_l1_loss`
    """
    _check_beta(beta)
    if beta == 0:
        return l1_loss_backward(dloss, prediction, target, reduction=reduction)
    r = _real_difference(prediction, target)
    return _gradients(
        np.clip(r, -float(beta), float(beta)) / float(beta), dloss, prediction, target, reduction
    )


def _difference(prediction: Array, target: Array) -> Array:
    """Return r; raise where the two would broadcast, or are not floating point."""
    check_float(prediction=prediction, target=target)
    check_same_shape(prediction=prediction, target=target)
    with np.errstate(invalid="ignore"):  # inf - inf is nan, as in torch
        return prediction - target


def _real_difference(prediction: Array, target: Array) -> Array:
    """Return r of real numbers: |r| drops an imaginary part, and so does a gradient."""
    check_real(prediction=prediction, target=target)
    return _difference(prediction, target)


def _gradients(
    slope: Array, dloss: Array | float, prediction: Array, target: Array, reduction: Reduction
) -> tuple[Array, Array]:
    """Return dprediction = ∂loss/∂r dloss and dtarget = -dprediction, each in its own dtype."""
    dlosses = reduce_backward(dloss, slope.shape, reduction, dtype=slope.dtype)
    with np.errstate(invalid="ignore"):  # 0 · inf is nan, as in torch
        dr = slope * dlosses
    return dr.astype(prediction.dtype, copy=False), (-dr).astype(target.dtype, copy=False)


def _check_delta(delta: float) -> None:
    check_number(delta=delta)
    if not delta > 0:
        raise ValueError(f"delta must be positive, got {delta}")


def _check_beta(beta: float) -> None:
    check_number(beta=beta)
    if not beta >= 0:
        raise ValueError(f"beta must not be negative, got {beta}")
