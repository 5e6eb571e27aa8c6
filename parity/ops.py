"""The table of operations: a row for each, with all that is known of it.

Each side of an operation is a function of one name in one module: functional has ours, theirs
torch's, oracle the right answers, bounds (or loss_bounds) how far rounding may lead away from them.
All take the arguments of a case by name. A row says what else there is to know. A variant, as
"linear, without a bias", is a row of the same functions on other cases.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
PARTS = ("theirs", "exact", "exact_backward", "bound", "backward_bound")


@dataclass(frozen=True)
class Op:
    """A row: an operation, its differentiable inputs, and its sample inputs.

    name        the function's name, and after a comma what is special about this variant of it
    inputs      the arrays that it is differentiated in, in the order of its arguments
    generate    draws a case: see cases.py
    example     makes a case around given logits
    options     what a case gives besides arrays
    labelled    its target is class indices: an array that it is not differentiated in
    products    it multiplies matrices, and its bounds take `factors`, for TF32
    result      what its result is called, where a backward may be given it in place of the input
    extremes    the cases of cases.EXTREMES that make sense for it
    convention  where torch and the textbook differ, in a line
    hand        pairs of a case at default options, as lists, and the value that one finds by hand
    """

    name: str
    inputs: tuple[str, ...]
    generate: Generate
    example: Example
    options: tuple[str, ...] = ()
    labelled: bool = False
    products: bool = False
    result: str = ""
    extremes: tuple[str, ...] = cases.PLAIN
    convention: str = ""
    hand: tuple[tuple[Case, object], ...] = ()

    @property
    def function(self) -> str:
        """The name of its functions: that of the row, without the variant."""
        return self.name.partition(",")[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arrays that it takes by position: its inputs, and labels where it has some."""
        return (*self.inputs, "target") if self.labelled else self.inputs

    @property
    def ours(self) -> Function:
        """scratchnn's function."""
        return _found(self.function, F)

    @property
    def backward(self) -> Function:
        """scratchnn's backward: dy and the arguments of a case → a gradient, or a tuple of them."""
        return _found(f"{self.function}_backward", F)

    @property
    def theirs(self) -> Function:
        """torch's function, of tensors."""
        return _found(self.function, theirs)

    @property
    def exact(self) -> Function:
        """The right answer, of arguments with digits to spare."""
        return _found(self.function, oracle)

    @property
    def exact_backward(self) -> Function:
        """The right gradients."""
        return _found(f"{self.function}_backward", oracle)

    @property
    def bound(self) -> Function:
        """The bound of the value's error, of arguments in float64, u, and factors of products."""
        return _found(self.function, bounds, loss_bounds)

    @property
    def backward_bound(self) -> Function:
        """The bounds of the gradients' errors."""
        return _found(f"{self.function}_backward", bounds, loss_bounds)

    @property
    def missing(self) -> tuple[str, ...]:
        """What nobody has written yet, of theirs, exact, exact_backward, bound, backward_bound."""
        return tuple(part for part in PARTS if not _is_there(self, part))

    @property
    def defaults(self) -> dict[str, Any]:
        """The value of each option where nothing is said."""
        parameters = inspect.signature(self.ours).parameters
        return {option: parameters[option].default for option in self.options}

    @property
    def backward_takes_result(self) -> bool:
        """Whether our backward can be handed the result, to save it the work."""
        return self.result in inspect.signature(self.backward).parameters

    def cases(self, dtype: Dtype) -> SearchStrategy[Case]:
        """Return Hypothesis's strategy of generated cases."""
        return cases.strategy(self.generate, dtype)

    def typical(self, dtype: DTypeLike, rows: int = 6, classes: int = 4) -> Case:
        """Return a case with every option set; its numbers are standard normal."""
        rng = np.random.default_rng(0)
        shapes = (rows, classes), (rows, 7 if self.products else classes)
        z, other = (rng.normal(size=shape).astype(dtype) for shape in shapes)
        return self.example(z, other, rng)

    def plain(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32, seed: int = 0) -> Case:
        """Return a case of arrays alone, so at default options; no label is ignored.

        Shapes   (N, C), or (N, D, H) of a layer
        """
        rng = np.random.default_rng(seed)
        z, other = (rng.normal(size=(shape[0], n)).astype(dtype) for n in (shape[1], shape[-1]))
        case = {name: self.example(z, other, rng)[name] for name in self.arguments}
        return case | {"target": np.maximum(case["target"], 0)} if self.labelled else case

    def extreme(self, name: str, dtype: DTypeLike) -> Case:
        """Return one of its extreme cases."""
        z = np.array(cases.EXTREMES[name], dtype)
        rng = np.random.default_rng(0)
        case = self.example(z, rng.normal(size=(len(z), z.shape[1])).astype(dtype), rng)
        if self.labelled:
            return case | {"target": np.array([2, 0])[: len(z)] % z.shape[1]}
        if name == cases.ONE_HOT:
            return case | {"target": np.eye(len(z), z.shape[1], 1, z.dtype)}
        return case

    def hand_cases(self) -> Iterator[tuple[Case, Array]]:
        """Yield the hand-written cases as arrays of float64 and labels, and their values."""
        for given, value in self.hand:
            arrays = {name: np.asarray(given[name]) for name in self.arguments}
            floats = {name: arrays[name].astype(float) for name in self.inputs}
            yield {**self.defaults, **given, **arrays, **floats}, np.asarray(value, float)


