"""Whether a backend does the same work: its results beside ours, before anything is timed.

Training is judged twice. In float64 the backend trains some batches and must end within 1e-12 of
the plain loop below: that is the meaning of every line. In float32 it takes one step, and θ must
be within what rounding can do to it; through a deep network that bound is loose.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

import scratchnn.functional as F
from benchmarks import ops
from benchmarks.backends.floor import Products, stored
from benchmarks.cases import Case
from benchmarks.inputs import Problem, one_step, op_inputs, problem, short
from parity import bounds, loss_bounds
from parity.verdict import Difference, compare
from scratchnn import mlp
from scratchnn.arrays import Array, IntArray
from scratchnn.classification import cross_entropy_with_gradient

FREE_RUN_TOLERANCE = 1e-12  # as parity.lockstep


@dataclass(frozen=True)
class Check:
    """What was compared, and the largest difference as a share of its tolerance."""

    what: str
    share: float
    holds: bool


Results = dict[str, Any]  # arrays by name, as they came from a worker


def check(case: Case, results: Results, roundoff: float | None = None) -> Check:
    """Compare a backend's results with ours; `roundoff` is that of TF32 where it was used."""
    u = roundoff or bounds.unit_roundoff(np.float32)
    differences = CHECKS[case.kind](case, results, u)
    worst = max(differences, key=lambda d: d.ratio)
    return Check(str(worst), worst.ratio, all(d.holds for d in differences))


def _check_op(case: Case, results: Results, u: float) -> list[Difference]:
    name = case.name.partition(" ")[0]
    dy, arguments = op_inputs(name, case.shape)
    bound = ops.limits(name, dy, arguments, tf32=u > bounds.unit_roundoff(np.float32))
    names = (name, *(f"d{argument}" for argument in ops.wrt(name)))
    return [
        compare(what, np.asarray(mine), results[f"{i}"], bounds.tolerance(limit, np.float32))
        for i, (what, mine, limit) in enumerate(
            zip(names, ops.ours(name)(dy, **arguments), bound, strict=True)
        )
    ]


def _check_training(case: Case, results: Results, u: float) -> list[Difference]:
    exact = problem(short(case), "float64")
    step = problem(one_step(case), "float32")
    limit = bounds.tolerance(step_bound(step, u), np.float32)
    return [
        compare("θ in float64", train(exact, results["order"]), results["float64"],
                FREE_RUN_TOLERANCE),
        compare("θ after a step in float32", train(step, np.arange(len(step.X))),
                results["float32"], limit),
    ]  # fmt: skip


def _check_inference(case: Case, results: Results, u: float) -> list[Difference]:
    p = problem(case, "float32")
    z, errors = _forward(p, u)
    probabilities = F.softmax(z[-1])
    limit = _softmax_error(probabilities, errors[-1]) + bounds.softmax(z[-1], -1, u)
    ours = F.softmax(mlp.forward(p.start, p.X)[-1])
    return [compare("p", ours, results["0"], bounds.tolerance(limit, np.float32))]


def _check_loading(case: Case, results: Results, u: float) -> list[Difference]:  # noqa: ARG001
    p = problem(short(case), "float32")
    order = p.order()
    return [
        compare("inputs", p.X[order], results["0"], 0.0),
        compare("targets", p.target[order], results["1"], 0.0),
    ]


def check_floor(case: Case, part: str, results: Results) -> Check:
    """Check that the floor moves the right rows, and multiplies the right matrices."""
    p = problem(case, "float32")
    if part == "products":
        differences = list(_products(Products(p), results))
    else:
        first = (len(p.X) - 1) // p.batch * p.batch
        X = stored(case, part)[p.order()[first:]].astype(np.float32)
        differences = [compare("last batch", X, results["0"], 0.0)]
    worst = max(differences, key=lambda d: d.ratio)
    return Check(str(worst), worst.ratio, all(d.holds for d in differences))


