"""Our operations, each with its gradient, and how far another's results may be from them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn.arrays import Array


class Row(NamedTuple):
    """One operation: value and gradients from dy and the arguments, and the bounds of all of them.

    `wrt` are the arguments whose gradients are asked for. A bound takes u in addition.
    """

    wrt: tuple[str, ...]
    ours: Callable[..., tuple[Array, ...]]
    bound: Callable[..., tuple[Array, ...]]


def _through_value(f: Callable[[Array], Array], backward: Callable[[Array, Array], Array]) -> Any:
    """Return value and gradient of an operation whose backward takes its value."""

    def both(dy: Array, z: Array) -> tuple[Array, Array]:
        y = f(z)
        return y, backward(dy, y)

    return both


def _through_input(f: Callable[..., Array], backward: Callable[..., Array]) -> Any:
    """Return value and gradient of an operation whose backward takes its arguments."""
    return lambda dy, *args, **named: (f(*args, **named), backward(dy, *args, **named))


def _linear(dy: Array, X: Array, W: Array, b: Array) -> tuple[Array, ...]:
    return F.linear(X, W, b), *F.linear_backward(dy, X, W)


def _linear_bound(dy: Array, X: Array, W: Array, b: Array, u: float) -> tuple[Array, ...]:
    return (
        bounds.linear(X, W, b, u),
        bounds.linear_backward_input(dy, W, u),
        *bounds.linear_backward_parameters(dy, X, u),
    )


def _logsumexp_bound(dy: Array, z: Array, u: float) -> tuple[Array, ...]:
    value = bounds.logsumexp(z, -1, u).squeeze(-1)
    return value, bounds.logsumexp_backward(dy[:, None], z, -1, u)


def _of_difference(f: Callable[..., Array], backward: Callable[..., Array]) -> Row:
    """Return the row of a mean loss of prediction - target."""

    def bound(dy: Array, prediction: Array, target: Array, u: float) -> tuple[Array, ...]:
        losses = f(prediction, target, reduction="none")
        slope = backward(np.ones_like(prediction), prediction, target, reduction="none")
        value = loss_bounds.difference_loss(losses, "mean", u)
        return value, loss_bounds.difference_loss_backward(dy, slope, "mean", u)[0]

    return Row(("prediction",), _through_input(f, backward), bound)


def _cross_entropy_bound(dy: Array, z: Array, target: Array, u: float) -> tuple[Array, ...]:
    value = loss_bounds.cross_entropy(z, target, "mean", u)
    return value, loss_bounds.cross_entropy_backward(dy, z, target, "mean", u)


OPS: dict[str, Row] = {
    "linear": Row(("X", "W", "b"), _linear, _linear_bound),
    "relu": Row(
        ("z",),
        _through_value(F.relu, F.relu_backward),
        lambda dy, z, u: (bounds.relu(z, u), bounds.relu(z, u)),  # noqa: ARG005
    ),
    "sigmoid": Row(
        ("z",),
        _through_input(F.sigmoid, F.sigmoid_backward),
        lambda dy, z, u: (bounds.sigmoid(z, u), bounds.sigmoid_backward(dy, z, u)),
    ),
    "softmax": Row(
        ("z",),
        _through_value(F.softmax, F.softmax_backward),
        lambda dy, z, u: (bounds.softmax(z, -1, u), bounds.softmax_backward(dy, z, -1, u)),
    ),
    "log_softmax": Row(
        ("z",),
        _through_value(F.log_softmax, F.log_softmax_backward),
        lambda dy, z, u: (bounds.log_softmax(z, -1, u), bounds.log_softmax_backward(dy, z, -1, u)),
    ),
    "logsumexp": Row(("z",), _through_input(F.logsumexp, F.logsumexp_backward), _logsumexp_bound),
    "nll_loss": Row(
        ("log_p",),
        _through_input(F.nll_loss, F.nll_loss_backward),
        lambda dy, log_p, target, u: (
            loss_bounds.nll_loss(log_p, target, "mean", u),
            loss_bounds.nll_loss_backward(dy, log_p, target, u, reduction="mean"),
        ),
    ),
    "cross_entropy": Row(
        ("z",), _through_input(F.cross_entropy, F.cross_entropy_backward), _cross_entropy_bound
    ),
    "cross_entropy_with_gradient": Row(
        ("z",),
        lambda dy, z, target: F.cross_entropy_with_gradient(z, target),  # noqa: ARG005
        _cross_entropy_bound,
    ),
    "binary_cross_entropy_with_logits": Row(
        ("z",),
        _through_input(
            F.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits_backward
        ),
        lambda dy, z, target, u: (
            loss_bounds.binary_cross_entropy_with_logits(z, target, "mean", u),
            loss_bounds.binary_cross_entropy_with_logits_backward(dy, z, target, "mean", u),
        ),
    ),
    "squared_loss": _of_difference(F.squared_loss, F.squared_loss_backward),
    "mse_loss": _of_difference(F.mse_loss, F.mse_loss_backward),
    "l1_loss": _of_difference(F.l1_loss, F.l1_loss_backward),
    "huber_loss": _of_difference(F.huber_loss, F.huber_loss_backward),
    "smooth_l1_loss": _of_difference(F.smooth_l1_loss, F.smooth_l1_loss_backward),
    "kl_div": Row(
        ("log_q",),
        _through_input(F.kl_div, F.kl_div_backward),
        lambda dy, log_q, target, u: (
            loss_bounds.kl_div(log_q, target, "mean", False, u),
            loss_bounds.kl_div_backward(dy, log_q, target, "mean", False, u)[0],
        ),
    ),
}