def as_tuple(gradients: Any) -> tuple[Any, ...]:
    """Return what a backward returned, one gradient or a tuple of them, as a tuple."""
    return gradients if isinstance(gradients, tuple) else (gradients,)


def _found(name: str, *modules: ModuleType) -> Function:
    """Return the function of this name of the first module that has it.

    Raises   LookupError that says where to write it
    """
    for module in modules:
        if hasattr(module, name):
            return getattr(module, name)
    places = " or ".join(module.__name__ for module in modules)
    raise LookupError(f"{places} has no {name} yet: it must be written there")


def _is_there(op: Op, part: str) -> bool:
    try:
        return getattr(op, part) is not None
    except LookupError:
        return False


def _difference(
    name: str, one: float, other: float, mean: float, *options: str, convention: str = ""
) -> Op:
    """Return the row of a loss of prediction - target: its mean for [one, other] against [1, 0]."""
    return Op(
        name,
        ("prediction", "target"),
        cases.regression(*options),
        cases.regression_example(*options),
        options=("reduction", *options),
        convention=convention,
        hand=(({"prediction": [[one, other]], "target": [[1, 0]]}, mean),),
    )


LN = np.log
WEIGHT = "the weight is (D, H) and Y = X W + b; torch keeps (H, D), and has Y = X Wᵀ + b"
WEIGHTED_MEAN = "the mean divides by the sum of the targets' weights, as torch's, and not by N"
ROWS_MEAN = "the mean divides by the number of rows, as torch's, whatever the weights are"
ROWS = [
    Op(
        "linear",
        ("X", "W", "b"),
        cases.linear,
        cases.linear_example,
        products=True,
        convention=WEIGHT,
        hand=(({"X": [[1, 2]], "W": [[3, 0, 1], [4, 1, 0]], "b": [1, 1, 1]}, [[12, 3, 2]]),),
    ),
    Op(
        "linear, without a bias",
        ("X", "W"),
        cases.without_bias,
        cases.without_bias_example,
        products=True,
        convention=WEIGHT,
        hand=(({"X": [[1, 2]], "W": [[3, 0, 1], [4, 1, 0]]}, [[11, 2, 1]]),),
    ),
    Op(
        "kronecker_linear",
        ("X", "A", "S", "b"),
        cases.kronecker_linear,
        cases.kronecker_linear_example,
        products=True,
        convention="torch has no such layer: its weight is made by torch.kron",
        hand=(({"X": [[1, 2]], "A": [[[2]]], "S": [[[3], [4]]], "b": [1]}, [[23]]),),
    ),
    Op(
        "relu",
        ("z",),
        cases.elementwise,
        cases.elementwise_example,
        result="y",
        extremes=cases.LOGITS,
        convention="the slope at 0 is 0, as torch's",
        hand=(({"z": [[-1, 0, 2]]}, [[0, 0, 2]]),),
    ),
    Op(
        "sigmoid",
        ("z",),
        cases.elementwise,
        cases.elementwise_example,
        result="p",
        extremes=cases.LOGITS,
        hand=(({"z": [[0, LN(3)]]}, [[1 / 2, 3 / 4]]),),
    ),
    Op(
        "softmax",
        ("z",),
        cases.softmax,
        cases.softmax_example,
        options=("axis", "dtype"),
        result="p",
        extremes=cases.MASKED,
        hand=(
            ({"z": [[1, 1], [2, 2], [3, 3]]}, [[1 / 2, 1 / 2]] * 3),
            ({"z": [[0, LN(3)], [LN(4), 0]]}, [[1 / 4, 3 / 4], [4 / 5, 1 / 5]]),
        ),
    ),
    Op(
        "log_softmax",
        ("z",),
        cases.softmax,
        cases.softmax_example,
        options=("axis", "dtype"),
        result="log_p",
        extremes=cases.MASKED,
        hand=(({"z": [[0, 0]]}, [[-LN(2), -LN(2)]]),),
    ),
    Op(
        "logsumexp",
        ("z",),
        cases.logsumexp,
        cases.logsumexp_example,
        options=("axis", "keepdims"),
        extremes=cases.MASKED,
        hand=(({"z": [[0, 0], [1, 1]]}, [LN(2), 1 + LN(2)]),),
    ),
    Op(
        "nll_loss",
        ("log_p",),
        cases.nll_loss,
        cases.nll_loss_example,
        options=("reduction", "weight", "ignore_index"),
        labelled=True,
        extremes=cases.LOGITS,
        convention=WEIGHTED_MEAN,
        hand=(({"log_p": [[-1, -2], [-3, -4]], "target": [0, 1]}, (1 + 4) / 2),),
    ),
    Op(
        "cross_entropy",
        ("z",),
        cases.cross_entropy,
        cases.cross_entropy_example,
        options=("reduction", "weight", "ignore_index", "label_smoothing"),
        labelled=True,
        extremes=cases.MASKED,
        convention=WEIGHTED_MEAN,
        hand=(
            ({"z": [[0, 0]], "target": [1]}, LN(2)),
            ({"z": [[0, 0, 0], [0, LN(2), 0]], "target": [2, 1]}, (LN(3) + LN(2)) / 2),
            ({"z": [[0.2, 0.1, -0.1]], "target": [0]}, 0.9729189131256584),
        ),
    ),
    Op(
        "cross_entropy, probabilities",
        ("z", "target"),
        cases.probabilities,
        cases.probabilities_example,
        options=("reduction", "weight", "label_smoothing"),
        extremes=(*cases.LOGITS, cases.ONE_HOT),
        convention=ROWS_MEAN,
        hand=(
            (
                {"z": [[0, 0], [0, LN(3)]], "target": [[0.1, 0.9], [0, 1]]},
                (LN(2) + LN(4 / 3)) / 2,
            ),
        ),
    ),
    Op(
        "binary_cross_entropy_with_logits",
        ("z", "target"),
        cases.yes_or_no,
        cases.yes_or_no_example,
        options=("reduction", "weight", "pos_weight"),
        extremes=(*cases.LOGITS, cases.ONE_HOT),
        convention="the target is floats of the logits' shape, as torch's, not class indices",
        hand=(({"z": [[0, LN(3)]], "target": [[1, 1]]}, (LN(2) + LN(4 / 3)) / 2),),
    ),
    Op(
        "kl_div",
        ("log_q", "target"),
        cases.kl_div,
        cases.kl_div_example,
        options=("reduction", "log_target"),
        extremes=(*cases.PLAIN, cases.ONE_HOT),
        convention='"mean" divides by N C, as torch\'s; the divergence is "batchmean"',
        hand=(
            (
                {"log_q": [[-LN(2), -LN(2)]], "target": [[1 / 4, 3 / 4]]},
                (3 / 4 * LN(3) - LN(2)) / 2,
            ),
        ),
    ),
    _difference("squared_loss", 3, 0, 1, convention="it has a 1/2; torch has no such loss"),
    _difference("mse_loss", 3, 0, 2, convention="it has no 1/2: that is squared_loss"),
    _difference("l1_loss", 3, 0, 1),
    _difference("huber_loss", 3, 0.5, (1.5 + 0.125) / 2, "delta"),
    _difference(
        "smooth_l1_loss",
        3,
        0.5,
        (1.5 + 0.125) / 2,
        "beta",
        convention="it is Huber's loss divided by beta, as torch's",
    ),
]
OPS = {op.name: op for op in ROWS}
