"""One operation on one case: every side beside the right answer, within its error bound."""

from collections.abc import Sequence

import numpy as np
import torch

from parity import bounds, devices, right
from parity.convert import to_array, to_tensor
from parity.ops import Op
from parity.strategies import Case
from parity.verdict import Verdict, measure
from scratchnn.arrays import Array

OURS = "NumPy"


def judge(
    op: Op,
    case: Case,
    dy_seed: int = 0,
    on: Sequence[str] = ("cpu",),
    precision: devices.Precision = "ieee",
    judged_as: devices.Precision | None = None,
) -> list[Verdict]:
    """Compare the value, then each gradient, of NumPy and torch on each device with the oracle.

    The upstream gradient is random, from `dy_seed`. `precision` is that of torch's products of
    float32 matrices; its bound is the one of that precision, or of another: `judged_as`.

    Raises   ValueError, TypeError where a side has another shape or dtype than the right answer
    """
    dtype, exact = right.dtype_of(op, case), right.value(op, case)
    dy = right.upstream(exact, dtype, dy_seed)
    exacts = exact, *right.gradients(op, case, dy)
    strict = _bounds(op, case, dy, "ieee")
    loose = _bounds(op, case, dy, judged_as or precision)
    results = {OURS: ((op.ours(**case), *op.backward(dy, **case)), strict)}
    for device in on:
        results[f"torch {device}"] = run_torch(op, case, dy, device, precision), loose
    return [
        Verdict(
            quantity,
            tuple(
                measure(side, quantity, found[i], exacts[i], allowed[i], dtype)
                for side, (found, allowed) in results.items()
            ),
        )
        for i, quantity in enumerate([op.name, *(f"{op.name}, d{name}" for name in op.inputs)])
    ]


def _bounds(op: Op, case: Case, dy: Array, precision: devices.Precision) -> tuple[Array, ...]:
    factors = bounds.TF32 if precision == "tf32" else 0.0
    return (
        right.value_bound(op, case, factors),
        *right.gradient_bounds(op, case, dy, factors),
    )


def run_torch(
    op: Op, case: Case, dy: Array, device: str, precision: devices.Precision
) -> tuple[Array, ...]:
    """Return torch's value and, by autograd, its gradient for each of the inputs."""
    arguments = {
        name: to_tensor(value, device).requires_grad_(name in op.inputs)
        if isinstance(value, np.ndarray)
        else value
        for name, value in case.items()
    }
    inputs = [arguments[name] for name in op.inputs]
    with devices.products(device, precision):
        value = op.torch(**arguments)
        gradients = torch.autograd.grad(value, inputs, to_tensor(dy, device))
    return tuple(map(to_array, (value, *gradients)))
