"""softmax, its logarithm, and the logarithm of what normalises it. None of them can overflow."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import DTypeLike

from scratchnn.ops.shared import (
    AnyArray,
    Array,
    IntArray,
    check_array,
    check_axis,
    check_dtype,
    check_flag,
    check_float,
    check_out,
    check_real,
    check_same_shape,
    upstream,
)

FLOAT16_MAX = 65_504  # a sum of more ones than that overflows
FEW_CLASSES = 32  # up to here, sums over the classes are faster column by column


def softmax(
    z: Array, axis: int = -1, *, dtype: DTypeLike | None = None, out: Array | None = None
) -> Array:
    """Turn logits, scores that may be any real numbers, into probabilities along `axis`.

        p_k = exp(z_k) / Σ_j exp(z_j)

    Adding a constant to all z leaves p unchanged, so the maximum is subtracted
    first: every exponent is then ≤ 0 and exp cannot overflow.

    Shapes   z (..., C, ...) → p, the same shape
    Options  axis    the axis of the classes
             dtype   z is converted to this precision first
             out     an array for the result; it may be z
    Torch    torch.softmax(z, dim, dtype)
    Source   Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038
    """
    z = _converted(z, dtype)
    _check(axis, z, out)
    p = np.empty_like(z) if out is None else out
    with np.errstate(invalid="ignore"):  # a row of -inf is nan, as in torch
        np.subtract(z, z.max(axis=axis, keepdims=True, initial=-np.inf), out=p)
    np.exp(p, out=p)
    p /= p.sum(axis=axis, keepdims=True)
    return p


def softmax_backward(
    dp: Array,
    z: Array | None,
    axis: int = -1,
    *,
    dtype: DTypeLike | None = None,
    p: Array | None = None,
    out: Array | None = None,
) -> Array:
    """Backward of `softmax`: dz from dp.

        ∂p_i/∂z_k = p_i ([i = k] - p_k)
        dz_k = Σ_i dp_i ∂p_i/∂z_k = p_k (dp_k - Σ_i dp_i p_i)

    The C × C matrix of derivatives is never formed. If one p_k is near 1, dp_k and
    the mean Σ_i dp_i p_i are nearly equal, and subtracting them loses digits. Adding
    a constant to all dp leaves dz unchanged, as Σ p = 1. So the code first subtracts
    the dp of the class with p > 1/2, if there is one, from all dp.

    Shapes   dp, z (..., C, ...) → dz, the same shape
    Options  axis, dtype   as given to `softmax`
             p     softmax(z), where it is known already; z may then be None
             out   an array for the result; it may be dp or p
    """
    if p is None:
        if z is None:
            raise TypeError("softmax_backward needs z, or p = softmax(z)")
        p = softmax(z, axis, dtype=dtype)
    check_float(dp=dp, p=p)
    check_same_shape(p=p, dp=dp)
    _check(axis, p, out)
    dp = upstream(p.dtype, dp=dp)
    with np.errstate(invalid="ignore"):  # an infinite dp at p = 0 is nan, as in torch
        dz = dp - _dot(p > 0.5, dp, axis)  # less the dp of a class with p > 1/2, if there is one
        dz -= _dot(p, dz, axis)  # Σ_i p_i dz_i
        dz = np.multiply(p, dz, out=out)
    return dz if z is None or dtype is None else dz.astype(z.dtype, copy=False)


def log_softmax(z: Array, axis: int = -1, *, dtype: DTypeLike | None = None) -> Array:
    """Return the logarithm of `softmax` without taking the logarithm of 0.

        log p_k = z_k - log Σ_j exp(z_j) = (z_k - m) - log(1 + q)

    m is the maximum and q the sum of the *other* exp(z_j - m). log1p keeps the
    digits that 1 + q would drop where one class dominates.

    Shapes   z (..., C, ...) → log p, the same shape
    Options  axis    the axis of the classes
             dtype   z is converted to this precision first
    Torch    torch.log_softmax(z, dim, dtype)
    Source   Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038
    """
    z = _converted(z, dtype)
    _check(axis, z)
    rows = to_rows(z, axis)
    m, _, _, q = exponentials(rows)
    log_p = rows - m[:, None]
    log_p -= np.log1p(q)[:, None]
    return from_rows(log_p, z.shape, axis)


def log_softmax_backward(
    dlog_p: Array, z: Array, axis: int = -1, *, dtype: DTypeLike | None = None
) -> Array:
    """Backward of `log_softmax`: dz from d(log p).

        ∂(log p_i)/∂z_k = [i = k] - p_k
        dz_k = dlog_p_k - p_k Σ_i dlog_p_i

    At the likeliest class m the two terms may cancel. There
    dz_m = dlog_p_m (1 - p_m) - p_m Σ_(i≠m) dlog_p_i, with 1 - p_m = q / (1 + q).

    Shapes   dlog_p, z (..., C, ...) → dz, the same shape
    Options  axis, dtype   as given to `log_softmax`
    """
    given, z = z, _converted(z, dtype)
    check_real(dlog_p=dlog_p, z=z)
    check_same_shape(z=z, dlog_p=dlog_p)
    _check(axis, z)
    dy = to_rows(dlog_p.astype(z.dtype, copy=False), axis)
    if not z.size:
        return np.zeros_like(given)
    _, top, e, q = exponentials(to_rows(z, axis))
    rows, total = np.arange(len(e)), 1 + q
    others = dy.copy()
    others[rows, top] = 0
    with np.errstate(invalid="ignore"):  # an infinite dlog_p may be nan, as in torch
        rest = others.sum(axis=1)  # Σ_(i≠m) dlog_p_i
        dz = dy - e * ((rest + dy[rows, top]) / total)[:, None]
        dz[rows, top] = (dy[rows, top] * q - rest) / total
    return from_rows(dz, z.shape, axis).astype(given.dtype, copy=False)


def logsumexp(z: Array, axis: int | tuple[int, ...] = -1, *, keepdims: bool = False) -> Array:
    """Return the logarithm of the sum of exponentials, which normalises softmax.

        log Σ_j exp(z_j) = m + log(1 + q)

    with m and q as in `log_softmax`. It is a smooth maximum, between m and m + log C.

    Shapes   z (..., C, ...) → the shape of z without the axis, or (..., 1, ...) with keepdims
    Options  axis       the axis that is summed over, or several: (0, 1)
             keepdims   whether those axes stay, with length 1
    Torch    torch.logsumexp(z, dim, keepdim)
    """
    check_float(z=z)
    _check_axes(axis, z)
    check_flag(keepdims=keepdims)
    rows = to_rows(z, axis)
    m, _, _, q = exponentials(rows)
    lse = m + np.log1p(q)
    infinite = np.isnan(m)
    if infinite.any():  # then the maximum is the result
        lse[infinite] = rows[infinite].max(axis=1, initial=-np.inf)
    return lse.reshape(_reduced_shape(z, axis, keepdims))[()]


def logsumexp_backward(
    dlse: Array | float, z: Array, axis: int | tuple[int, ...] = -1, *, keepdims: bool = False
) -> Array:
    """Backward of `logsumexp`: dz from d(lse).

        ∂(log Σ_j exp z_j)/∂z_k = exp(z_k) / Σ_j exp(z_j) = p_k

    Shapes   dlse as `logsumexp` returned it, z (..., C, ...) → dz, the shape of z
    Options  axis, keepdims   as given to `logsumexp`
    """
    check_real(z=z)
    _check_axes(axis, z)
    check_flag(keepdims=keepdims)
    rows = to_rows(z, axis)
    dlse = upstream(z.dtype, dlse=dlse)
    if dlse.shape != _reduced_shape(z, axis, keepdims):
        wanted = _reduced_shape(z, axis, keepdims)
        raise ValueError(f"dlse must have shape {wanted}, as logsumexp returned, got {dlse.shape}")
    dz = softmax(rows, 1)
    infinite = rows.max(axis=1, keepdims=True, initial=-np.inf) == np.inf
    dz[infinite & (rows < np.inf)] = 0  # the infinite z alone count
    with np.errstate(invalid="ignore"):  # 0 · inf is nan, as in torch
        dz *= dlse.reshape(-1, 1)
    return from_rows(dz, z.shape, axis)


def exponentials(z: Array) -> tuple[Array, IntArray, Array, Array]:
    """Return what softmax, its logarithm and cross-entropy are made of.

        m = max_j z_j        e_j = exp(z_j - m), but 0 at the maximum        q = Σ_j e_j

    At the maximum's own place, `top`, exp(z - m) is exactly 1. It is left out of
    e, so that log(1 + q) can be taken without losing q, and 1 - p without
    cancellation. Where the maximum is infinite, m, e and q are nan, as softmax is.

    With at most FEW_CLASSES classes, e is stored column by column.

    Shapes   z (N, C) → m (N,), top (N,), e (N, C), q (N,)
    Raises   ValueError for more classes than float16 can sum
    """
    if z.dtype == np.float16 and z.shape[1] > FLOAT16_MAX:
        raise _overflow(z.shape[1])
    rows = np.arange(len(z))
    top = z.argmax(axis=1) if z.shape[1] else rows[:0]
    m = z[rows, top] if z.shape[1] else np.full(len(z), -np.inf, z.dtype)
    with np.errstate(invalid="ignore"):
        zero = m - m  # nan where m is infinite
    m = m + zero
    e = np.subtract(z, m[:, None], order="F" if z.shape[1] <= FEW_CLASSES else "C")
    np.exp(e, out=e)
    if z.shape[1]:
        e[rows, top] = zero
    return m, top, e, e.sum(axis=1)


def to_rows(x: AnyArray, axis: int | tuple[int, ...]) -> AnyArray:
    """Reshape to a matrix: the given axes become its columns, all others its rows.

    Shapes   x (..., C, ...) → (N, C)
    """
    if x.ndim == 2 and axis in (1, -1):
        return x
    axes = normalize_axis_tuple(axis, x.ndim or 1)  # a number counts as an array of one axis
    C = math.prod(x.shape[k] for k in axes) if x.ndim else 1
    if x.ndim and axes != (x.ndim - 1,):
        x = np.moveaxis(x, axes, range(-len(axes), 0))
    return x.reshape(math.prod(x.shape[: x.ndim - len(axes)]), C)


def from_rows(rows: AnyArray, shape: tuple[int, ...], axis: int | tuple[int, ...]) -> AnyArray:
    """Undo `to_rows` for an array of this shape.

    Shapes   rows (N, C) → (..., C, ...)
    """
    if len(shape) == 2 and axis in (1, -1):
        return rows
    axes = normalize_axis_tuple(axis, len(shape) or 1)
    if not shape or axes == (len(shape) - 1,):
        return rows.reshape(shape)[()]
    rest = [length for k, length in enumerate(shape) if k not in axes]
    moved = rows.reshape(*rest, *(shape[k] for k in axes))
    return np.moveaxis(moved, range(-len(axes), 0), axes)


def _converted(z: Array, dtype: DTypeLike | None) -> Array:
    if dtype is not None:
        check_array(z=z)
        check_dtype(dtype)
        if z.dtype.kind not in "biuf":
            raise TypeError(f"z must hold real numbers, got {z.dtype}")
        z = z.astype(dtype, copy=False)
    check_float(z=z)
    return z


def _check(axis: int, x: AnyArray, out: Array | None = None) -> None:
    check_out(out, z=x)
    at = check_axis(axis, x.ndim or 1)
    if x.dtype == np.float16 and x.ndim and x.shape[at] > FLOAT16_MAX:
        raise _overflow(x.shape[at])


def _overflow(classes: int) -> ValueError:
    return ValueError(
        f"z must not be float16 where there are {classes:,} classes, as their sum overflows: "
        "pass z.astype(np.float32)"
    )


def _check_axes(axis: int | tuple[int, ...], x: AnyArray) -> None:
    several = axis if isinstance(axis, tuple) else (axis,)
    if len({check_axis(each, x.ndim or 1) for each in several}) < len(several):
        raise ValueError(f"axis must name each axis once, got {axis}")


def _reduced_shape(z: Array, axis: int | tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if not z.ndim:
        return ()
    axes = normalize_axis_tuple(axis, z.ndim)
    if keepdims:
        return tuple(1 if k in axes else length for k, length in enumerate(z.shape))
    return tuple(length for k, length in enumerate(z.shape) if k not in axes)


def _dot(a: AnyArray, b: Array, axis: int) -> Array:
    """Return Σ a b along `axis`, which is kept."""
    if not b.ndim:
        return a * b
    total = np.vecdot(a.swapaxes(axis, -1).conj(), b.swapaxes(axis, -1))  # vecdot conjugates a
    return total[..., None].swapaxes(axis, -1)
