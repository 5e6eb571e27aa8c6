"""Whether a backend does the same work: its results are compared with ours before it is timed.

Training is checked twice. In float64 the backend trains some batches and must end within 1e-12 of
the plain loop below, which fixes the meaning of every line. In float32 it takes one step, and θ
must be within what rounding can do to it; see parity/training/network.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

import scratchnn.functional as F
from benchmarks import ops
from benchmarks.backends.floor import Products, stored
from benchmarks.cases import Case
from benchmarks.inputs import Problem, one_step, problem, short
from benchmarks.results import Check
from parity import bounds
from parity.judge import Difference, compare
from parity.training import network
from parity.training.trace import FREE_RUN_TOLERANCE, Settings
from scratchnn import SGD, mlp
from scratchnn.objectives import CrossEntropy
from scratchnn.ops.shared import AnyArray, Array, IntArray

Results = dict[str, AnyArray]  # by name, as they came from a worker
SINGLE = bounds.unit_roundoff(np.float32)


def check(case: Case, results: Results, *, tf32: bool = False) -> Check:
    """Compare a backend's results with ours; `tf32`: its products keep 10 bits of each factor."""
    return _worst(CHECKS[case.kind](case, results, bounds.TF32 if tf32 else 0.0))


def check_floor(case: Case, part: str, results: Results) -> Check:
    """Check that the floor moves the right rows, and multiplies the right matrices."""
    p = problem(case, "float32")
    if part == "products":
        return _worst(_products(Products(p), results))
    first = (len(p.X) - 1) // p.batch * p.batch
    X = stored(case, part)[p.order()[first:]].astype(np.float32)
    return _worst([compare("last batch", X, results["0"], 0.0)])


def _worst(differences: Iterable[Difference]) -> Check:
    worst = max(differences, key=lambda d: d.ratio)
    return Check(str(worst), worst.ratio, worst.holds)


def _op(case: Case, results: Results, factors: float) -> Iterator[Difference]:
    """Compare value and gradients, in the order of the table's row."""
    name, (dy, arguments) = case.op, ops.inputs(case.op, case.shape)
    names = (name, *(f"d{argument}" for argument in ops.row(name).inputs))
    ours = ops.ours(name, dy, arguments)()
    limits = ops.limits(name, dy, arguments, factors)
    for i, (what, mine, limit) in enumerate(zip(names, ours, limits, strict=True)):
        yield _compare(what, mine, results[str(i)], limit)


def _training(case: Case, results: Results, factors: float) -> Iterator[Difference]:
    exact, step = problem(short(case), "float64"), problem(one_step(case), "float32")
    theta = train(exact, results["order"])
    yield compare("θ in float64", theta, results["float64"], FREE_RUN_TOLERANCE)
    theta, limit = train(step, np.arange(len(step.X))), step_bound(step, factors)
    yield _compare("θ after a step in float32", theta, results["float32"], limit)


def step_bound(p: Problem, factors: float = 0.0) -> Array:
    """Bound what rounding does to θ in one step on all examples, in the precision of θ."""
    settings = Settings(CrossEntropy(), SGD(p.learning_rate, p.momentum), factors)
    return network.step_bound(p.start, p.X, p.target, settings)


def _inference(case: Case, results: Results, factors: float) -> Iterator[Difference]:
    p = problem(case, "float32")
    ours = F.softmax(mlp.forward(p.start, p.X)[-1])
    outputs, errors = network.output_bounds(p.start, p.X, factors=factors)
    z, error = outputs[-1], errors[-1]
    limit = network.softmax_handed_on(z, error) + bounds.softmax(z, u=SINGLE)
    yield _compare("p", ours, results["0"], limit)


def _loading(case: Case, results: Results, factors: float) -> Iterator[Difference]:  # noqa: ARG001
    p = problem(short(case), "float32")
    order = p.order()
    yield compare("inputs", p.X[order], results["0"], 0.0)
    yield compare("targets", p.target[order], results["1"], 0.0)


def _products(products: Products, results: Results) -> Iterator[Difference]:
    """Compare all products of the last batch."""
    found = iter(results.values())
    for i, (A, W, dY) in enumerate(products.factors(), 1):
        dA, dW = bounds.linear_backward(dY, A, W, u=SINGLE)[:2]
        yield _compare(f"Y of layer {i}", A @ W, next(found), bounds.linear(A, W, u=SINGLE))
        yield _compare(f"dW of layer {i}", A.T @ dY, next(found), dW)
        if i > 1:
            yield _compare(f"dA of layer {i}", dY @ W.T, next(found), dA)


def _compare(what: str, ours: Array, found: AnyArray, limit: Array) -> Difference:
    """Compare two results in float32, each within this bound of the right one."""
    return compare(what, np.asarray(ours), found, bounds.tolerance(limit, np.float32))


CHECKS: dict[str, Callable[[Case, Results, float], Iterator[Difference]]] = {
    "op": _op,
    "step": _training,
    "epoch": _training,
    "memory": _training,
    "inference": _inference,
    "loading": _loading,
}


def train(p: Problem, order: IntArray) -> Array:
    """Return θ after an epoch in this order: SGD with momentum as a plain loop.

    g = ∂L/∂θ        v = g at first, then momentum v + g        θ = θ - learning_rate v
    """
    network, v = p.start.copy(), np.zeros_like(p.start.theta)
    for first in range(0, len(order), p.batch):
        rows = order[first : first + p.batch]
        outputs = mlp.forward(network, p.X[rows])
        _, dz = F.cross_entropy_with_gradient(outputs[-1], p.target[rows])
        v = p.momentum * v + mlp.backward(network, outputs, dz).theta
        network.theta -= p.learning_rate * v
    return network.theta
