"""How good a classifier is, apart from its loss: what it gets right, and what it takes for what."""

import numpy as np

from scratchnn.arrays import Array, IntArray, check_float, check_labels, check_matrix


def count_correct(z: Array, target: IntArray) -> int:
    """Count the rows whose largest logit (or probability) is the target's; the first one of a tie.

    Shapes   z (N, C), target (N,)
    """
    check_matrix(z=z)
    check_labels(target, *z.shape)
    return int((z.argmax(axis=1) == target).sum())


def accuracy(z: Array, target: IntArray) -> float:
    """Return the share of rows that are classified right, in [0, 1].

    Shapes   z (N, C), target (N,)
    Raises   ValueError for NaN, or a target that holds no class indices
    """
    _check(z, target)
    return count_correct(z, target) / len(target)


def top_k_accuracy(z: Array, target: IntArray, k: int) -> float:
    """Return the share of rows whose target is among the k largest logits; 1 is `accuracy`.

    Of equal logits the first counts as the larger, as in argmax. (scikit-learn's
    top_k_accuracy_score takes the last, against its own accuracy.)

    Shapes   z (N, C), target (N,)
    Raises   ValueError for k outside of 1 to C, NaN, or a target that holds no class indices
    """
    _check(z, target)
    if not 1 <= k <= z.shape[1]:
        raise ValueError(f"k must be from 1 to the number of classes {z.shape[1]}, got {k}")
    z_target = np.take_along_axis(z, target[:, None], 1)
    ties_before = (z == z_target) & (np.arange(z.shape[1]) < target[:, None])
    ahead = ((z > z_target) | ties_before).sum(axis=1)
    return int((ahead < k).sum()) / len(target)


def confusion_matrix(z: Array, target: IntArray) -> IntArray:
    """Count what was taken for what: rows are the true classes, columns the predicted ones.

        M_ij = number of n with target_n = i and argmax z_n = j

    The diagonal is what is right: accuracy = Σ_i M_ii / N.

    Shapes   z (N, C), target (N,) → (C, C)
    Raises   ValueError for NaN, or a target that holds no class indices
    """
    _check(z, target)
    C = z.shape[1]
    return np.bincount(target.astype(np.intp) * C + z.argmax(axis=1), minlength=C * C).reshape(C, C)


def precision(confusion: IntArray, *, undefined: float = 0.0) -> Array:
    """Return for each class the share of right ones among those predicted.

        M_ii / Σ_j M_ji        0/0, for a class never predicted, is `undefined`

    As in scikit-learn that is 0, which lowers an average over classes; math.nan shows it.

    Shapes   confusion (C, C), true classes in rows → (C,)
    """
    _check_square(confusion)
    return _share(confusion.diagonal(), confusion.sum(axis=0), undefined)


def recall(confusion: IntArray, *, undefined: float = 0.0) -> Array:
    """Return for each class the share of right ones among those that there are.

        M_ii / Σ_j M_ij        0/0, for a class that never occurs, is `undefined`

    Shapes   confusion (C, C), true classes in rows → (C,)
    """
    _check_square(confusion)
    return _share(confusion.diagonal(), confusion.sum(axis=1), undefined)


def _share(part: IntArray, whole: IntArray, undefined: float) -> Array:
    shares: Array = np.divide(part, whole, out=np.full(len(whole), undefined), where=whole > 0)
    return shares


def _check(z: Array, target: IntArray) -> None:
    check_float(z=z)
    check_matrix(z=z)
    check_labels(target, *z.shape)
    unordered = np.isnan(z).any(axis=1)
    if unordered.any():
        raise ValueError(
            f"z must not hold NaN, which has no order, got it in row {unordered.argmax()}"
        )


def _check_square(confusion: IntArray) -> None:
    check_matrix(confusion=confusion)
    if confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must be square (C, C), got shape {confusion.shape}")
