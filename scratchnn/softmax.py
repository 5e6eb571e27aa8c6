"""softmax, its logarithm and its normaliser, none of which can overflow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import Array, check_axis, check_float, check_same_shape
from scratchnn.strictness import checked


@checked
def softmax(z: Array, axis: int = -1, *, out: Array | None = None) -> Array:
    """Turn logits into a probability distribution along `axis`.

        p_k = exp(z_k) / Σ_j exp(z_j)

    Adding a constant to all z leaves p unchanged, so the maximum is subtracted
    first: every exponent is then ≤ 0 and exp cannot overflow.

    Shapes   z (..., C, ...) → p, the same shape. `out` may be z.
    Torch    torch.softmax(z, dim)
    Source   Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038
    """
    check_float(z=z)
    check_axis(axis, z)
    p = np.empty_like(z) if out is None else out
    np.subtract(z, z.max(axis=axis, keepdims=True, initial=-np.inf), out=p)
    np.exp(p, out=p)
    p /= p.sum(axis=axis, keepdims=True)
    return p


@checked
def softmax_backward(dp: Array, p: Array, axis: int = -1, *, out: Array | None = None) -> Array:
    """Vector-Jacobian product of `softmax`: dz from dp.

        ∂p_i/∂z_k = p_i ([i = k] - p_k)
        dz_k = Σ_i dp_i ∂p_i/∂z_k = p_k (dp_k - Σ_i dp_i p_i)

    The C × C Jacobian is never formed. Adding a constant to all dp leaves dz
    unchanged, so the dp of a class with p > 1/2 is subtracted first: there, the
    difference of dp and its mean would otherwise cancel.

    Shapes   dp, p = softmax(z) (..., C, ...) → dz, the same shape. `out` may be dp.
    """
    check_float(dp=dp, p=p)
    check_same_shape(dp=dp, p=p)
    check_axis(axis, p)
    dp = dp.astype(p.dtype, copy=False)
    dominant = _dot(p > 0.5, dp, axis)  # its dp, or 0
    dz: Array = np.subtract(dp, dominant, out=out)
    dz -= _dot(p, dz, axis)  # E_p[dp - dominant]
    dz *= p
    return dz


@checked
def log_softmax(z: Array, axis: int = -1) -> Array:
    """Return the logarithm of `softmax` without taking the logarithm of 0.

        log p_k = z_k - log Σ_j exp(z_j) = (z_k - m) - log(1 + q)

    m is the maximum and q the sum of the *other* exp(z_j - m); log1p keeps the
    digits that 1 + q would drop where one class dominates.

    Shapes   z (..., C, ...) → log p, the same shape.
    Torch    torch.log_softmax(z, dim)
    Source   Blanchard, Higham & Higham 2021, doi:10.1093/imanum/draa038
    """
    _, shifted, q = _shift_by_max(z, axis)
    shifted -= np.log1p(q)
    return shifted


@checked
def log_softmax_backward(dlog_p: Array, log_p: Array, axis: int = -1) -> Array:
    """Vector-Jacobian product of `log_softmax`: dz from d(log p).

        ∂(log p_i)/∂z_k = [i = k] - p_k
        dz_k = dlog_p_k - p_k Σ_i dlog_p_i

    At the likeliest class m the two terms may cancel; there 1 - p_m is taken
    as -expm1(log p_m):  dz_m = dlog_p_m (1 - p_m) - p_m Σ_(i≠m) dlog_p_i.

    Shapes   dlog_p, log_p = log_softmax(z) (..., C, ...) → dz, the same shape.
    """
    check_float(dlog_p=dlog_p, log_p=log_p)
    check_same_shape(dlog_p=dlog_p, log_p=log_p)
    check_axis(axis, log_p)
    dlog_p = dlog_p.astype(log_p.dtype, copy=False)
    if not log_p.ndim or not log_p.shape[axis]:  # a number, or no classes
        return -dlog_p * np.expm1(log_p)
    top = log_p.argmax(axis=axis, keepdims=True)
    dlog_p_top = np.take_along_axis(dlog_p, top, axis)
    log_p_top = np.take_along_axis(log_p, top, axis)
    others = np.array(dlog_p)
    np.put_along_axis(others, top, 0, axis)
    rest = others.sum(axis=axis, keepdims=True)  # Σ_(i≠m) dlog_p_i
    dz: Array = dlog_p - np.exp(log_p) * (rest + dlog_p_top)
    dz_top = -dlog_p_top * np.expm1(log_p_top) - np.exp(log_p_top) * rest
    np.put_along_axis(dz, top, dz_top, axis)
    return dz


@checked
def logsumexp(z: Array, axis: int = -1, *, keepdims: bool = False) -> Array:
    """Return the logarithm of the sum of exponentials, softmax's normaliser.

        log Σ_j exp(z_j) = m + log(1 + q)

    with m and q as in `log_softmax`: a smooth maximum, between m and m + log C.

    Shapes   z (..., C, ...) → (..., ...), or (..., 1, ...) with keepdims.
    Torch    torch.logsumexp(z, dim, keepdim)
    """
    m, _, q = _shift_by_max(z, axis)
    lse: Array = m + np.log1p(np.where(np.isinf(m), 0, q))  # nothing counts beside an infinity
    return lse if keepdims or not z.ndim else lse.squeeze(axis)


@checked
def logsumexp_backward(dlse: Array, z: Array, axis: int = -1, *, keepdims: bool = False) -> Array:
    """Vector-Jacobian product of `logsumexp`: dz from d(lse).

        ∂(log Σ_j exp z_j)/∂z_k = exp(z_k) / Σ_j exp(z_j) = p_k

    Shapes   dlse as `logsumexp` returned it, z (..., C, ...) → dz, the shape of z.
    """
    dz = softmax(z, axis)
    m = z.max(axis=axis, keepdims=True, initial=-np.inf)
    if np.isposinf(m.real).any():
        dz[(m == np.inf) & (z < m)] = 0  # nothing counts beside +inf
    dlse = np.asarray(dlse, z.dtype)
    dz *= dlse if keepdims or not z.ndim else np.expand_dims(dlse, axis)
    return dz


def _dot(a: NDArray[Any], b: Array, axis: int) -> Array:
    """Return Σ a b along `axis`, which is kept."""
    if not b.ndim:
        return a * b
    total: Array = np.vecdot(a.swapaxes(axis, -1), b.swapaxes(axis, -1))
    return total[..., None].swapaxes(axis, -1)


def _shift_by_max(z: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return m = max z, z - m, and q = Σ exp(z_j - m) over all j but the maximum's own."""
    check_float(z=z)
    check_axis(axis, z)
    if not z.ndim or not z.shape[axis]:  # a number, or no classes
        m = z.max(axis=axis, keepdims=True, initial=-np.inf)
        return m, z - m, np.zeros_like(m)
    top = z.argmax(axis=axis, keepdims=True)
    m = np.take_along_axis(z, top, axis)
    shifted: Array = z - m
    e = np.exp(shifted)
    np.put_along_axis(e, top, m - m, axis)  # 0 for a term of exactly 1; nan if m is infinite
    return m, shifted, e.sum(axis=axis, keepdims=True)
