"""What a target asks of each class, for the oracle and for the bounds.

Class indices or probabilities, with weights, smoothing and ignored rows, all are the mass v_nc
that row n puts on class c. scratchnn has its own code for it, and shares none with this.
"""

from __future__ import annotations

import numpy as np

from parity.digits import Numbers
from scratchnn.ops.shared import AnyArray


def target_mass(
    z: Numbers,
    target: AnyArray,
    weight: Numbers = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> tuple[Numbers, Numbers]:
    """Return v = w ((1 - ε) q + ε / C) (M, C), with a row's target distribution q, and the count.

    A mean divides by the count: Σ w of the target classes, or the number of rows where q is given.
    """
    M, C = to_rows(z).shape
    w = np.ones(C, int) if weight is None else weight
    if not holds_indices(target):
        return w * ((1 - label_smoothing) * to_rows(target) + label_smoothing / C), M
    index = np.reshape(target, (-1, 1))
    counts = index != ignore_index
    q = counts * (index == np.arange(C)).astype(int)
    return w * ((1 - label_smoothing) * q + label_smoothing / C * counts), (w * q).sum()


def reduced_mass(
    z: Numbers, target: AnyArray, reduction: str = "mean", **options: Numbers
) -> tuple[Numbers, str, Numbers]:
    """Return v, and how its rows are reduced: by which reduction, and the count of a mean."""
    v, count = target_mass(z, target, **options)
    return v, reduction, count


def mass_elsewhere(v: Numbers) -> Numbers:
    """Σ of the others' v. The largest is left out of its sum, and not subtracted from it."""
    top = v.argmax(axis=1)[:, None] == np.arange(v.shape[1])
    rest = np.where(top, 0, v).sum(axis=1, keepdims=True)
    return np.where(top, rest, v.sum(axis=1, keepdims=True) - v)


def weigh(v: Numbers, x: Numbers, like: Numbers) -> Numbers:
    """Σ_c v_c x_c, where 0 x = 0 for every x, in the shape of `like` without its classes."""
    sums = np.where(v == 0, 0, v * x).sum(axis=1)
    return sums.reshape(like.shape[:1] + like.shape[2:] if like.ndim > 1 else ())


def holds_indices(target: AnyArray) -> bool:
    """Whether a target holds class indices, and not probabilities."""
    return np.asarray(target).dtype.kind in "iu"


def to_rows(x: Numbers) -> Numbers:
    """Put the classes last and all else in one axis: (C,), (N, C) or (N, C, ...) → (M, C)."""
    axis = 0 if x.ndim == 1 else 1
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])


def from_rows(rows: Numbers, like: Numbers) -> Numbers:
    """Undo `to_rows` for an array of the shape of `like`."""
    axis = 0 if like.ndim == 1 else 1
    moved = np.moveaxis(like, axis, -1)
    return np.moveaxis(rows.reshape(moved.shape), -1, axis)
