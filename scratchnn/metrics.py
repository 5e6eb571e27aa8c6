"""How good a classifier is, apart from its loss."""

from scratchnn.arrays import Array, IntArray, check_labels, check_matrix


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
    """
    return count_correct(z, target) / len(target)
