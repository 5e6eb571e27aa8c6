"""JAX on the CPU: one compiled function for a whole epoch, a scan over its batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import nn

from benchmarks import ops
from benchmarks.backends import Task
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, problem
from parity.cases import Case as Arguments
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import Array, IntArray

Layers: TypeAlias = list[tuple[jax.Array, jax.Array]]  # W and b of each
State: TypeAlias = tuple[Layers, Layers]  # parameters and velocity
Step: TypeAlias = Callable[[State, jax.Array, jax.Array], tuple[State, jax.Array]]


class OnJax:
    """The work in JAX, in numbers of 32 bits except for the check in float64."""

    def op(self, name: str, dy: Array, arguments: Arguments) -> Task:
        """Return the value and the gradients of an operation, by jax.vjp, compiled.

        Raises   NotRunError for an operation that JAX does not have
        """
        f, row = function(name), ops.row(name)
        arrays = [jax.device_put(arguments[key]) for key in row.arguments]
        inputs, labels = arrays[: len(row.inputs)], arrays[len(row.inputs) :]

        def both(dy: jax.Array, *inputs: jax.Array) -> tuple[jax.Array, ...]:
            y, pull_back = jax.vjp(lambda *x: f(*x, *labels), *inputs)
            return y, *pull_back(dy)

        compiled, upstream = jax.jit(both), jax.device_put(dy)
        return _task(lambda: compiled(upstream, *inputs))

    def trainer(self, case: Case, dtype: str) -> Trainer:
        """Return a network with its data."""
        return (ExactTrainer if dtype == "float64" else Trainer)(problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        layers, X = jax.device_put(p.pairs), jax.device_put(p.X)
        predict = jax.jit(lambda layers, X: nn.softmax(forward(layers, X)))
        return _task(lambda: (predict(layers, X),))


def _task(work: Callable[[], tuple[jax.Array, ...]]) -> Task:
    return Task(lambda: jax.block_until_ready(work()), lambda: tuple(np.asarray(y) for y in work()))


class Trainer:
    """A network in JAX, and its compiled step and epoch."""

    def __init__(self, problem: Problem) -> None:
        self.problem, pairs = problem.without_data(), problem.pairs
        velocity = [(np.zeros_like(W), np.zeros_like(b)) for W, b in pairs]
        self.state: State = jax.device_put((pairs, velocity))
        self.X, self.target = jax.device_put(problem.X), jax.device_put(problem.target)
        self.data_bytes = self.X.nbytes + self.target.nbytes
        rate, momentum = problem.learning_rate, problem.momentum
        step = partial(learn, learning_rate=rate, momentum=momentum)
        self.learn = jax.jit(step, donate_argnums=0)
        self.scan = jax.jit(partial(scan, step), donate_argnums=0)

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order, batch = self.problem.order().astype(np.int32), self.problem.batch
        whole = len(order) // batch * batch
        total = 0.0
        if whole:
            batches = order[:whole].reshape(-1, batch)
            self.state, losses = self.scan(self.state, self.X, self.target, batches)
            total += float(losses.sum()) * batch
        if whole < len(order):
            rows = order[whole:]
            self.state, loss = self.learn(self.state, self.X[rows], self.target[rows])
            total += float(loss) * len(rows)
        return total / len(order)

    def step(self) -> None:
        """Take one step on all examples."""
        self.state, loss = self.learn(self.state, self.X, self.target)
        jax.block_until_ready((self.state, loss))

    def theta(self) -> Array:
        """Return the parameters in our layout, which is JAX's here."""
        layers = [(np.asarray(W), np.asarray(b)) for W, b in self.state[0]]
        return Parameters.from_arrays(layers).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()


class ExactTrainer(Trainer):
    """A network whose numbers, labels and indices have 64 bits, which JAX must be told."""

    def __init__(self, problem: Problem) -> None:
        with jax.enable_x64(True):
            super().__init__(problem)

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        with jax.enable_x64(True):
            return super().epoch()

    def step(self) -> None:
        """Take one step on all examples."""
        with jax.enable_x64(True):
            super().step()


def forward(layers: Layers, X: jax.Array) -> jax.Array:
    """Return the logits."""
    *hidden, (W, b) = layers
    for V, c in hidden:
        X = nn.relu(X @ V + c)
    return X @ W + b


def learn(
    state: State, X: jax.Array, target: jax.Array, *, learning_rate: float, momentum: float
) -> tuple[State, jax.Array]:
    """Take one step; return the new state and the loss."""
    layers, velocity = state
    loss, grad = jax.value_and_grad(lambda layers: cross_entropy(forward(layers, X), target))(
        layers
    )
    if momentum:
        grad = velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grad)
    layers = jax.tree.map(lambda w, v: w - learning_rate * v, layers, grad)
    return (layers, velocity), loss


def scan(
    step: Step, state: State, X: jax.Array, target: jax.Array, batches: jax.Array
) -> tuple[State, jax.Array]:
    """Take a step for each row of `batches`; return the new state and the losses."""
    return jax.lax.scan(lambda state, rows: step(state, X[rows], target[rows]), state, batches)


def kronecker_linear(X: jax.Array, A: jax.Array, S: jax.Array, b: jax.Array) -> jax.Array:
    """Return X (Σ_i A_i ⊗ S_i) + b."""
    W = jnp.einsum("nij,nkl->ikjl", A, S)
    return X @ W.reshape(X.shape[-1], len(b)) + b


def nll_loss(log_p: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean of -log p of the target classes."""
    return -jnp.take_along_axis(log_p, target[:, None], axis=1).mean()


def cross_entropy(z: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean cross-entropy of softmax(z) against class indices."""
    return nll_loss(nn.log_softmax(z), target)


def binary(z: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean binary cross-entropy of σ(z)."""
    return -(target * nn.log_sigmoid(z) + (1 - target) * nn.log_sigmoid(-z)).mean()


def huber(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean of Huber's loss with delta = 1, which is also smooth L1 with beta = 1."""
    r = abs(prediction - target)
    return jnp.where(r < 1, r * r / 2, r - 0.5).mean()


def function(name: str) -> Callable[..., jax.Array]:
    """Return the operation as FUNCTIONS has it, or as jax.nn does.

    Raises   NotRunError where neither has it
    """
    if name not in FUNCTIONS and not hasattr(nn, name):
        raise NotRunError(f"benchmarks/backends/on_jax.py has no {name}, nor does jax.nn")
    return FUNCTIONS.get(name) or getattr(nn, name)


# What jax.nn does not have, or with other arguments. It has no losses: these are the textbook's,
# with the options of a case.
FUNCTIONS: dict[str, Callable[..., jax.Array]] = {
    "linear": lambda X, W, b: X @ W + b,
    "kronecker_linear": kronecker_linear,
    "logsumexp": lambda z: nn.logsumexp(z, axis=-1),
    "nll_loss": nll_loss,
    "cross_entropy": cross_entropy,
    ops.FUSED: cross_entropy,
    "binary_cross_entropy_with_logits": binary,
    "squared_loss": lambda prediction, target: ((prediction - target) ** 2).mean() / 2,
    "mse_loss": lambda prediction, target: ((prediction - target) ** 2).mean(),
    "l1_loss": lambda prediction, target: abs(prediction - target).mean(),
    "huber_loss": huber,
    "smooth_l1_loss": huber,
    "kl_div": lambda log_q, target: (target * (jnp.log(target) - log_q)).sum() / len(log_q),
}
