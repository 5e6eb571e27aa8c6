"""What a network is trained for: a loss with its options, and what counts as a right answer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

import scratchnn.functional as F
from scratchnn.data import Dataset
from scratchnn.ops.cross_entropy import check_smoothing
from scratchnn.ops.shared import (
    AnyArray,
    Array,
    IntArray,
    check_array,
    check_dtype,
    check_labels,
    check_whole,
)


@dataclass(frozen=True, eq=False)
class Objective:
    """A mean loss of a batch, with its gradient.

        op        the name of its operation in scratchnn.functional
        classes   whether it asks for classes, so that there is an accuracy

    Shapes   network output z (N, C), targets as the data set has them
    """

    op: ClassVar[str]
    classes: ClassVar[bool] = False

    @property
    def options(self) -> dict[str, object]:
        """The options of the operation; the reduction is a mean."""
        return {"reduction": "mean"} | {
            part.name: getattr(self, part.name) for part in fields(self)
        }

    def prepared(self, z: Array, target: AnyArray) -> AnyArray:
        """Return the target as the operation takes it."""
        return target

    def loss_and_gradient(self, z: Array, target: AnyArray) -> tuple[Array, Array]:
        """Return the mean loss and its gradient dz.

        Shapes   z (N, C) → (), (N, C)
        """
        target = self.prepared(z, target)
        backward = getattr(F, f"{self.op}_backward")  # F.mse_loss_backward, for instance
        gradients = backward(1.0, z, target, **self.options)
        dz = gradients[0] if isinstance(gradients, tuple) else gradients
        return getattr(F, self.op)(z, target, **self.options), dz

    def loss(self, z: Array, target: AnyArray) -> Array:
        """Return the mean loss alone.

        Shapes   z (N, C) → ()
        """
        return getattr(F, self.op)(z, self.prepared(z, target), **self.options)

    def outputs(self, data: Dataset) -> int:
        """Return how many outputs a network for this data must have."""
        return data.outputs

    def count(self, target: AnyArray) -> float:
        """Return how much these rows count where the means of several batches are averaged."""
        return len(target)

    def correct(self, z: Array, target: AnyArray) -> int:
        """Return how many rows have the right class; 0 where there are no classes."""
        return 0


@dataclass(frozen=True, eq=False)
class CrossEntropy(Objective):
    """Which class? The cross-entropy of softmax(z).

    The loss of a batch in which no row counts is 0. The accuracy counts all rows.

    Options  weight, ignore_index, label_smoothing   as in `functional.cross_entropy`
    Raises   TypeError, ValueError for a label_smoothing outside [0, 1]
    """

    weight: Array | None = None
    ignore_index: int = -100
    label_smoothing: float = 0.0
    op: ClassVar[str] = "cross_entropy"
    classes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_smoothing(self.label_smoothing)

    def loss_and_gradient(self, z: Array, target: AnyArray) -> tuple[Array, Array]:
        plain = self.weight is None and self.ignore_index == -100 and not self.label_smoothing
        if plain and target.shape[1:] in ((), (1,)):  # labels; of regression data, an error
            return F.cross_entropy_with_gradient(z, target)
        loss, dz = super().loss_and_gradient(z, target)
        return (loss, dz) if self.count(target) else (np.zeros_like(loss), np.zeros_like(dz))

    def loss(self, z: Array, target: AnyArray) -> Array:
        loss = super().loss(z, target)
        return loss if self.count(target) else np.zeros_like(loss)

    def count(self, target: AnyArray) -> float:
        if target.dtype.kind == "f":
            return len(target)
        seen = target != self.ignore_index
        if self.weight is None:
            return int(np.count_nonzero(seen))
        return float(self.weight[target[seen]].sum())

    def correct(self, z: Array, target: AnyArray) -> int:
        likeliest = target if target.ndim == 1 else target.argmax(axis=1)
        return int(np.count_nonzero(z.argmax(axis=1) == likeliest))


class TwoClasses(Objective):
    """Class 1, yes or no? The binary cross-entropy of one logit per row and labels 0 and 1."""

    op: ClassVar[str] = "binary_cross_entropy_with_logits"
    classes: ClassVar[bool] = True

    def prepared(self, z: Array, target: AnyArray) -> AnyArray:
        check_labels(target, z.shape[:1], 2)
        return target.astype(z.dtype)[:, None]

    def outputs(self, data: Dataset) -> int:
        return 1

    def correct(self, z: Array, target: AnyArray) -> int:
        return int(((z[:, 0] > 0) == (target == 1)).sum())  # z > 0 where σ(z) > 1/2


class OneVsRest(Objective):
    """One yes-or-no question per class: the binary cross-entropy of C logits per row."""

    op: ClassVar[str] = "binary_cross_entropy_with_logits"
    classes: ClassVar[bool] = True

    def prepared(self, z: Array, target: AnyArray) -> AnyArray:
        return one_hot(target, z.shape[1], z.dtype)

    def correct(self, z: Array, target: AnyArray) -> int:
        return int(np.count_nonzero(z.argmax(axis=1) == target))


class SquaredLoss(Objective):
    """How much? Half the squared error."""

    op: ClassVar[str] = "squared_loss"


class MSELoss(Objective):
    """How much? The squared error, without the 1/2."""

    op: ClassVar[str] = "mse_loss"


class L1Loss(Objective):
    """How much? The absolute error."""

    op: ClassVar[str] = "l1_loss"


@dataclass(frozen=True, eq=False)
class HuberLoss(Objective):
    """How much? Huber's loss.

    Options  delta   as in `functional.huber_loss`
    """

    delta: float = 1.0
    op: ClassVar[str] = "huber_loss"


@dataclass(frozen=True, eq=False)
class SmoothL1Loss(Objective):
    """How much? Huber's loss divided by beta.

    Options  beta   as in `functional.smooth_l1_loss`
    """

    beta: float = 1.0
    op: ClassVar[str] = "smooth_l1_loss"


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": CrossEntropy(),
    "two_classes": TwoClasses(),
    "one_vs_rest": OneVsRest(),
    "squared_loss": SquaredLoss(),
    "mse_loss": MSELoss(),
    "l1_loss": L1Loss(),
    "huber_loss": HuberLoss(),
    "smooth_l1_loss": SmoothL1Loss(),
}


def get(objective: str | Objective) -> Objective:
    """Return the objective of this name, or the objective itself.

    Raises   TypeError; ValueError that lists the names
    """
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, np.ndarray):
        raise TypeError("objective must be a loss, got an array: arrays go together, as (X, y)")
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise ValueError(
            f"objective must be one of {', '.join(OBJECTIVES)}, or an object such as "
            f"CrossEntropy(), got {objective!r}"
        )
    return OBJECTIVES[objective]


def one_hot(target: IntArray, classes: int, dtype: DTypeLike = np.float32) -> Array:
    """Return a row for each label, with 1 at the label's class and 0 elsewhere.

    Shapes   target (N,) → (N, classes)
    """
    check_whole(1, classes=classes)
    check_dtype(dtype)
    check_array(target=target)
    check_labels(target, (target.size,), classes)
    rows = np.zeros((len(target), classes), dtype)
    rows[np.arange(len(target)), target] = 1
    return rows