def _products(products: Products, results: Results) -> Iterator[Difference]:
    """Compare all products of the last batch."""
    u, found = bounds.unit_roundoff(np.float32), iter(results.values())
    for i, (A, W, dY) in enumerate(products.factors(), 1):
        expected = [
            ("Y", A @ W, bounds.linear(A, W, None, u)),
            ("dW", A.T @ dY, bounds.linear_backward_parameters(dY, A, u)[0]),
            ("dA", dY @ W.T, bounds.linear_backward_input(dY, W, u)),
        ]
        for name, product, limit in expected[: 3 if i > 1 else 2]:
            tolerance = bounds.tolerance(limit, np.float32)
            yield compare(f"{name} of layer {i}", product, next(found), tolerance)


CHECKS: dict[str, Callable[[Case, Results, float], list[Difference]]] = {
    "op": _check_op,
    "step": _check_training,
    "epoch": _check_training,
    "memory": _check_training,
    "inference": _check_inference,
    "loading": _check_loading,
}


def train(p: Problem, order: IntArray) -> Array:
    """Return θ after an epoch in this order: SGD with momentum as a plain loop.

    g = ∂L/∂θ        v = g at first, then momentum v + g        θ = θ - learning_rate v
    """
    network, v = p.start.copy(), np.zeros_like(p.start.theta)
    for first in range(0, len(order), p.batch):
        rows = order[first : first + p.batch]
        activations = mlp.forward(network, p.X[rows])
        _, dz = cross_entropy_with_gradient(activations[-1], p.target[rows])
        v = p.momentum * v + mlp.backward(network, activations, dz).theta
        network.theta -= p.learning_rate * v
    return network.theta


def step_bound(p: Problem, u: float) -> Array:
    """Bound, to first order, what rounding does to θ in one step on all examples.

    Errors are handed on through |W| and |Wᵀ|; what comes back through a ReLU that an error may
    turn over counts as error.
    """
    a, errors = _forward(p, u)
    network, target = p.start.astype(np.float64), cast(Any, p.target)
    _, dz = cross_entropy_with_gradient(a[-1], target)
    grad = mlp.backward(network, a, dz)
    limit = mlp.Parameters.zeros(network.sizes, np.float64)
    error = loss_bounds.cross_entropy_backward(np.ones(()), a[-1], target, "mean", u)
    error += _softmax_error(F.softmax(a[-1]), errors[-1]) / len(a[0])
    for i in reversed(range(len(network.layers))):
        W = network.layers[i].W
        dW, db = bounds.linear_backward_parameters(dz, a[i], u)
        limit.layers[i].W[...] = dW + abs(a[i]).T @ error + errors[i].T @ (abs(dz) + error)
        limit.layers[i].b[...] = db + error.sum(axis=0)
        if i > 0:
            da = dz @ W.T
            error = bounds.linear_backward_input(dz, W, u) + error @ abs(W).T
            error += abs(da) * _may_flip(network.layers[i - 1], a[i - 1], errors[i])
            dz = F.relu_backward(da, a[i])
    update = bounds.sgd_step(network.theta, abs(grad.theta), p.learning_rate, u)
    return update + p.learning_rate * limit.theta


def _forward(p: Problem, u: float) -> tuple[list[Array], list[Array]]:
    """Return every activation, in float64, and the bound of its error in the precision of u."""
    network = p.start.astype(np.float64)
    a = mlp.forward(network, p.X.astype(np.float64))
    errors: list[Array] = [np.zeros_like(a[0])]
    for (W, b), values in zip(network.layers, a, strict=False):
        errors.append(bounds.linear(values, W, b, u) + errors[-1] @ abs(W))
    return a, errors


def _may_flip(layer: Any, a: Array, error: Array) -> Array:
    """Return where the sign of a pre-activation is within its error."""
    may: Array = abs(layer.forward(a)) <= error
    return may


def _softmax_error(p: Array, error: Array) -> Array:
    """Hand an error of z on to softmax(z):  p_i (e_i + Σ p_j e_j)."""
    handed_on: Array = p * (error + (p * error).sum(axis=1, keepdims=True))
    return handed_on
