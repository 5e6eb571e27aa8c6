"""What is timed of an operation: its value and its gradients in one go. The rest is parity's table.

A loss with real targets is asked for the gradient of its prediction alone, as in training.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import scratchnn.functional as F
from parity import bounds, right
from parity import ops as parity_ops
from parity.ops import Op
from scratchnn.arrays import Array

Work: TypeAlias = Callable[..., tuple[Array, ...]]

FUSED = "cross_entropy_with_gradient"
OPTIONS: dict[str, Any] = {"axis": -1, "reduction": "mean"}  # of the operations that have them
OWN_OPTIONS = {"kl_div": {"reduction": "batchmean", "log_target": False}}  # torch warns at "mean"
BACKWARD_OF_VALUE = ("relu", "softmax", "log_softmax")


def row(name: str) -> Op:
    """Return what parity knows of an operation."""
    return parity_ops.OPS["cross_entropy" if name == FUSED else name]


def options(name: str) -> dict[str, Any]:
    """Return an operation's options as they are timed."""
    general = {key: value for key, value in OPTIONS.items() if key in row(name).options}
    return general | OWN_OPTIONS.get(name, {})


def wrt(name: str) -> tuple[str, ...]:
    """Return the arguments whose gradients are asked for: the first ones."""
    return tuple(argument for argument in row(name).inputs if argument != "target")


def ours(name: str) -> Work:
    """Return our value and gradients, from dy and the arguments by name; nothing is done twice."""
    if name == FUSED:
        return lambda dy, z, target: F.cross_entropy_with_gradient(z, target)  # noqa: ARG005
    op, given = row(name), options(name)
    if wrt(name) == op.inputs and name not in BACKWARD_OF_VALUE:
        return lambda dy, **case: (op.ours(**case, **given), *op.backward(dy, **case, **given))
    backward = getattr(F, f"{name}_backward")
    if name not in BACKWARD_OF_VALUE:
        return lambda dy, **case: (op.ours(**case, **given), backward(dy, **case, **given))

    def handed_on(dy: Array, z: Array) -> tuple[Array, Array]:
        y = op.ours(z, **given)
        return y, backward(dy, y, **given)

    return handed_on


def limits(name: str, dy: Array, arguments: dict[str, Any], *, tf32: bool) -> tuple[Array, ...]:
    """Bound the errors of value and gradients."""
    op, case, factors = row(name), arguments | options(name), bounds.TF32 if tf32 else 0.0
    gradients = right.gradient_bounds(op, case, dy, factors)
    return right.value_bound(op, case, factors), *gradients[: len(wrt(name))]
