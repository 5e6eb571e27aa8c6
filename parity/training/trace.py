"""What one training step computed in torch, and the calls of rows of the table that it is made of.

Reading a trace takes NumPy alone: torch_side.py makes them, golden.py reads recorded ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from parity import bounds, judge
from parity.cases import Case
from parity.digits import Numbers, Precision
from parity.judge import Index, Verdict
from parity.ops import OPS, Op
from scratchnn import objectives, train
from scratchnn.layers import Layer
from scratchnn.mlp import Parameters
from scratchnn.objectives import Objective
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.optim import Optimizer
from scratchnn.run.recipes import Run

FREE_RUN_TOLERANCE = 1e-12  # of two float64 θ, each trained freely
EVERY = slice(None)

Smaller: TypeAlias = "tuple[Case, Array | None, Index]"  # case, dy, and the place of an element


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

    def astype(self, dtype: DTypeLike) -> Trace:
        """Return it in another precision; class indices stay as they are."""
        return Trace(**widened(vars(self), dtype))


def widened(x: Any, dtype: DTypeLike) -> Any:
    """Return floating-point numbers in another precision, and class indices as they are.

    x is an array, or parameters, or a list or dict of such.
    """
    if isinstance(x, dict):
        return {name: widened(part, dtype) for name, part in x.items()}
    if isinstance(x, list):
        return [widened(part, dtype) for part in x]
    return x if isinstance(x, np.ndarray) and x.dtype.kind != "f" else x.astype(dtype)


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


def epoch(run: Run) -> Iterator[tuple[Array, AnyArray]]:
    """Yield the minibatches of one epoch, in the order that a run's rng draws."""
    order = run.train.order(run.recipe.batch_size, run.rng)
    return run.train.batches(order, run.parameters.theta.dtype, run.rng)


def batches(run: Run) -> Iterator[tuple[Array, AnyArray]]:
    for _ in range(run.recipe.epochs):
        yield from epoch(run)


def take_step(
    parameters: Parameters, X: Array, target: AnyArray, settings: Settings
) -> tuple[float, Parameters]:
    """Take one step of training as it is, in place; return the loss before it, and the gradient."""
    grad = parameters.copy()  # not of zeros: an entry that nobody writes must be seen
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is reported
        loss, _ = train.backpropagate(parameters, X, target, settings.objective, out=grad)
        settings.optimizer.step(parameters.theta, grad.theta)
    return loss, grad


@dataclass(frozen=True)
class Call:
    """A row of the table, and what it was given.

    case   the arguments of the operation by name
    dy     the upstream gradient of a backward. None: the operation itself was called
    """

    op: Op
    case: Case
    dy: Array | None = None

    @property
    def numbers(self) -> int:
        arrays = (*self.case.values(), self.dy)
        return sum(array.size for array in arrays if isinstance(array, np.ndarray))

    def bounds(self, factors: float = 0.0) -> tuple[Array, ...]:
        """Bound the error of the value, or of each gradient."""
        if self.dy is None:
            return (judge.value_bound(self.op, self.case, factors),)
        return judge.gradient_bounds(self.op, self.case, self.dy, factors)

    def right(self) -> tuple[Numbers, ...]:
        if self.dy is None:
            return (judge.right_value(self.op, self.case),)
        return judge.right_gradients(self.op, self.case, self.dy)

    def element(self, part: int, index: Index) -> tuple[Call, Index]:
        """Return a small case of this row that has an element of a result, and its place.

        A mean loss needs all of its case, and so does its gradient.
        """
        if "reduction" in self.case:
            return self, index
        name = "" if self.dy is None else self.op.inputs[part]
        smaller = SMALLER.get(self.op.function, _entry)
        case, dy, place = smaller(self.case, self.dy, name, index)
        return replace(self, case=case, dy=dy), place

    def judge(self, device: str = "cpu", *precisions: Precision) -> list[Verdict]:
        """Judge the row on this case, as `python -m parity ops` does.

        Options  precisions   of torch's products, and the one that they are judged as
        """
        return judge.judge(self.op, self.case, 0, (device,), *precisions, dy=self.dy)

    def code(self, device: str = "cpu", *precisions: Precision) -> str:
        """Return a program that judges the row on this case and prints the verdicts."""
        from parity.search import reproduction  # brings Hypothesis

        return reproduction(self.op, self.case, 0, (device,), *precisions, dy=self.dy)


def of_layers(parameters: Parameters, outputs: list[Array]) -> list[Call]:
    layers = zip(parameters.layers, outputs, parameters.views, strict=False)
    return [of_layer(*layer) for layer in layers]


def of_layer(layer: Layer, x: Array, parameters: tuple[Array, ...]) -> Call:
    """Return the call of a layer's operation. The options of an activation are those of its row.

    Raises   ValueError for a layer whose operation has no row
    """
    if layer.op not in OPS:
        raise ValueError(f"the table of operations has no row for the layer {layer!r}: {layer.op}")
    op = OPS[layer.op]
    options = {} if layer.shapes else dict(vars(layer))
    return Call(op, dict(zip(op.inputs, (x, *parameters), strict=True)) | options)


def of_objective(objective: Objective, z: Array, target: AnyArray) -> Call:
    """Return the call of an objective's operation; the target is as the data set has it.

    Raises   ValueError for an objective whose operation has no row for such targets
    """
    target = objective.prepared(z, target)
    indices = target.dtype.kind in "iu"
    rows = (op for op in OPS.values() if op.function == objective.op and op.labelled == indices)
    op = next(rows, None)
    if op is None:
        kind = "class indices" if indices else "real numbers"
        raise ValueError(
            f"the table of operations has no row for the objective {objective!r}: "
            f"{objective.op} of {kind}"
        )
    options = {
        name: value.astype(z.dtype) if isinstance(value, np.ndarray) else value
        for name, value in objective.options.items()
    }
    return Call(op, {op.inputs[0]: z, "target": target, **options})


# A small case that has an element of a result: of the gradient for the argument `name`, or of
# the value, where the name is empty


def _one(i: int) -> slice:
    return slice(i, i + 1)


def _entry(case: Case, dy: Array | None, _: str, index: Index) -> Smaller:
    one = tuple(map(_one, index))
    cut = {k: v[one] if isinstance(v, np.ndarray) else v for k, v in case.items()}
    return cut, None if dy is None else dy[one], (0,) * len(index)


def _linear(case: Case, dY: Array | None, name: str, index: Index) -> Smaller:
    """Return row n, feature d and output h alone, or all of those that the element sums over."""
    one = [*map(_one, index)]
    parts = {"X": (*one, EVERY), "W": (EVERY, *one), "b": (EVERY, _one(0), *one)}
    n, d, h = parts.get(name, (one[0], EVERY, one[-1]))
    cut = {"X": case["X"][n, d], "W": case["W"][d, h], "b": case["b"][h]}
    return cut, None if dY is None else dY[n, h], (0,) * len(index)


def _row(case: Case, dY: Array | None, name: str, index: Index) -> Smaller:
    """Return row n alone, or all of the case for the gradient of a parameter."""
    if name not in ("", "X"):
        return case, dY, index
    n, *rest = index
    one = None if dY is None else dY[_one(n)]
    return case | {"X": case["X"][_one(n)]}, one, (0, *rest)


SMALLER: dict[str, Callable[[Case, Array | None, str, Index], Smaller]]
SMALLER = {"linear": _linear, "kronecker_linear": _row}
