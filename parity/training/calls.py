"""What a training step is made of: rows of the table, each on the numbers that torch had.

A `Call` is a row and its arguments. A `Quantity` is a result of a call, or of a whole step, as
both sides have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from parity import bounds, judge
from parity.cases import Case
from parity.digits import Numbers
from parity.judge import Difference, Index, Verdict, compare, incomparable
from parity.ops import OPS, Op
from scratchnn.layers import Layer
from scratchnn.objectives import Objective
from scratchnn.ops.shared import AnyArray, Array

if TYPE_CHECKING:
    from parity.devices import Precision

EVERY = slice(None)
Smaller: TypeAlias = "Callable[[Case, Array | None, str, Index], tuple[Case, Array | None, Index]]"


class Source(Protocol):
    """What computed some results of a step."""

    def right(self) -> Sequence[Numbers]:
        """Return the right results, in arithmetic with digits to spare."""

    def element(self, part: int, index: Index) -> tuple[Source, Index]:
        """Return the smallest source that has an element of a result, and its place there."""


@dataclass(frozen=True)
class Call:
    """A row of the table, and what it was given.

    case   the arguments of the operation by name
    dy     the upstream gradient of a backward. None: the operation itself was called
    each   whether it is a function of each entry
    """

    op: Op
    case: Case
    dy: Array | None = None
    each: bool = False

    @property
    def numbers(self) -> int:
        """How many numbers it is made of."""
        arrays = (*self.case.values(), self.dy)
        return sum(array.size for array in arrays if isinstance(array, np.ndarray))

    def bounds(self, factors: float = 0.0) -> tuple[Array, ...]:
        """Bound the error of the value, or of each gradient."""
        if self.dy is None:
            return (judge.value_bound(self.op, self.case, factors),)
        return judge.gradient_bounds(self.op, self.case, self.dy, factors)

    def right(self) -> tuple[Numbers, ...]:
        """Return the right value, or the right gradients."""
        if self.dy is None:
            return (judge.right_value(self.op, self.case),)
        return judge.right_gradients(self.op, self.case, self.dy)

    def element(self, part: int, index: Index) -> tuple[Call, Index]:
        """Return the smallest case of this row that has an element of a result, and its place.

        A mean loss needs all of its case, and so does its gradient.
        """
        smaller = _entry if self.each else SMALLER.get(self.op.function)
        if smaller is None:
            return self, index
        name = "" if self.dy is None else self.op.inputs[part]
        case, dy, place = smaller(self.case, self.dy, name, index)
        return replace(self, case=case, dy=dy), place

    def right_in_numpy(self) -> bool:
        """Return whether our function of the table is right on this case."""
        verdicts = judge.judge(self.op, self.case, on=(), dy=self.dy)
        return all(verdict.holds for verdict in verdicts)

    def judge(
        self,
        device: str = "cpu",
        precision: Precision = "ieee",
        judged_as: Precision | None = None,
    ) -> list[Verdict]:
        """Judge the row on this case, as `python -m parity ops` does."""
        on = (device,)
        return judge.judge(self.op, self.case, 0, on, precision, judged_as, dy=self.dy)

    def code(
        self,
        device: str = "cpu",
        precision: Precision = "ieee",
        judged_as: Precision | None = None,
    ) -> str:
        """Return a program that judges the row on this case and prints the verdicts."""
        from parity.search import reproduction  # brings Hypothesis

        on = (device,)
        return reproduction(self.op, self.case, 0, on, precision, judged_as=judged_as, dy=self.dy)


@dataclass(frozen=True)
class Quantity:
    """Something that both sides computed, and how wrong each may be.

    kind         groups quantities in a report: outputs, loss, gradient or parameters
    name         as "layer 1 dW"
    bound        of the error of torch's
    ours_bound   of ours: never that of TF32
    source       what computed it
    part         which result of the source it is
    """

    kind: str
    name: str
    ours: Array
    torch: Array
    bound: Array
    ours_bound: Array
    source: Source
    part: int

    @property
    def unbounded(self) -> bool:
        """Whether the bound of some entry is infinite or NaN, and says nothing."""
        return not (np.isfinite(self.bound).all() and np.isfinite(self.ours_bound).all())

    def difference(self) -> Difference:
        """Compare entry by entry within the bounds of both sides.

        An entry whose bound says nothing holds. What has another dtype or shape than torch's never
        holds, and the reason says so.
        """
        torch = self.torch
        for what in ("dtype", "shape"):
            ours, theirs = getattr(self.ours, what), getattr(torch, what)
            if ours != theirs:
                reason = f"{self.name}: {what} must be torch's {theirs}, NumPy has {ours}"
                return incomparable(self.name, reason)
        tolerance = bounds.tolerance((self.ours_bound + self.bound) / 2, torch.dtype)
        if self.unbounded:
            torch = np.where(np.isfinite(tolerance), torch, self.ours)
        return compare(self.name, self.ours, torch, tolerance)


def numbered(layers: Sequence[Layer]) -> list[str]:
    """Return "layer 1" for the first layer with weights and the activations after it, and so on."""
    numbers = accumulate(int(bool(layer.shapes)) for layer in layers)
    return [f"layer {number}" for number in numbers]


def of_layer(layer: Layer, x: Array, parameters: tuple[Array, ...]) -> Call:
    """Return the call of a layer's operation. The options of an activation are those of its row.

    Raises   ValueError for a layer whose operation has no row
    """
    if layer.op not in OPS:
        raise ValueError(f"the table of operations has no row for the layer {layer!r}: {layer.op}")
    op = OPS[layer.op]
    options = {} if layer.shapes else dict(vars(layer))
    arrays = dict(zip(op.inputs, (x, *parameters), strict=True))
    return Call(op, arrays | options, each=not layer.shapes)


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


# The smallest case that has an element of a result


def _entry(
    case: Case,
    dy: Array | None,
    name: str,  # noqa: ARG001
    index: Index,
) -> tuple[Case, Array | None, Index]:
    """Return a single entry of each array."""
    one = tuple(map(_one, index))
    cut = {k: v[one] if isinstance(v, np.ndarray) else v for k, v in case.items()}
    return cut, None if dy is None else dy[one], (0,) * len(index)


def _linear(
    case: Case, dY: Array | None, name: str, index: Index
) -> tuple[Case, Array | None, Index]:
    """Return row n, feature d and output h alone, or all of those that the element sums over."""
    match name:
        case "X":
            n, d, h = _one(index[0]), _one(index[1]), EVERY
        case "W":
            n, d, h = EVERY, _one(index[0]), _one(index[1])
        case "b":
            n, d, h = EVERY, _one(0), _one(index[0])
        case _:
            n, d, h = _one(index[0]), EVERY, _one(index[1])
    cut = {"X": case["X"][n, d], "W": case["W"][d, h], "b": case["b"][h]}
    return cut, None if dY is None else dY[n, h], (0,) * len(index)


def _kronecker(
    case: Case, dY: Array | None, name: str, index: Index
) -> tuple[Case, Array | None, Index]:
    """Return a smaller sum of Kronecker products.

    S has the shape (n, P, Q). Feature a P + p meets row a of each A_i and row p of each S_i, and
    output c Q + q their columns c and q. So p or q alone makes a smaller sum. An element of dA is
    made of one A_iac, S_i, block a of the features and block c of the outputs: a sum with n = 1.
    """
    X, A, S, b = (case[name] for name in ("X", "A", "S", "b"))
    n, P, Q = S.shape
    blocks = (n, P), (n, Q)
    X, b = X.reshape(-1, *blocks[0]), b.reshape(blocks[1])
    dY = None if dY is None else dY.reshape(-1, *blocks[1])
    rows, a, c, p, q = EVERY, EVERY, EVERY, EVERY, EVERY
    place: Index
    match name:
        case "A":
            i, a, c, place = *map(_one, index), (0, 0, 0)
            A, S = A[i, a, c], S[i]
        case "S":
            p, q, place = _one(index[1]), _one(index[2]), (index[0], 0, 0)
        case "b":
            p, q, place = _one(0), _one(index[0] % Q), (index[0] // Q,)
        case "X":
            rows, p, place = _one(index[0]), _one(index[1] % P), (0, index[1] // P)
        case _:
            rows, q, place = _one(index[0]), _one(index[1] % Q), (0, index[1] // Q)
    X, S = X[rows, a, p], S[:, p, q]
    cut = {"X": X.reshape(len(X), -1), "A": A, "S": S, "b": b[c, q].ravel()}
    return cut, None if dY is None else dY[rows, c, q].reshape(len(X), -1), place


def _one(i: int) -> slice:
    return slice(i, i + 1)


SMALLER: dict[str, Smaller] = {"linear": _linear, "kronecker_linear": _kronecker}
