"""What a classifier is asked for: class indices or probabilities, weighted, smoothed, ignored.

All of them are one thing: the mass v_nc that row n puts on class c. With class weights w and
smoothing ε, in a row that is not ignored,

    class index t:      v_c = (1 - ε) w_t [c = t] + ε w_c / C
    probabilities t_c:  v_c = w_c ((1 - ε) t_c + ε / C)
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import Array, IntArray, check_float, check_same_shape


class Labels(NamedTuple):
    """Class indices of the rows, and what each row counts: its class's weight, or 0 if ignored."""

    classes: IntArray  # (M,), some valid class where ignored
    weight: Array | None  # (M,); None where every row counts 1
    ignored: NDArray[np.bool_] | None  # (M,); None where none can be

    @property
    def total(self) -> Array | None:
        """What a mean divides by; None for the number of rows."""
        return None if self.weight is None else self.weight.sum()


def class_axis(z: Array) -> int:
    """Return the axis of the classes: 1, or 0 for a single example.

    Raises   ValueError for no axis, or no classes
    """
    axis = 0 if z.ndim == 1 else 1
    if z.ndim == 0 or z.shape[axis] == 0:
        raise ValueError(f"z must have shape (C,), (N, C) or (N, C, ...) with C > 0, got {z.shape}")
    return axis


def to_rows(x: Array) -> Array:
    """Put the classes last and all else in one axis: (C,), (N, C), (N, C, ...) → (M, C)."""
    axis = class_axis(x)
    if x.ndim == 2:
        return x
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])


def from_rows(rows: Array, like: Array) -> Array:
    """Undo `to_rows` for an array of the shape of `like`."""
    if like.ndim == 2:
        return rows
    axis = class_axis(like)
    moved = np.moveaxis(like, axis, -1)
    return np.moveaxis(rows.reshape(moved.shape), -1, axis)


def row_shape(z: Array) -> tuple[int, ...]:
    """Return the shape of the rows: that of z without the classes, () for a single example."""
    axis = class_axis(z)
    return z.shape[:axis] + z.shape[axis + 1 :]


def is_soft(target: NDArray[Any]) -> bool:
    """Tell probabilities from class indices."""
    return getattr(target, "dtype", np.dtype(object)).kind in "fc"


def labels(z: Array, target: IntArray, weight: Array | None, ignore_index: int) -> Labels:
    """Check class indices against z, and find what each row counts.

    Raises   TypeError, ValueError
    """
    kind = getattr(target, "dtype", np.dtype(object)).kind
    if kind not in "iu":
        got = target.dtype if kind != "O" else type(target).__name__
        raise TypeError(f"target must be a NumPy array of integer class indices, got {got}")
    shape, C = row_shape(z), z.shape[class_axis(z)]
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape}, one class a row, got {target.shape}")
    index, ignored = target.reshape(-1), None
    if 0 <= ignore_index < C or not _are_classes(index, C):
        ignored = index == ignore_index
        index = np.where(ignored, 0, index)
        if not _are_classes(index, C):
            raise ValueError(
                f"target must hold class indices in [0, {C}), got values in "
                f"[{target.min()}, {target.max()}]"
            )
    if weight is not None:
        counts = class_weight(weight, z)[index]
        return Labels(index, counts if ignored is None else counts * ~ignored, ignored)
    return Labels(index, None if ignored is None else (~ignored).astype(z.dtype), ignored)


def _are_classes(index: IntArray, C: int) -> bool:
    return not index.size or bool(index.astype(np.uintp).max() < C)  # -1 becomes huge


def class_weight(weight: Array, z: Array) -> Array:
    """Check the weights of the classes, and give them the precision of z.

    Raises   TypeError, ValueError
    """
    check_float(weight=weight)
    C = z.shape[class_axis(z)]
    if weight.shape != (C,):
        raise ValueError(f"weight must have shape ({C},), one for each class, got {weight.shape}")
    return weight.astype(z.dtype, copy=False)


def check_smoothing(label_smoothing: float) -> None:
    """Refuse a share of the target that is none.

    Raises   ValueError
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}")


def target_mass(
    z: Array, target: NDArray[Any], weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array | float, NDArray[np.bool_] | None]:
    """Return the mass v (M, C), the count that a mean divides by, and the rows ignored.

    Raises   TypeError, ValueError
    """
    check_smoothing(label_smoothing)
    C, label_smoothing = z.shape[class_axis(z)], float(label_smoothing)
    w = np.ones(C, z.dtype) if weight is None else class_weight(weight, z)
    if is_soft(target):
        if ignore_index >= 0:
            raise ValueError("ignore_index is for class indices, and target holds probabilities")
        check_same_shape(z=z, target=target)
        rows = to_rows(target)
        return w * ((1 - label_smoothing) * rows + label_smoothing / C), len(rows), None
    index, counts, ignored = labels(z, target, weight, ignore_index)
    counts = np.ones(len(index), z.dtype) if counts is None else counts
    v = np.tile(label_smoothing / C * w, (len(index), 1))
    v[np.arange(len(index)), index] += (1 - label_smoothing) * counts
    if ignored is not None:
        v[ignored] = 0
    return v, counts.sum(), ignored
