"""Training steps in fewer passes over memory, through SciPy's BLAS: `fit(..., blas="scipy")`.

The mathematics is that of mlp.py and optim/sgd.py, in two shorter forms.

1. The bias is a row of the weight. In θ, a layer's W (D, H) and b (H,) lie one after the other:
   they are one matrix V (D + 1, H). With a last column of ones behind its input A, a layer is one
   product, and so is its gradient:

       Z = A V        dV = Aᵀ dZ        A (N, D + 1), Z (N, H)

2. Momentum is what BLAS calls β, in out = α a b + β out. So the gradient goes straight into the
   velocity v, and never exists by itself. Without momentum it goes straight into V:

       v = μ v + Aᵀ dZ,  V = V - η v        or        V = V - η Aᵀ dZ

The outputs of layers are stored column by column, with the column of ones behind them: so a
product writes them in place. All products of a step go through one BLAS, because the threads of
two, NumPy's and SciPy's, would fight for the cores.

No other file knows BLAS. The plain steps of train.py are the test of these.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from math import prod
from typing import Literal

import numpy as np

from scratchnn.data import Dataset
from scratchnn.extras import need
from scratchnn.history import Step
from scratchnn.layers import Dense
from scratchnn.mlp import Parameters, as_gradient
from scratchnn.objectives import Objective
from scratchnn.ops.shared import Array, check_same_shape, check_writeable
from scratchnn.optim import SGD, Optimizer, Scheduled
from scratchnn.optim.state import state_of
from scratchnn.threads import openblas

OPTIONS = ("nesterov", "dampening", "weight_decay", "maximize")  # of SGD, that have no place here


def reason_against(parameters: Parameters, optimizer: Optimizer) -> str | None:
    """Return why a training has to take the plain steps, or None where these will do.

    Raises   MissingExtraError without SciPy
    """
    need("scipy.linalg.blas", "fast")
    if not parameters.theta.flags.c_contiguous:
        return "BLAS writes into arrays without gaps, and θ is a view with gaps"
    if parameters.theta.dtype not in (np.float32, np.float64):
        return f"BLAS computes in float32 and float64, not in {parameters.theta.dtype}"
    for layer in parameters.layers:
        if layer.shapes and type(layer) is not Dense:
            return f"it is for dense layers, and the network has a {type(layer).__name__} layer"
    if isinstance(optimizer, Scheduled):
        return "it is for SGD without a schedule or warm-up"
    if type(optimizer) is not SGD:
        return f"it is for SGD, and the optimizer is {type(optimizer).__name__}"
    for option in OPTIONS:
        if getattr(optimizer, option):
            return f"it is for SGD without {option}"
    return None


def steps(
    parameters: Parameters,
    data: Dataset,
    optimizer: Optimizer,
    objective: Objective,
    batch_size: int,
    rng: np.random.Generator,
    skip: int = 0,
) -> Generator[Step]:
    """Take the steps of `train.steps` up to rounding, and yield what each saw.

    Raises   MissingExtraError without SciPy; ValueError where there is a `reason_against`
    """
    reason = reason_against(parameters, optimizer)
    if reason is not None:
        raise ValueError(f'blas="scipy" is not possible here: {reason}')
    network = Network(parameters, optimizer)
    order = data.order(batch_size, rng)
    with same_threads(), closing(data.batches(order, parameters.theta.dtype, rng)) as batches:
        for X, target in islice(batches, skip, None):
            with np.errstate(over="ignore", invalid="ignore"):  # `fit` reports what diverges
                outputs = network.forward(X)
                z = outputs[-1][:, :-1]
                loss, dz = objective.loss_and_gradient(z, target)
                correct = objective.correct(z, target)
                network.step(outputs, as_gradient(dz, z))
            yield Step(float(loss), correct, objective.count(target), len(X))


class Network:
    """A network whose layers each have one matrix V, and with momentum its velocity.

    Of the optimizer's numbers, only the learning rate may change within an epoch.
    """

    def __init__(self, parameters: Parameters, optimizer: Optimizer) -> None:
        assert isinstance(optimizer, SGD)  # `reason_against` says so
        theta = parameters.theta
        self.gemm, self.axpy = need("scipy.linalg.blas", "fast").get_blas_funcs(
            ("gemm", "axpy"), dtype=theta.dtype
        )
        check_writeable(theta=theta)
        self.layers, self.optimizer = parameters.layers, optimizer
        self.begun_with = _numbers(optimizer)
        self.V = self.velocity = self._matrices(theta)
        if optimizer.momentum:
            state = optimizer.state = state_of(theta, optimizer.state)
            v = np.ascontiguousarray(state.get("velocity", np.zeros_like(theta)), theta.dtype)
            check_same_shape(theta=theta, velocity=v)
            state["velocity"] = v
            self.velocity = self._matrices(v)

    def forward(self, X: Array) -> list[Array]:
        """Return [X 1], and for every layer [Y 1], as `step` needs them.

        Shapes   X (N, D) → [(N, D + 1), (N, H_1 + 1), ..., (N, C + 1)]
        """
        outputs = [with_ones(X.astype(self.V[0].dtype, copy=False), "C")]
        for layer, V in zip(self.layers, self.V, strict=True):
            A = outputs[-1]
            if len(V):
                out = np.empty((len(X), V.shape[1] + 1), V.dtype, "F")
                out[:, -1] = 1
                self.multiply(A, V, out=out[:, :-1])
            else:
                z = A[:, :-1]
                y = layer.forward(z)  # relu overwrites z
                out = A if y is z else with_ones(y, "F")
            outputs.append(out)
        return outputs

    def step(self, outputs: list[Array], dz: Array) -> None:
        """Backpropagation, in which each layer is moved as soon as its gradient is known.

        Shapes   outputs as from `forward`, dz (N, C), which may be overwritten
        """
        if _numbers(self.optimizer) != self.begun_with:
            raise ValueError('with blas="scipy", only the learning rate may change in an epoch')
        rate, momentum = self.optimizer.learning_rate, self.optimizer.momentum
        dy = dz
        for i in reversed(range(len(self.layers))):
            layer, V, A, dZ = self.layers[i], self.V[i], outputs[i], dy
            if not len(V):
                dy = layer.backward(dZ, A[:, :-1], outputs[i + 1][:, :-1])
                continue
            if i > 0:  # nobody asks for the gradient of the data
                dy = np.empty((len(A), len(V) - 1), V.dtype, "F")
                self.multiply(dZ, V[:-1].T, out=dy)
            if momentum:
                v = self.velocity[i]
                self.multiply(A.T, dZ, beta=momentum, out=v)
                self.axpy(v.ravel(), V.ravel(), a=-rate)  # V += -rate v
            else:
                self.multiply(A.T, dZ, alpha=-rate, beta=1, out=V)

    def multiply(
        self, a: Array, b: Array, *, out: Array, alpha: float = 1.0, beta: float = 0.0
    ) -> None:
        """Compute out = alpha a b + beta out in place, of matrices stored by rows or by columns.

        BLAS takes columns. A matrix that is stored by rows is its transpose stored by columns,
        and outᵀ = bᵀ aᵀ.
        """
        if not out.flags.f_contiguous:
            a, b, out = b.T, a.T, out.T
        by_rows = [not x.flags.f_contiguous for x in (a, b)]
        columns = [x.T if rows else x for x, rows in zip((a, b), by_rows, strict=True)]
        self.gemm(alpha, *columns, beta, out, *by_rows, overwrite_c=True)

    def _matrices(self, theta: Array) -> list[Array]:
        """Return each layer's part of a flat vector, (D + 1, H); without rows if it has none."""
        matrices, start = [], 0
        for layer in self.layers:
            n = sum(map(prod, layer.shapes.values()))
            H = layer.H if isinstance(layer, Dense) else 1
            matrices.append(theta[start : start + n].reshape(-1, H))
            start += n
        return matrices


def _numbers(optimizer: SGD) -> list[float]:
    return [getattr(optimizer, name) for name in ("momentum", *OPTIONS)]


def with_ones(X: Array, order: Literal["C", "F"]) -> Array:
    """Return [X 1], stored by rows ("C") or by columns ("F").

    Shapes   X (N, D) → (N, D + 1)
    """
    A = np.empty((X.shape[0], X.shape[1] + 1), X.dtype, order)
    A[:, :-1] = X
    A[:, -1] = 1
    return A


@contextmanager
def same_threads() -> Iterator[None]:
    """Let SciPy's products take as many threads as NumPy's, in a block."""
    numpys, scipys = openblas(), openblas("scipy.linalg._fblas")
    if numpys is None or scipys is None:
        yield
        return
    before = scipys.threads()
    scipys.limit(numpys.threads())
    try:
        yield
    finally:
        scipys.limit(before)
