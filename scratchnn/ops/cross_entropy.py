"""Losses that ask which class: cross-entropy from logits, and the negative log-likelihood.

First comes what training does: the loss for class indices and its gradient dz, with exp computed
once for both.

Then come all options. They are one formula. A target puts a mass v_c on each class c:

    class index t:      v_c = w_t (1 - ε) [c = t] + w_c ε / C
    probabilities t_c:  v_c = w_c ((1 - ε) t_c + ε / C)

with the class weights w and the label smoothing ε; in a row that is ignored, v = 0. Then

    loss = -Σ_c v_c log p_c        ∂loss/∂z_c = p_c Σ_k v_k - v_c
"""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple, TypeAlias

import numpy as np

from scratchnn.ops.shared import (
    AnyArray,
    Array,
    BoolArray,
    IntArray,
    Reduction,
    check_array,
    check_float,
    check_labels,
    check_matrix,
    check_number,
    check_real,
    check_same_shape,
    check_whole,
    reduce,
    reduce_backward,
)
from scratchnn.ops.softmax import exponentials, from_rows, to_rows


def cross_entropy_with_gradient(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return the mean `cross_entropy` for class indices and its gradient, with one exp for both.

        loss = -mean log p_t        dz = (p - onehot(t)) / N

    Without regard to rounding that is

        p = softmax(z); loss = -mean(log(p[rows, target])); p[rows, target] -= 1; dz = p / N

    With m, e and q of `exponentials`, p = e / (1 + q). There e is 0 at the maximum,
    so it is set to 1 first. At the target, p - 1 is expm1(log p), which does not cancel where p
    is close to 1.

    Shapes   z (N, C), target (N,) → (), (N, C); N and C at least 1
    Units    nats
    Raises   TypeError, ValueError for a target that does not hold class indices
    """
    check_real(z=z)
    check_matrix(z=z)
    check_labels(target, z.shape[:1], z.shape[1])
    rows = np.arange(len(z))
    m, top, e, q = exponentials(z)
    log_p = (z[rows, target] - m) - np.log1p(q)
    e[rows, top] = 1
    share = z.dtype.type(1) / len(z)  # not 1 / len(z), which has float64's digits
    dz = np.multiply(e, (share / (1 + q))[:, None], out=e)
    dz[rows, target] = share * np.expm1(log_p)
    return reduce(-log_p, "mean"), dz


def cross_entropy(
    z: Array,
    target: AnyArray,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Return the loss of a classifier: how surprising the right answer was to it.

        loss = -log p_t,   p = softmax(z)

    A network gives each of C classes a score, any real number: the logits z.
    Softmax turns them into probabilities p. t is the right class. The loss is 0
    if p_t = 1, and grows without limit as p_t falls to 0. It takes z and not p,
    since log p would be -inf where p is rounded to 0.

        z = np.array([[0.2, 0.1, -0.1]])     # one example, three classes
        F.cross_entropy(z, np.array([0]))    # 0.9729 = -log 0.3780

    A target may also hold probabilities t_c, one for each class. In general, it
    puts a mass v_c on each class, with the class weights w and the smoothing ε:

        loss = -Σ_c v_c log p_c
        class index t:      v_c = w_t (1 - ε) [c = t] + w_c ε / C
        probabilities t_c:  v_c = w_c ((1 - ε) t_c + ε / C)

    [c = t] is 1 if c is t, and 0 otherwise. Each row of a batch, an example, has a
    loss. Their mean divides by the number of rows. For class indices it divides by
    the sum of w_t over the rows that are not ignored.

    Shapes   z        floats (C,), (N, C) or (N, C, ...): the logits of one example, of N, or of
                      each pixel of N images
             target   class indices, whole numbers from 0 to C - 1, of the shape of z
                      without C; or probabilities, floats of the shape of z
             → () or, for "none", the shape of z without C
    Options  weight            w (C,): how much each class counts; default: 1 each
             ignore_index      rows with this class index do not count
             reduction         "mean" or "sum" of the losses, or "none": the loss of each row
             label_smoothing   ε in [0, 1]: the share of the target that is spread
                               evenly over all classes; default: none
    Units    nats: log is the natural logarithm
    Raises   TypeError, ValueError for a target that holds neither, or options out of range
    Torch    torch.nn.functional.cross_entropy(z, target)
    """
    check_float(z=z)
    rows, mass = target_mass(z, target, weight, ignore_index, label_smoothing)
    m, _, _, q = exponentials(rows)
    log_p = rows[mass.where].T - m
    log_p -= np.log1p(q)
    log_p = log_p.T
    if weight is not None or mass.where is ...:  # v may be 0
        log_p[(mass.v == 0) & (log_p == -np.inf)] = 0  # 0 · log 0 is 0
    if mass.ignored is not None:
        log_p[mass.ignored] = 0
    losses = -mass.v * log_p
    if losses.ndim == 2:
        losses = losses.sum(axis=1)
    return reduce(losses.reshape(mass.shape)[()], reduction, mass.divisor)


def cross_entropy_backward(
    dloss: Array | float,
    z: Array,
    target: AnyArray,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array | tuple[Array, Array]:
    """Backward of `cross_entropy`: dz from dloss.

        ∂loss/∂z_c = p_c Σ_k v_k - v_c = p_c Σ_(k≠c) v_k + v_c (p_c - 1)

    For a class index t without options that is p - onehot(t). p_c - 1 is
    expm1(log p_c), which does not cancel where p_c is close to 1. Where the
    target holds probabilities, it has a gradient, too:

        ∂loss/∂t_c = -w_c (1 - ε) log p_c

    Shapes   dloss () or, for "none", the shape of z without C; z, target as in `cross_entropy`
             → dz, the shape of z; with probabilities as target (dz, dtarget)
    Options  as given to `cross_entropy`
    """
    check_real(z=z)
    rows, mass = target_mass(z, target, weight, ignore_index, label_smoothing)
    if mass.v.dtype.kind == "c":
        check_real(target=target)
    dlosses = reduce_backward(dloss, mass.shape, reduction, mass.divisor, dtype=z.dtype)
    dlosses = dlosses.reshape(-1)
    m, top, e, q = exponentials(rows)
    with np.errstate(invalid="ignore"):  # an infinite maximum gives nan, as in torch
        log_p = rows[mass.where].T - m  # .T: one m and q per row
        log_p -= np.log1p(q)
        log_p = log_p.T
        e[np.arange(len(rows)), top] = 1
        share = dlosses / (1 + q)  # dloss p_c = e_c share
        own = np.expm1(log_p) * mass.v  # (p_c - 1) v_c
        if mass.where is ...:
            own *= dlosses[:, None]
            e *= share[:, None]
            dz = _mass_elsewhere(mass.v) * e
            dz += own
        else:  # all mass is at one class
            dz = np.multiply(e, (mass.v * share)[:, None], out=e)
            dz[mass.where] = own * dlosses
        if mass.ignored is not None:
            dz[mass.ignored] = 0
    dz = from_rows(dz.astype(z.dtype, copy=False), z.shape, min(z.ndim - 1, 1))
    if target.dtype.kind in "iu":
        return dz
    with np.errstate(invalid="ignore"):  # 0 · log 0 is nan, as in torch
        dtarget = log_p * (-(1 - float(label_smoothing)) * dlosses)[:, None]
        if weight is not None:
            dtarget *= weight.astype(z.dtype, copy=False)
    return dz, from_rows(dtarget.astype(target.dtype, copy=False), z.shape, min(z.ndim - 1, 1))


def nll_loss(
    log_p: Array,
    target: IntArray,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Return the negative log-likelihood of the target classes.

        loss = -w_t log p_t,   0 in a row that is ignored

    The mean divides by the sum of w_t over the rows that are not ignored.

    Shapes   log_p (C,), (N, C) or (N, C, ...), logarithms of probabilities
             target   class indices, of the shape of log_p without C
             → () or, for "none", the shape of target
    Options  weight         (C,): how much each class counts; default: 1 each
             ignore_index   rows with this class index do not count
             reduction      "mean", "sum", or "none" for the loss of each row
    Units    nats
    Raises   TypeError, ValueError for a target that does not hold class indices
    Torch    torch.nn.functional.nll_loss(log_p, target)
    """
    check_float(log_p=log_p)
    _check_indices(target)
    rows, mass = target_mass(log_p, target, weight, ignore_index, 0.0, name="log_p")
    likelihood = rows[mass.where]
    if weight is not None:  # v may be 0
        likelihood[(mass.v == 0) & (likelihood == -np.inf)] = 0  # 0 · log 0 is 0
    if mass.ignored is not None:
        likelihood[mass.ignored] = 0
    losses = -mass.v * likelihood
    return reduce(losses.reshape(mass.shape)[()], reduction, mass.divisor)


def nll_loss_backward(
    dloss: Array | float,
    log_p: Array,
    target: IntArray,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Backward of `nll_loss`: d(log p) from dloss.

        ∂loss/∂(log p_c) = -w_t [c = t]

    Shapes   dloss () or, for "none", the shape of target; log_p, target as in `nll_loss`
             → dlog_p, the shape of log_p
    Options  as given to `nll_loss`
    """
    check_real(log_p=log_p)
    _check_indices(target)
    rows, mass = target_mass(log_p, target, weight, ignore_index, 0.0, name="log_p")
    dlosses = reduce_backward(dloss, mass.shape, reduction, mass.divisor, dtype=log_p.dtype)
    dlog_p = np.zeros_like(rows)
    with np.errstate(invalid="ignore"):  # the mean of nothing
        dlog_p[mass.where] = -mass.v * dlosses.reshape(-1)
    if mass.ignored is not None:
        dlog_p[mass.ignored] = 0
    return from_rows(dlog_p, log_p.shape, min(log_p.ndim - 1, 1))


Where: TypeAlias = tuple[IntArray, IntArray] | EllipsisType


class Mass(NamedTuple):
    """The mass v that the target puts on the classes of each row.

    Shapes   where     the entries of (N, C) that have mass, as an index: one class per row, or ...
             v         (N,) or (N, C), the mass there; () where it is 1 in every row
             divisor   what a mean divides by
             shape     of the losses: that of z without C
             ignored   (N,), or None where no row is ignored
    """

    where: Where
    v: Array
    divisor: Array | int
    shape: tuple[int, ...]
    ignored: BoolArray | None = None


def check_smoothing(label_smoothing: float) -> None:
    """Raise for a share of the target that is outside [0, 1].

    Raises   TypeError, ValueError
    """
    if type(label_smoothing) is not float:
        check_number(label_smoothing=label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}")


def target_mass(
    z: Array,
    target: AnyArray,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
    *,
    name: str = "z",
) -> tuple[Array, Mass]:
    """Return z with one example per row, and the mass v of the target; check all arguments.

    Shapes   z (..., C, ...) → rows (N, C)
    Options  name   what messages call z
    Raises   TypeError, ValueError
    """
    if type(label_smoothing) is not float or not 0 <= label_smoothing <= 1:
        check_smoothing(label_smoothing)
    if type(ignore_index) is not int:
        check_whole(ignore_index=ignore_index)
    axis, epsilon, w = min(z.ndim - 1, 1), float(label_smoothing), None
    if axis < 0 or z.shape[axis] == 0:
        raise ValueError(f"{name} must have shape (C,), (N, C, ...) with C > 0, got {z.shape}")
    rows, shape = to_rows(z, axis), z.shape[:axis] + z.shape[axis + 1 :]
    N, C = rows.shape
    if weight is not None:
        if type(weight) is not np.ndarray or weight.dtype.kind != "f":
            check_real(weight=weight)
        if weight.shape != (C,):
            raise ValueError(f"weight must have shape ({C},), one per class, got {weight.shape}")
        w = weight.astype(z.dtype, copy=False)
    if type(target) is not np.ndarray:
        check_array(target=target)
    if target.dtype.kind in "fc" and target.ndim == z.ndim:
        check_same_shape(z=z, target=target)
        if ignore_index >= 0:
            raise ValueError("ignore_index is for class indices, and target holds probabilities")
        v = to_rows(target, axis)
        if epsilon:
            v = (1 - epsilon) * v + epsilon / C
        return rows, Mass(..., v if w is None else w * v, N, shape)
    index, ignored = check_labels(target, shape, C, ignore_index)
    index, n = index.reshape(-1), np.arange(N)
    v = np.array(1, z.dtype) if w is None else w[index]
    if ignored is not None:
        ignored = ignored.reshape(-1)
        v = v * ~ignored
    count = N if w is None and ignored is None else v.sum()
    if not epsilon:
        return rows, Mass((n, index), v, count, shape, ignored)
    spread = np.full((N, C), epsilon / C * (np.array(1, z.dtype) if w is None else w))
    spread[n, index] += (1 - epsilon) * v
    if ignored is not None:
        spread[ignored] = 0
    return rows, Mass(..., spread, count, shape, ignored)


def _mass_elsewhere(v: Array) -> Array:
    """Return Σ_(k≠c) v_k for each class c.

    The largest v is left out of the sum and not subtracted from it. The mass elsewhere of any
    other class is at least half of all mass, so there the difference is accurate.

    Shapes   v (N, C) → (N, C)
    """
    rows, top = np.arange(len(v)), v.argmax(axis=1)
    elsewhere = v.copy()
    elsewhere[rows, top] = 0
    rest = elsewhere.sum(axis=1)
    np.subtract((rest + v[rows, top])[:, None], v, out=elsewhere)
    elsewhere[rows, top] = rest
    return elsewhere


def _check_indices(target: IntArray) -> None:
    check_array(target=target)
    if target.dtype.kind not in "iu":
        check_labels(target, (), 0)
