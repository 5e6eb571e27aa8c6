"""The rounding errors of the objectives of the recipes, and how errors of z pass through them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity import bounds, loss_bounds
from scratchnn.arrays import Array
from scratchnn.objectives import one_hot


class ObjectiveBounds(NamedTuple):
    """How far a mean loss and its gradient dz may be from right."""

    loss: Array
    dz: Array


def rounding(objective: str, z: Array, target: NDArray[Any], u: float) -> ObjectiveBounds:
    """Bound the errors that the objective itself makes, at this z.

    Shapes   z (N, C), targets as the data set has them → (), (N, C)
    """
    one = np.ones(())
    value: Callable[..., Array]
    backward: Callable[..., Array]
    z = z.astype(np.float64)
    match objective:
        case "cross_entropy":
            value, backward = loss_bounds.cross_entropy, loss_bounds.cross_entropy_backward
        case "two_classes" | "one_vs_rest":
            value = loss_bounds.binary_cross_entropy_with_logits
            backward = loss_bounds.binary_cross_entropy_with_logits_backward
            target = as_floats(objective, target, z)
        case _:  # the squared loss has half of both
            r = z - target
            _, bound = loss_bounds.difference_loss_backward(one, 2 * r, "mean", u)
            return ObjectiveBounds(loss_bounds.difference_loss(np.square(r), "mean", u), bound)
    return ObjectiveBounds(value(z, target, "mean", u), backward(one, z, target, "mean", u))


def handed_on(objective: str, z: Array, dz: Array, error: Array) -> ObjectiveBounds:
    """Bound what errors of z change in the loss and in dz, by the mean value theorem.

        cross-entropy   |δp| ≤ p (e^(2 max error) - 1)
        sigmoid         |δσ| ≤ error / 4
        squared         |δr| = error, twice that without the 1/2
        loss            |δL| ≤ Σ (|dz| + |δdz|) error

    Shapes   z, dz, error (N, C) → (), (N, C)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        match objective:
            case "cross_entropy":
                largest = error.max(axis=1, keepdims=True)
                change = bounds.probabilities(z, 1) * np.expm1(2 * largest) / len(z)
            case "two_classes" | "one_vs_rest":
                change = error / (4 * z.size)
            case _:
                change = error * (2 if objective == "mse_loss" else 1) / z.size
        return ObjectiveBounds(np.sum((abs(dz) + change) * error), change)


def as_floats(objective: str, target: NDArray[Any], z: Array) -> Array:
    """Return the yes-or-no targets of binary cross-entropy.

    Shapes   target (N,) → z's (N, C)
    """
    if objective == "two_classes":
        return target[:, None].astype(z.dtype)
    return one_hot(target, z.shape[1], z.dtype)


def exact(objective: str, z: Any, target: Any) -> tuple[Any, Any]:
    """Return the right loss and dz, in the arithmetic of z; see parity/oracle/losses.py."""
    from parity.oracle import losses as loss_oracle  # needs more than NumPy

    value: Callable[..., Any]
    backward: Callable[..., Any]
    match objective:
        case "cross_entropy":
            value, backward = loss_oracle.cross_entropy, loss_oracle.cross_entropy_backward
        case "two_classes" | "one_vs_rest":
            value = loss_oracle.binary_cross_entropy_with_logits
            backward = loss_oracle.binary_cross_entropy_with_logits_backward
            target = as_floats(objective, target, z)
        case _:
            return (
                loss_oracle.difference_loss(objective, z, target),
                loss_oracle.difference_loss_backward(objective, 1, z, target, "mean")[0],
            )
    return value(z, target), backward(1, z, target)[0]
