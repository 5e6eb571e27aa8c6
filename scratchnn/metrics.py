"""How good a classifier is, counted in right and wrong answers."""

from __future__ import annotations

import numpy as np

from scratchnn.ops.shared import (
    Array,
    IntArray,
    check_labels,
    check_matrix,
    check_number,
    check_real,
    check_whole,
)


def count_correct(z: Array, target: IntArray) -> int:
    """Count the rows whose largest logit (or probability) is that of the target.

    Of equal logits the first counts as the largest, as in argmax.

    Shapes   z (N, C), target (N,)
    Raises   TypeError, ValueError for NaN, or a target that does not hold class indices
    """
    _check(z, target)
    return int((z.argmax(axis=1) == target).sum())


def accuracy(z: Array, target: IntArray) -> float:
    """Return the share of rows that are classified right, in [0, 1].

    Shapes   z (N, C), target (N,)
    Raises   TypeError, ValueError for NaN, or a target that does not hold class indices
    """
    return count_correct(z, target) / len(target)


def top_k_accuracy(z: Array, target: IntArray, k: int) -> float:
    """Return the share of rows whose target is among the k largest logits.

    With k = 1 that is `accuracy`. Of equal logits the first counts as the larger,
    as in argmax. (In scikit-learn's top_k_accuracy_score it is the last, which
    contradicts scikit-learn's accuracy_score.)

    Shapes   z (N, C), target (N,)
    Options  k   how many of the largest logits count, from 1 to C
    Raises   TypeError, ValueError for k outside 1 to C, NaN, or a target that does not hold
             class indices
    """
    _check(z, target)
    check_whole(k=k)
    if not 1 <= k <= z.shape[1]:
        raise ValueError(f"k must be from 1 to the number of classes {z.shape[1]}, got {k}")
    z_target = np.take_along_axis(z, target[:, None], 1)
    ties_before = (z == z_target) & (np.arange(z.shape[1]) < target[:, None])
    ahead = ((z > z_target) | ties_before).sum(axis=1)
    return int((ahead < k).sum()) / len(target)


def confusion_matrix(z: Array, target: IntArray) -> IntArray:
    """Count for each true class (a row) how often each class was predicted (a column).

        M_ij = number of n with target_n = i and argmax z_n = j

    The diagonal holds the right answers: accuracy = Σ_i M_ii / N.

    Shapes   z (N, C), target (N,) → (C, C)
    Raises   TypeError, ValueError for NaN, or a target that does not hold class indices
    """
    _check(z, target)
    C = z.shape[1]
    return np.bincount(target.astype(np.intp) * C + z.argmax(axis=1), minlength=C * C).reshape(C, C)


def precision(confusion: IntArray, *, undefined: float = 0.0) -> Array:
    """Return for each class how many of its predictions are right, as a share.

        M_ii / Σ_j M_ji

    Shapes   confusion (C, C), true classes in rows → (C,)
    Options  undefined   the result for a class that was never predicted, 0/0. The default of 0, as
                         in scikit-learn, lowers an average over classes; math.nan shows the gap
    Raises   TypeError, ValueError for a matrix that is not square, or holds other than counts
    """
    _check_counts(confusion, undefined)
    return _share(confusion.diagonal(), confusion.sum(axis=0), undefined)


def recall(confusion: IntArray, *, undefined: float = 0.0) -> Array:
    """Return for each class how many of its examples are recognized, as a share.

        M_ii / Σ_j M_ij

    Shapes   confusion (C, C), true classes in rows → (C,)
    Options  undefined   the result for a class that has no examples, 0/0; default: 0
    Raises   TypeError, ValueError for a matrix that is not square, or holds other than counts
    """
    _check_counts(confusion, undefined)
    return _share(confusion.diagonal(), confusion.sum(axis=1), undefined)


def _share(part: IntArray, whole: IntArray, undefined: float) -> Array:
    out = np.full(len(whole), float(undefined))
    return np.divide(part, whole, out=out, where=whole > 0)


def _check(z: Array, target: IntArray) -> None:
    if isinstance(z, np.ndarray) and z.ndim == 1 and z.dtype.kind in "iu":
        raise TypeError(
            "z must be logits or probabilities (N, C), got class indices: "
            "objectives.one_hot(z, C) makes rows of them"
        )
    check_real(z=z)
    check_matrix(z=z)
    check_labels(target, z.shape[:1], z.shape[1])
    unordered = np.isnan(z).any(axis=1)
    if unordered.any():
        raise ValueError(
            f"z must not hold NaN, which has no order, got it in row {unordered.argmax()}"
        )


def _check_counts(confusion: IntArray, undefined: float) -> None:
    check_matrix(confusion=confusion)
    check_number(undefined=undefined)
    if confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must be square (C, C), got shape {confusion.shape}")
    if confusion.dtype.kind not in "iuf" or not (confusion >= 0).all():  # nan is not ≥ 0
        raise ValueError(f"confusion must hold counts, or shares, of at least 0, got {confusion}")
