"""The table of operations: a row for each, with all that is known of it.

Each side of an operation is a function of one name in one module. All take the arguments of a case
by name. A row says what else there is to know. A variant, as "linear, without a bias", is a row of
the same functions on other cases.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

import scratchnn.functional as F
from parity import bounds, cases, loss_bounds, oracle, theirs
from parity.cases import Case, Dtype, Example, Generate
from scratchnn.ops.shared import Array

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Function: TypeAlias = Callable[..., Any]

# The modules that have a part of an operation, and how its name there ends.
SIDES: dict[str, tuple[str, tuple[ModuleType, ...]]] = {
    "ours": ("", (F,)),
    "backward": ("_backward", (F,)),
    "theirs": ("", (theirs,)),
    "exact": ("", (oracle,)),
    "exact_backward": ("_backward", (oracle,)),
    "bound": ("", (bounds, loss_bounds)),
    "backward_bound": ("_backward", (bounds, loss_bounds)),
}


def _side(part: str) -> property:
    """Return a property of a row: one side's function.

    Raises   LookupError that says where to write it
    """

    def function(op: Op) -> Function:
        if found := op.find(part):
            return found
        ending, modules = SIDES[part]
        places, name = " or ".join(module.__name__ for module in modules), op.function + ending
        raise LookupError(f"{places} has no {name} yet: it must be written there")

    return property(function)


@dataclass(frozen=True)
class Op:
    """A row: an operation, its differentiable inputs, and its sample inputs.

    name        the function's name, and after a comma what is special about this variant of it
    inputs      the arrays that it is differentiated in, in the order of its arguments
    generate    draws a case: see cases.py
    example     makes a case around given logits, with every option
    products    it multiplies matrices, and its bounds take `factors`, for TF32
    result      what its result is called, where a backward may be given it in place of the input
    extremes    the cases of cases.EXTREMES that make sense for it
    convention  where torch and the textbook differ, in a line
    hand        pairs of a case at default options, as lists, and the value that one finds by hand

    Its functions, each looked up by name:

    ours, backward          scratchnn's: a case → the value; dy and a case → a gradient, or a tuple
    theirs                  torch's, of tensors
    exact, exact_backward   the right answers, of arguments with digits to spare
    bound, backward_bound   their errors' bounds, of arguments in float64, u, and `factors`
    """

    name: str
    inputs: tuple[str, ...]
    generate: Generate
    example: Example
    products: bool = False
    result: str = ""
    extremes: tuple[str, ...] = cases.PLAIN
    convention: str = ""
    hand: tuple[tuple[Case, object], ...] = ()

    ours, backward, theirs, exact, exact_backward, bound, backward_bound = map(_side, SIDES)

    @property
    def function(self) -> str:
        """The name of its functions: that of the row, without the variant."""
        return self.name.partition(",")[0]

    def find(self, part: str) -> Function | None:
        """Return the function of one of SIDES, or None where nobody has written it yet."""
        if part == "theirs":
            return self._of_torch()
        ending, modules = SIDES[part]
        found = (getattr(module, f"{self.function}{ending}", None) for module in modules)
        return next(filter(None, found), None)

    def _of_torch(self) -> Function | None:
        try:
            return theirs.operation(self.function, self.inputs[0])
        except LookupError:
            return None

    @property
    def missing(self) -> tuple[str, ...]:
        """What nobody has written yet, of theirs, exact, exact_backward, bound, backward_bound."""
        return tuple(part for part in [*SIDES][2:] if self.find(part) is None)

    @cached_property
    def labelled(self) -> bool:
        """Whether its target is class indices: an array that it is not differentiated in."""
        return "target" in self.typical(np.float32) and "target" not in self.inputs

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arrays that it takes by position: its inputs, and labels where it has some."""
        return (*self.inputs, "target") if self.labelled else self.inputs

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The names of what a case has in addition to these arrays."""
        return tuple(name for name in self.typical(np.float32) if name not in self.arguments)

    @cached_property
    def defaults(self) -> dict[str, object]:
        """The default of each option."""
        parameters = inspect.signature(self.ours).parameters
        return {option: parameters[option].default for option in self.options}

    @property
    def backward_takes_result(self) -> bool:
        """Whether our backward takes the result of the forward, to save work."""
        return self.result in inspect.signature(self.backward).parameters

    def cases(self, dtype: Dtype) -> SearchStrategy[Case]:
        """Return Hypothesis's strategy of generated cases."""
        return cases.strategy(self.generate, dtype)

    def typical(self, dtype: DTypeLike, rows: int = 6, classes: int = 4) -> Case:
        """Return a case with every option set; its numbers are standard normal."""
        return self._example((rows, classes, 7) if self.products else (rows, classes), dtype, 0)

    def plain(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32, seed: int = 0) -> Case:
        """Return a case of arrays alone, so at default options; no label is ignored.

        Shapes   (N, C), or (N, D, H) of a layer
        """
        example = self._example(shape, dtype, seed)
        case = {name: example[name] for name in self.arguments}
        return case | {"target": np.maximum(case["target"], 0)} if self.labelled else case

    def _example(self, shape: tuple[int, ...], dtype: DTypeLike, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        z, other = (rng.normal(size=(shape[0], n)).astype(dtype) for n in (shape[1], shape[-1]))
        return self.example(z, other, rng)

    def extreme(self, name: str, dtype: DTypeLike) -> Case:
        """Return one of its extreme cases."""
        z, rng = np.array(cases.EXTREMES[name], dtype), np.random.default_rng(0)
        case = self.example(z, rng.normal(size=z.shape).astype(dtype), rng)
        if self.labelled:
            return case | {"target": np.array([2, 0])[: len(z)] % z.shape[1]}
        one_hot = {"target": np.eye(len(z), z.shape[1], 1, z.dtype)}
        return case | one_hot if name == cases.ONE_HOT else case

    def hand_cases(self) -> Iterator[tuple[Case, Array]]:
        """Yield the hand-written cases as arrays of float64 and labels, and their values."""
        for given, value in self.hand:
            arrays = {name: np.asarray(given[name]) for name in self.arguments}
            floats = {name: arrays[name].astype(float) for name in self.inputs}
            yield {**self.defaults, **given, **arrays, **floats}, np.asarray(value, float)


def as_tuple(gradients: Any) -> tuple[Any, ...]:
    """Return what a backward returned, one gradient or a tuple of them, as a tuple."""
    return gradients if isinstance(gradients, tuple) else (gradients,)


CONVENTIONS = {
    "linear": "the weight is (D, H) and Y = X W + b; torch keeps (H, D), and has Y = X Wᵀ + b",
    "kronecker_linear": "torch has no such layer: its weight is made by torch.kron",
    "relu": "the slope at 0 is 0, as torch's",
    "softplus": "where beta z > threshold it is z itself, as torch's",
    "nll_loss": "the mean divides by the sum of the targets' weights, as torch's, and not by N",
    "cross_entropy, probabilities": "the mean divides by the number of rows, as torch's, whatever "
    "the weights are",
    "binary_cross_entropy_with_logits": "the target is floats of the logits' shape, as torch's, "
    "not class indices",
    "kl_div": '"mean" divides by N C, as torch\'s; the divergence is "batchmean"',
    "squared_loss": "it has a 1/2; torch has no such loss",
    "mse_loss": "it has no 1/2: that is squared_loss",
    "smooth_l1_loss": "it is Huber's loss divided by beta, as torch's",
}
CONVENTIONS["linear, without a bias"] = CONVENTIONS["linear"]
CONVENTIONS["cross_entropy"] = CONVENTIONS["nll_loss"]


def _row(name: str, *inputs: str, samples: str = "", **known: Any) -> Op:
    """Return a row. cases.py has its samples under `samples`; default: under `name`."""
    generate, example = getattr(cases, samples or name), cases.EXAMPLES[samples or name]
    hand, convention = cases.HAND.get(name, ()), CONVENTIONS.get(name, "")
    return Op(name, inputs, generate, example, hand=hand, convention=convention, **known)


ROWS = [
    _row("linear", "X", "W", "b", products=True),
    _row("linear, without a bias", "X", "W", samples="without_bias", products=True),
    _row("kronecker_linear", "X", "A", "S", "b", products=True),
    _row("relu", "z", samples="elementwise", result="y", extremes=cases.LOGITS),
    _row("sigmoid", "z", samples="elementwise", result="p", extremes=cases.LOGITS),
    _row("tanh", "z", samples="elementwise", result="y", extremes=cases.LOGITS),
    _row("softplus", "z", extremes=cases.LOGITS),
    _row("softmax", "z", result="p", extremes=cases.MASKED),
    _row("log_softmax", "z", samples="softmax", result="log_p", extremes=cases.MASKED),
    _row("logsumexp", "z", extremes=cases.MASKED),
    _row("nll_loss", "log_p", extremes=cases.LOGITS),
    _row("cross_entropy", "z", extremes=cases.MASKED),
    _row(
        "cross_entropy, probabilities", "z", "target", samples="soft_labels", extremes=cases.SHARES
    ),
    _row("binary_cross_entropy_with_logits", "z", "target", extremes=cases.SHARES),
    _row("kl_div", "log_q", "target", extremes=(*cases.PLAIN, cases.ONE_HOT)),
    _row("squared_loss", "prediction", "target"),
    _row("mse_loss", "prediction", "target"),
    _row("l1_loss", "prediction", "target"),
    _row("huber_loss", "prediction", "target"),
    _row("smooth_l1_loss", "prediction", "target"),
]
OPS = {op.name: op for op in ROWS}
