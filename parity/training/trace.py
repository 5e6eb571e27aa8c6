"""What one training step computed in torch, and how it was taken. To judge it takes NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from numpy.typing import DTypeLike

from parity import bounds
from scratchnn import objectives
from scratchnn.mlp import Parameters
from scratchnn.objectives import Objective
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.optim import Optimizer
from scratchnn.run.recipes import Run

FREE_RUN_TOLERANCE = 1e-12  # of two float64 θ, each trained freely


@dataclass(frozen=True)
class Trace:
    """All numbers of one step, as NumPy arrays of our layout.

    target      the target as the data set has it
    before      θ before the step
    outputs     the input X, and then the output of every layer
    gradients   of the loss, for the output of every layer
    loss        before the step
    grad        of the loss, for θ
    after       θ after the step
    state       the optimizer's state before the step: empty at the first
    """

    target: AnyArray
    before: Parameters
    outputs: list[Array]
    gradients: list[Array]
    loss: Array
    grad: Parameters
    after: Parameters
    state: dict[str, Array] = field(default_factory=dict)

    @property
    def X(self) -> Array:  # noqa: N802
        """The input."""
        return self.outputs[0]

    def astype(self, dtype: DTypeLike) -> Trace:
        """Return it in another precision; class indices stay as they are."""
        return Trace(
            widened(self.target, dtype),
            self.before.astype(dtype),
            [array.astype(dtype) for array in self.outputs],
            [array.astype(dtype) for array in self.gradients],
            self.loss.astype(dtype),
            self.grad.astype(dtype),
            self.after.astype(dtype),
            {name: array.astype(dtype) for name, array in self.state.items()},
        )


@dataclass(frozen=True)
class Settings:
    """How a step was taken, and how it is judged.

    objective   the loss
    optimizer   its settings; the state of a step is in its trace
    factors     the relative error of a factor of torch's products: bounds.TF32, or none
    """

    objective: Objective
    optimizer: Optimizer
    factors: float = 0.0

    @classmethod
    def of(cls, run: Run, judged_as: str = "ieee") -> Settings:
        """Return those of a run, its products judged as "ieee" or "tf32"."""
        factors = bounds.TF32 if judged_as == "tf32" else 0.0
        return cls(objectives.get(run.recipe.objective), run.optimizer, factors)

    def strict(self) -> Settings:
        """Return those whose products have the precision of the numbers: ours always have."""
        return replace(self, factors=0.0)


def widened(x: AnyArray, dtype: DTypeLike) -> AnyArray:
    """Return floating-point numbers in another precision, and class indices as they are."""
    return x.astype(dtype) if x.dtype.kind == "f" else x


def epoch(run: Run) -> Iterator[tuple[Array, AnyArray]]:
    """Yield the minibatches of one epoch, in the order that a run's rng draws."""
    order = run.train.order(run.recipe.batch_size, run.rng)
    return run.train.batches(order, run.parameters.theta.dtype, run.rng)


def batches(run: Run) -> Iterator[tuple[Array, AnyArray]]:
    """Yield the minibatches of all epochs."""
    for _ in range(run.recipe.epochs):
        yield from epoch(run)
