"""The table of operations. One row an operation, and all that is known of it.

ours, torch's; the inputs to try; the right answer; how far rounding may lead away from it. Every
function of a row takes the arguments of the row's case by name; a backward takes dy before them and
returns the gradients in the order of `inputs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import scratchnn.functional as F
from parity import bounds, loss_bounds, oracle, strategies
from parity.later import conventions, torch
from parity.oracle import losses as loss_oracle
from scratchnn import kronecker
from scratchnn.arrays import Array
from scratchnn.reductions import Reduction


@dataclass(frozen=True)
class Op:
    """One operation: its differentiable inputs, its sides, its oracle and its error bounds.

    `products`: it multiplies matrices, and its bounds take `factors`, for TF32. `options`: what
    goes by name. `labelled`: its target is class indices. `of_result`: a backward may take its
    result in place of its input. `convention`: where torch and the textbook differ, in a line.
    """

    name: str
    inputs: tuple[str, ...]
    cases: Callable[[Any], Any]
    ours: Callable[..., Array]
    backward: Callable[..., tuple[Array, ...]]
    torch: Callable[..., Any]
    exact: Callable[..., Any]
    exact_backward: Callable[..., tuple[Any, ...]]
    bound: Callable[..., Array]
    backward_bound: Callable[..., tuple[Array, ...]]
    products: bool = False
    options: tuple[str, ...] = ()
    labelled: bool = False
    of_result: bool = False
    convention: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arrays that it takes by position: its inputs, and labels where it has some."""
        return (*self.inputs, "target") if self.labelled else self.inputs


WEIGHT = "the weight is (D, H) and Y = X W + b; torch keeps (H, D), and has Y = X Wᵀ + b"
WEIGHTED_MEAN = "the mean divides by the sum of the targets' weights, as torch's, and not by N"
ROWS_MEAN = "the mean divides by the number of rows, as torch's, whatever the weights are"


def _difference_op(
    ours: Callable[..., Array],
    backward: Callable[..., Array],
    *options: str,
    convention: str = "",
) -> Op:
    """Return the row of a loss of prediction - target, differentiable in both."""

    backward_target = getattr(F, f"{backward.__name__}_target")

    def each(dy: Array, **case: Any) -> tuple[Array, ...]:
        return backward(dy, **case), backward_target(dy, **case)

    def bound(reduction: Reduction, u: float, **case: Any) -> Array:
        return loss_bounds.difference_loss(ours(**case, reduction="none"), reduction, u)

    def backward_bound(dy: Array, reduction: Reduction, u: float, **case: Any) -> tuple[Array, ...]:
        ones = np.ones_like(case["prediction"])
        slope = backward(ones, **case, reduction="none")
        return loss_bounds.difference_loss_backward(dy, slope, reduction, u)

    name, option = ours.__name__, dict.fromkeys(options, "edge")

    def theirs(prediction: Any, **case: Any) -> Any:
        module = conventions if name == "squared_loss" else torch.nn.functional
        return getattr(module, name)(prediction, **case)

    def exact(**case: Any) -> Any:
        return loss_oracle.difference_loss(name, **_renamed(case, option))

    def exact_backward(dy: Any, **case: Any) -> tuple[Any, ...]:
        return loss_oracle.difference_loss_backward(name, dy, **_renamed(case, option))

    return Op(
        name, ("prediction", "target"), strategies.regression(*options),
        ours, each, theirs,
        exact, exact_backward, bound, backward_bound,
        options=("reduction", *options), convention=convention,
    )  # fmt: skip


def _renamed(case: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in case.items()}


