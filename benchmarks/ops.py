"""What is timed of an operation: its value and all its gradients, one after the other.

The operations, their inputs and their bounds are those of parity's table. So a new row there is
timed here; for JAX it also needs a line in backends/on_jax.py if jax.nn has no such function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

import scratchnn.functional as F
from parity import judge
from parity.cases import Case as Arguments
from parity.ops import OPS, Op, as_tuple
from scratchnn.ops.shared import Array

Work: TypeAlias = Callable[[], tuple[Array, ...]]

FUSED = "cross_entropy_with_gradient"  # value and gradient of cross_entropy for dy = 1, in one call
NAMES = (*(name for name in OPS if "," not in name), FUSED)  # no variants
OPTIONS = {"kl_div": {"reduction": "batchmean"}}  # torch warns at the default


def row(name: str) -> Op:
    """Return the operation's row of parity's table."""
    return OPS["cross_entropy" if name == FUSED else name]


def inputs(name: str, shape: tuple[int, ...]) -> tuple[Array, Arguments]:
    """Return a random upstream gradient dy, and the operation's arguments, in float32.

    Shapes   shape (N, C), or (N, D, H) of a layer
    """
    op = row(name)
    arguments = op.plain(shape) | OPTIONS.get(name, {})
    value = op.ours(**arguments)
    dy = judge.upstream(value, value.dtype, seed=1)
    return (np.ones_like(dy) if name == FUSED else dy), arguments


def ours(name: str, dy: Array, arguments: Arguments) -> Work:
    """Return a function that computes our value and gradients.

    A backward that takes the forward's result gets it, and computes nothing twice.
    """
    if name == FUSED:
        return lambda: F.cross_entropy_with_gradient(**arguments)
    f, backward, result = row(name).ours, row(name).backward, row(name).result

    def handed_on() -> tuple[Array, ...]:
        y = f(**arguments)
        return y, *as_tuple(backward(dy, **arguments, **{result: y}))

    def apart() -> tuple[Array, ...]:
        return f(**arguments), *as_tuple(backward(dy, **arguments))

    return handed_on if row(name).backward_takes_result else apart


def limits(name: str, dy: Array, arguments: Arguments, factors: float = 0.0) -> tuple[Array, ...]:
    """Bound the errors of the value and of each gradient.

    Options  factors   the relative error of a factor of a product: bounds.TF32, or none
    """
    op = row(name)
    gradients = judge.gradient_bounds(op, arguments, dy, factors)
    return judge.value_bound(op, arguments, factors), *gradients
