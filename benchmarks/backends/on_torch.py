"""torch on tensors in memory: eager, compiled, or on a GPU with or without transfers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from benchmarks import ops
from benchmarks.backends import Task, collect
from benchmarks.backends.torch_training import (
    GraphTrainer,
    Network,
    PinnedTrainer,
    Setup,
    Trainer,
)
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import problem
from parity import devices, theirs
from parity.cases import Case as Arguments
from parity.convert import to_array, to_tensor
from parity.theirs import weight
from scratchnn.ops.shared import AnyArray, Array

OWN = ("linear", "kl_div")  # parity's functions of these do more: they transpose, and guard


def function(name: str) -> Callable[..., Tensor]:
    """Return torch's own operation, or the one of parity.theirs where torch's differs from ours."""
    op = ops.row(name).function
    own = op in OWN or not hasattr(theirs, op)
    return getattr(torch.nn.functional, op) if own else getattr(theirs, op)


class OnTorch:
    """The work in torch.

    compiled   by torch.compile
    fused      SGD updates all parameters in one pass; on CUDA it always does
    transfer   each batch is copied to the GPU, from "pageable" or "pinned" memory; "": the data
               are on the GPU
    graph      a recorded step is replayed
    tf32       products keep 10 bits
    """

    def __init__(
        self,
        device: str = "cpu",
        compiled: bool = False,
        fused: bool = False,
        transfer: str = "",
        graph: bool = False,
        tf32: bool = False,
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise NotRunError("there is no GPU that torch can use")
        if compiled and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
            raise NotRunError("torch.compile needs a C++ compiler")
        place, fused = devices.prepare(device, deterministic=False), fused or device == "cuda"
        self.setup = Setup(place, compiled, fused, bool(transfer))
        self.kind = GraphTrainer if graph else PinnedTrainer if transfer == "pinned" else Trainer
        if fused:
            _try_fused(place)
        self.precision = ExitStack()
        self.precision.enter_context(devices.products(place, "tf32" if tf32 else "ieee"))

    def op(self, name: str, dy: Array, arguments: Arguments) -> Task:
        """Return the value and the gradients of an operation, by autograd."""
        f, row, device = function(name), ops.row(name), self.setup.device
        tensors = {key: to_tensor(_stored(key, arguments[key]), device) for key in row.arguments}
        inputs = [tensors[key].requires_grad_() for key in row.inputs]
        given, upstream = ops.OPTIONS.get(name, {}), to_tensor(dy, device)

        def both() -> tuple[Tensor, ...]:
            y = f(*tensors.values(), **given)
            return y, *torch.autograd.grad(y, inputs, upstream)

        def ours() -> tuple[AnyArray, ...]:
            y, *gradients = both()
            named = zip(row.inputs, gradients, strict=True)
            return to_array(y), *(_ours(key, to_array(gradient)) for key, gradient in named)

        return Task(self._waiting(both), ours)

    def trainer(self, case: Case, dtype: str) -> Network:
        """Return a network with its data."""
        self._forget_compiled()
        return self.kind(self.setup, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        self._forget_compiled()
        module, X = self.setup.module(p.start), to_tensor(p.X, self.setup.device)

        def probabilities(X: Tensor) -> Tensor:
            return torch.softmax(module(X), -1)

        f = self.setup.compile(probabilities)

        def predict() -> Tensor:
            with torch.inference_mode():
                return f(X)

        return Task(self._waiting(predict), lambda: (to_array(predict()),))

    def loader(self, case: Case) -> Task:
        """Return the batches of an epoch, gathered from a tensor."""
        p = problem(case, "float32")
        X, target = torch.tensor(p.X), torch.tensor(p.target)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            order = torch.from_numpy(p.order())
            for rows in order.split(p.batch):
                yield X[rows], target[rows]

        return Task(lambda: [None for _ in batches()], lambda: collect(batches()))

    def _forget_compiled(self) -> None:
        """Let go of what was compiled for other cases. torch keeps a few, and then gives up."""
        if self.setup.compiled:
            torch.compiler.reset()

    def _waiting(self, work: Callable[[], object]) -> Callable[[], None]:
        """Return a function that does the work, and waits for the GPU."""

        def run() -> None:
            work()
            self.setup.synchronize()

        return run


def _try_fused(device: torch.device) -> None:
    """Take a fused step of one parameter.

    Raises   NotRunError where torch has none for this device
    """
    parameter = torch.zeros(1, device=device, requires_grad=True)
    parameter.grad = torch.zeros_like(parameter)
    try:
        torch.optim.SGD([parameter], lr=0.1, fused=True).step()
    except (RuntimeError, TypeError) as error:
        raise NotRunError(f"torch has no fused SGD for {device}: {error}") from error


def _stored(key: str, array: AnyArray) -> AnyArray:
    """Return an array as torch keeps it in memory: a weight is (H, D), in rows."""
    return np.ascontiguousarray(weight(array)) if key == "W" else array


def _ours(key: str, gradient: AnyArray) -> AnyArray:
    """Return a gradient in our layout."""
    return weight(gradient) if key == "W" else gradient