OPS = {
    op.name: op
    for op in (
        Op(
            "linear", ("X", "W", "b"), strategies.dense_layer,
            F.linear,
            lambda dy, X, W, b: F.linear_backward(dy, X, W),
            lambda X, W, b: torch.nn.functional.linear(X, W.T, b),
            oracle.linear,
            lambda dy, X, W, b: oracle.linear_backward(dy, X, W),
            bounds.linear,
            lambda dy, X, W, b, u, factors: (
                bounds.linear_backward_input(dy, W, u, factors),
                *bounds.linear_backward_parameters(dy, X, u, factors),
            ),
            products=True, convention=WEIGHT,
        ),
        Op(
            "linear, without a bias", ("X", "W"), strategies.layer_without_bias,
            F.linear,
            lambda dy, X, W: F.linear_backward(dy, X, W)[:2],
            lambda X, W: torch.nn.functional.linear(X, W.T),
            oracle.linear,
            lambda dy, X, W: oracle.linear_backward(dy, X, W)[:2],
            lambda X, W, **precision: bounds.linear(X, W, None, **precision),
            lambda dy, X, W, u, factors: (
                bounds.linear_backward_input(dy, W, u, factors),
                bounds.linear_backward_parameters(dy, X, u, factors)[0],
            ),
            products=True, convention=WEIGHT,
        ),
        Op(
            "kronecker_linear", ("X", "A", "S", "b"), strategies.structured_layer,
            kronecker.kronecker_linear,
            lambda dy, X, A, S, b: kronecker.kronecker_linear_backward(dy, X, A, S),
            lambda **case: conventions.kronecker_linear(**case),
            oracle.kronecker_linear,
            lambda dy, X, A, S, b: oracle.kronecker_linear_backward(dy, X, A, S),
            bounds.kronecker_linear,
            lambda dy, X, A, S, b, u, factors: (
                bounds.kronecker_backward_input(dy, A, S, u, factors),
                *bounds.kronecker_backward_parameters(dy, X, A, S, u, factors),
            ),
            products=True, convention="torch has no such layer: its weight is made by torch.kron",
        ),
        Op(
            "relu", ("z",), strategies.elementwise,
            F.relu,
            lambda dy, z: (F.relu_backward(dy, F.relu(z)),),
            lambda z: torch.relu(z),
            oracle.relu, lambda dy, z: (oracle.relu_backward(dy, z),),
            bounds.relu,
            lambda dy, z, u: (bounds.relu(z, u),),
            of_result=True, convention="the slope at 0 is 0, as torch's",
        ),
        Op(
            "sigmoid", ("z",), strategies.elementwise,
            F.sigmoid,
            lambda dy, z: (F.sigmoid_backward(dy, z),),
            lambda z: torch.sigmoid(z),
            oracle.sigmoid, lambda dy, z: (oracle.sigmoid_backward(dy, z),),
            bounds.sigmoid,
            lambda dy, z, u: (bounds.sigmoid_backward(dy, z, u),),
            of_result=True,
        ),
        Op(
            "softmax", ("z",), strategies.along_axis,
            F.softmax,
            lambda dy, z, axis: (F.softmax_backward(dy, F.softmax(z, axis), axis),),
            lambda z, axis: torch.softmax(z, axis),
            oracle.softmax, lambda dy, z, axis: (oracle.softmax_backward(dy, z, axis),),
            bounds.softmax,
            lambda dy, z, axis, u: (bounds.softmax_backward(dy, z, axis, u),),
            options=("axis",), of_result=True,
        ),
        Op(
            "log_softmax", ("z",), strategies.along_axis,
            F.log_softmax,
            lambda dy, z, axis: (F.log_softmax_backward(dy, F.log_softmax(z, axis), axis),),
            lambda z, axis: torch.log_softmax(z, axis),
            oracle.log_softmax, lambda dy, z, axis: (oracle.log_softmax_backward(dy, z, axis),),
            bounds.log_softmax,
            lambda dy, z, axis, u: (bounds.log_softmax_backward(dy, z, axis, u),),
            options=("axis",), of_result=True,
        ),
        Op(
            "logsumexp", ("z",), strategies.reduced_axis,
            F.logsumexp,
            lambda dy, z, **options: (F.logsumexp_backward(dy, z, **options),),
            lambda z, axis, keepdims=False: torch.logsumexp(z, axis, keepdims),
            oracle.logsumexp,
            lambda dy, z, **options: (oracle.logsumexp_backward(dy, z, **options),),
            lambda z, axis, u, keepdims=False: (
                bounds.logsumexp(z, axis, u) if keepdims
                else bounds.logsumexp(z, axis, u).squeeze(axis)
            ),
            lambda dy, z, axis, u, keepdims=False: (
                bounds.logsumexp_backward(
                    dy if keepdims else np.expand_dims(dy, axis), z, axis, u
                ),
            ),
            options=("axis", "keepdims"),
        ),
        Op(
            "nll_loss", ("log_p",), strategies.class_indices("log_p", smoothing=False),
            F.nll_loss,
            lambda dy, log_p, **options: (F.nll_loss_backward(dy, log_p, **options),),
            lambda log_p, **options: torch.nn.functional.nll_loss(log_p, **options),
            loss_oracle.nll_loss, loss_oracle.nll_loss_backward,
            loss_bounds.nll_loss,
            lambda dy, log_p, **options: (loss_bounds.nll_loss_backward(dy, log_p, **options),),
            options=("reduction", "weight", "ignore_index"), labelled=True,
            convention=WEIGHTED_MEAN,
        ),
        Op(
            "cross_entropy", ("z",), strategies.class_indices("z", smoothing=True),
            F.cross_entropy,
            lambda dy, z, **options: (F.cross_entropy_backward(dy, z, **options),),
            lambda z, **options: torch.nn.functional.cross_entropy(z, **options),
            loss_oracle.cross_entropy, loss_oracle.cross_entropy_backward,
            loss_bounds.cross_entropy,
            lambda dy, z, **options: (loss_bounds.cross_entropy_backward(dy, z, **options),),
            options=("reduction", "weight", "ignore_index", "label_smoothing"), labelled=True,
            convention=WEIGHTED_MEAN,
        ),
        Op(
            "cross_entropy, probabilities", ("z", "target"), strategies.class_probabilities,
            F.cross_entropy,
            lambda dy, z, **options: (
                F.cross_entropy_backward(dy, z, **options),
                F.cross_entropy_backward_target(dy, z, **options),
            ),
            lambda z, **options: torch.nn.functional.cross_entropy(z, **options),
            loss_oracle.cross_entropy, loss_oracle.cross_entropy_backward,
            loss_bounds.cross_entropy,
            lambda dy, z, **options: (
                loss_bounds.cross_entropy_backward(dy, z, **options),
                loss_bounds.cross_entropy_backward_target(dy, z, **options),
            ),
            options=("reduction", "weight", "label_smoothing"), convention=ROWS_MEAN,
        ),
        Op(
            "binary_cross_entropy_with_logits", ("z", "target"), strategies.yes_or_no,
            F.binary_cross_entropy_with_logits,
            lambda dy, z, **options: (
                F.binary_cross_entropy_with_logits_backward(dy, z, **options),
                F.binary_cross_entropy_with_logits_backward_target(dy, z, **options),
            ),
            lambda z, **options: torch.nn.functional.binary_cross_entropy_with_logits(z, **options),
            loss_oracle.binary_cross_entropy_with_logits,
            loss_oracle.binary_cross_entropy_with_logits_backward,
            loss_bounds.binary_cross_entropy_with_logits,
            lambda dy, z, **options: (
                loss_bounds.binary_cross_entropy_with_logits_backward(dy, z, **options),
                loss_bounds.binary_cross_entropy_with_logits_backward_target(dy, z, **options),
            ),
            options=("reduction", "weight", "pos_weight"),
            convention="the target is floats of the logits' shape, as torch's, not class indices",
        ),
        Op(
            "kl_div", ("log_q", "target"), strategies.log_probabilities,
            F.kl_div,
            lambda dy, log_q, **options: (
                F.kl_div_backward(dy, log_q, **options),
                F.kl_div_backward_target(dy, log_q, **options),
            ),
            lambda log_q, **options: conventions.kl_div(log_q, **options),
            loss_oracle.kl_div, loss_oracle.kl_div_backward,
            loss_bounds.kl_div,
            loss_bounds.kl_div_backward,
            options=("reduction", "log_target"),
            convention='"mean" divides by N C, as torch\'s; the divergence is "batchmean"',
        ),
        _difference_op(
            F.squared_loss, F.squared_loss_backward,
            convention="it has a 1/2; torch has no such loss",
        ),
        _difference_op(
            F.mse_loss, F.mse_loss_backward, convention="it has no 1/2: that is squared_loss"
        ),
        _difference_op(F.l1_loss, F.l1_loss_backward),
        _difference_op(F.huber_loss, F.huber_loss_backward, "delta"),
        _difference_op(
            F.smooth_l1_loss, F.smooth_l1_loss_backward, "beta",
            convention="it is Huber's loss divided by beta, as torch's",
        ),
    )
}  # fmt: skip
