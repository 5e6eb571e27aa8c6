"""What a network is trained for: a loss with its gradient in one pass, and what counts as right.

The networks of the recipes are alike; they differ in their objective.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import Array, IntArray, check_labels
from scratchnn.binary import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
)
from scratchnn.classification import cross_entropy_with_gradient
from scratchnn.regression import (
    mse_loss,
    mse_loss_backward,
    squared_loss,
    squared_loss_backward,
)


class Objective(NamedTuple):
    """A mean loss of a batch with its gradient dz, and the count of right answers, if any.

    The loss comes first, and refuses what is no target; the count does not look again.

    Shapes   network output z (N, C), targets as the data set has them → (loss, dz (N, C))
    """

    loss_and_gradient: Callable[[Array, NDArray[Any]], tuple[Array, Array]]
    correct: Callable[[Array, NDArray[Any]], int] | None


def one_hot(target: IntArray, classes: int, dtype: type | np.dtype[Any] = np.float32) -> Array:
    """Return a row for each label, with 1 at the label's class and 0 elsewhere.

    Shapes   target (N,) → (N, classes)
    """
    check_labels(target, len(target), classes)
    rows: Array = np.zeros((len(target), classes), dtype)
    rows[np.arange(len(target)), target] = 1
    return rows


def _two_classes(z: Array, target: NDArray[Any]) -> tuple[Array, Array]:
    check_labels(target, len(z), 2)
    return _bce(z, target.astype(z.dtype)[:, None])


def _one_vs_rest(z: Array, target: NDArray[Any]) -> tuple[Array, Array]:
    return _bce(z, one_hot(target, z.shape[1], z.dtype))


def _bce(z: Array, target: Array) -> tuple[Array, Array]:
    loss = binary_cross_entropy_with_logits(z, target)
    return loss, binary_cross_entropy_with_logits_backward(1.0, z, target)


def _squared_loss(z: Array, target: NDArray[Any]) -> tuple[Array, Array]:
    return squared_loss(z, target), squared_loss_backward(1.0, z, target)


def _mse_loss(z: Array, target: NDArray[Any]) -> tuple[Array, Array]:
    return mse_loss(z, target), mse_loss_backward(1.0, z, target)


def _count_largest(z: Array, target: IntArray) -> int:
    return int(np.count_nonzero(z.argmax(axis=1) == target))


def _count_sign(z: Array, target: NDArray[Any]) -> int:
    return int(((z[:, 0] > 0) == (target == 1)).sum())  # z > 0 where σ(z) > 1/2


OBJECTIVES = {
    "cross_entropy": Objective(cross_entropy_with_gradient, _count_largest),
    "two_classes": Objective(_two_classes, _count_sign),
    "one_vs_rest": Objective(_one_vs_rest, _count_largest),
    "squared_loss": Objective(_squared_loss, None),
    "mse_loss": Objective(_mse_loss, None),
}
