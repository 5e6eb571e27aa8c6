"""JAX on the CPU: one compiled function for a whole epoch, a scan over its batches."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import ops
from benchmarks.backends import Task
from benchmarks.cases import Case
from benchmarks.inputs import Problem, problem
from scratchnn.arrays import Array, IntArray
from scratchnn.extras import need
from scratchnn.mlp import Parameters


class OnJax:
    """The work in JAX, in numbers of 32 bits but for the check in float64."""

    def __init__(self) -> None:
        self.jax = need("jax", "benchmarks")

    def op(self, name: str, dy: Array, arguments: dict[str, Any]) -> Task:
        """Return value and gradients of an operation, by jax.vjp, compiled."""
        jax, f, wrt = self.jax, functions(self.jax)[name], ops.wrt(name)
        inputs = [jax.device_put(value) for value in arguments.values()]
        others = inputs[len(wrt) :]

        def both(dy: Any, *values: Any) -> tuple[Any, ...]:
            y, pull_back = jax.vjp(lambda *x: f(*x, *others), *values)
            return y, *pull_back(dy)

        compiled, upstream = jax.jit(both), jax.device_put(dy)
        return self._task(lambda: compiled(upstream, *inputs[: len(wrt)]))

    def trainer(self, case: Case, dtype: str) -> "Trainer":
        """Return a network with its data."""
        kind = ExactTrainer if dtype == "float64" else Trainer
        return kind(self.jax, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p, jax = problem(case, "float32"), self.jax
        layers, X = jax.device_put([tuple(layer) for layer in p.start.layers]), jax.device_put(p.X)
        predict = jax.jit(lambda layers, X: jax.nn.softmax(forward(jax, layers, X)))
        return self._task(lambda: (predict(layers, X),))

    def _task(self, work: Callable[[], tuple[Any, ...]]) -> Task:
        return Task(
            lambda: self.jax.block_until_ready(work()),
            lambda: tuple(np.asarray(y) for y in work()),
        )


class Trainer:
    """A network in JAX, and its compiled step and epoch."""

    def __init__(self, jax: Any, problem: Problem) -> None:
        self.jax, self.problem = jax, problem.without_data()
        layers = [tuple(layer) for layer in problem.start.layers]
        self.state = jax.device_put((layers, [tuple(map(np.zeros_like, pair)) for pair in layers]))
        self.X, self.target = jax.device_put(problem.X), jax.device_put(problem.target)
        self.data_bytes = self.X.nbytes + self.target.nbytes
        rates = {"learning_rate": problem.learning_rate, "momentum": problem.momentum}
        self.learn = jax.jit(partial(learn, jax, **rates), donate_argnums=0)
        self.scan = jax.jit(partial(scan, jax, **rates), donate_argnums=0)

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
        self.jax.block_until_ready((self.state, loss))

    def theta(self) -> Array:
        """Return the parameters in our layout, which is JAX's here."""
        layers = [(np.asarray(W), np.asarray(b)) for W, b in self.state[0]]
        return Parameters.from_arrays(layers).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()


class ExactTrainer(Trainer):
    """A network whose numbers, labels and indices have 64 bits: JAX has none unless told so."""

    def __init__(self, jax: Any, problem: Problem) -> None:
        with wide_numbers(jax):
            super().__init__(jax, problem)

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        with wide_numbers(self.jax):
            return super().epoch()

    def step(self) -> None:
        """Take one step on all examples."""
        with wide_numbers(self.jax):
            super().step()


def wide_numbers(jax: Any) -> Any:
    """Let JAX have numbers of 64 bits in a block; it was elsewhere once."""
    older = getattr(jax, "enable_x64", None) is None
    return need("jax.experimental", "benchmarks").enable_x64() if older else jax.enable_x64(True)


def forward(jax: Any, layers: Any, X: Any) -> Any:
    """Return the logits."""
    *hidden, (W, b) = layers
    for V, c in hidden:
        X = jax.nn.relu(X @ V + c)
    return X @ W + b


def learn(
    jax: Any, state: Any, X: Any, target: Any, *, learning_rate: float, momentum: float
) -> tuple[Any, Any]:
    """Take one step; return the new state and the loss."""

    def mean_loss(layers: Any) -> Any:
        log_p = jax.nn.log_softmax(forward(jax, layers, X))
        return -jax.numpy.take_along_axis(log_p, target[:, None], axis=1).mean()

    layers, velocity = state
    loss, grad = jax.value_and_grad(mean_loss)(layers)
    if momentum:
        grad = velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grad)
    layers = jax.tree.map(lambda w, v: w - learning_rate * v, layers, grad)
    return (layers, velocity), loss


def scan(jax: Any, state: Any, X: Any, target: Any, batches: Any, **rates: float) -> Any:
    """Take a step for each row of `batches`; return the new state and the losses."""
    return jax.lax.scan(
        lambda state, rows: learn(jax, state, X[rows], target[rows], **rates), state, batches
    )


def functions(jax: Any) -> dict[str, Callable[..., Any]]:
    """Return JAX's operation for each of ours."""
    nn = jax.nn
    return {
        "linear": lambda X, W, b: X @ W + b,
        "relu": nn.relu,
        "sigmoid": nn.sigmoid,
        "softmax": nn.softmax,
        "log_softmax": nn.log_softmax,
        "logsumexp": lambda z: nn.logsumexp(z, axis=-1),
        **losses(jax),
    }


def losses(jax: Any) -> dict[str, Callable[..., Any]]:
    """Return the losses, which jax.nn does not have, in the textbook's form."""
    jnp, nn = jax.numpy, jax.nn

    def nll_loss(log_p: Any, target: Any) -> Any:
        return -jnp.take_along_axis(log_p, target[:, None], axis=1).mean()

    def cross_entropy(z: Any, target: Any) -> Any:
        return nll_loss(nn.log_softmax(z), target)

    def huber(prediction: Any, target: Any) -> Any:
        r = abs(prediction - target)
        return jnp.where(r < 1, r * r / 2, r - 0.5).mean()

    return {
        "nll_loss": nll_loss,
        "cross_entropy": cross_entropy,
        "cross_entropy_with_gradient": cross_entropy,
        "binary_cross_entropy_with_logits": lambda z, t: (
            -(t * nn.log_sigmoid(z) + (1 - t) * nn.log_sigmoid(-z)).mean()
        ),
        "squared_loss": lambda prediction, target: ((prediction - target) ** 2).mean() / 2,
        "mse_loss": lambda prediction, target: ((prediction - target) ** 2).mean(),
        "l1_loss": lambda prediction, target: abs(prediction - target).mean(),
        "huber_loss": huber,
        "smooth_l1_loss": huber,
        "kl_div": lambda log_q, target: (target * (jnp.log(target) - log_q)).sum() / len(log_q),
    }


open = OnJax
