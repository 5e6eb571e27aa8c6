"""torch on tensors in memory: eager, compiled, or on a GPU with or without transfers."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks import ops
from benchmarks.backends import Task, collect
from benchmarks.backends.torch_training import GraphTrainer, Network, Trainer
from benchmarks.backends.transfers import PinnedTrainer
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, problem
from scratchnn.arrays import Array
from scratchnn.extras import need


def function(torch: Any, name: str) -> Callable[..., Any]:
    """Return torch's operation, as parity has it but for what would cost torch time here.

    A layer's weight is (H, D) in memory, and kl_div goes without the guard against its warning.
    """
    f = torch.nn.functional
    own: dict[str, Callable[..., Any]] = {
        "linear": lambda X, W, b: f.linear(X, W, b),
        "kl_div": lambda log_q, **case: f.kl_div(log_q, **case),
    }
    return own.get(name) or ops.row(name).torch


class OnTorch:
    """The work in torch.

    `fused` updates all parameters in one pass, on CUDA always. `transfer` copies each batch to the
    GPU: from "pageable" or from "pinned" memory; without it the data are there. `graph` replays a
    recorded step; `tf32` lets products keep 10 bits.
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
        self.torch = need("torch", "torch")
        if device == "cuda" and not self.torch.cuda.is_available():
            raise NotRunError("there is no GPU that torch can use")
        if compiled and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
            raise NotRunError("torch.compile needs a C++ compiler")
        from parity import devices

        self.device, self.compiled = devices.prepare(device, deterministic=False), compiled
        self.transfer, self.graph = transfer, graph
        self.fused = fused or device == "cuda"
        if self.fused:
            _try_fused(self.torch, self.device)
        self.precision = ExitStack()
        self.precision.enter_context(devices.products(self.device, "tf32" if tf32 else "ieee"))

    def op(self, name: str, dy: Array, arguments: dict[str, Any]) -> Task:
        """Return value and gradients of an operation, by autograd."""
        from parity.conventions import weight

        torch, f = self.torch, function(self.torch, name)
        given, wrt = ops.options(name), ops.wrt(name)
        tensors = {
            key: torch.tensor(_stored(key, value), device=self.device).requires_grad_(key in wrt)
            for key, value in arguments.items()
        }
        upstream = torch.tensor(dy, device=self.device)
        inputs = [tensors[key] for key in wrt]

        def both() -> tuple[Any, ...]:
            y = f(**tensors, **given)
            return y, *torch.autograd.grad(y, inputs, upstream)

        def ours() -> tuple[Any, ...]:
            named = zip((name, *wrt), both(), strict=True)
            return tuple(weight(y) if key == "W" else y for key, y in named)

        return self._task(both, ours)

    def trainer(self, case: Case, dtype: str) -> Network:
        """Return a network with its data."""
        self._forget_compiled()
        kind = {"pinned": PinnedTrainer}.get(self.transfer, Trainer)
        return (GraphTrainer if self.graph else kind)(self, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        self._forget_compiled()
        torch, module = self.torch, self.module(p)
        X = torch.tensor(p.X, device=self.device)
        probabilities = self.compile(lambda X: torch.softmax(module(X), -1))

        def predict() -> tuple[Any]:
            with torch.inference_mode():
                return (probabilities(X),)

        return self._task(predict)

    def loader(self, case: Case) -> Task:
        """Return an epoch's batches, gathered from a tensor."""
        p = problem(case, "float32")
        X, target = self.torch.tensor(p.X), self.torch.tensor(p.target)

        def batches() -> Iterator[tuple[Any, Any]]:
            order = self.torch.from_numpy(p.order())
            for rows in order.split(p.batch):
                yield X[rows], target[rows]

        return Task(lambda: [None for _ in batches()], lambda: collect(batches()))

    def module(self, p: Problem) -> Any:
        """Return a problem's network."""
        from parity.convert import to_module

        return to_module(p.start).to(self.device)

    def compile(self, f: Callable[..., Any], *, whole: bool = True) -> Any:
        """Return f, compiled for each shape where that is asked for; `whole` or it fails."""
        return self.torch.compile(f, fullgraph=whole, dynamic=False) if self.compiled else f

    def _forget_compiled(self) -> None:
        """Let go of what was compiled for other cases, of which torch keeps a few."""
        if self.compiled:
            self.torch.compiler.reset()

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def _task(
        self, work: Callable[[], tuple[Any, ...]], ours: Callable[[], tuple[Any, ...]] | None = None
    ) -> Task:
        """Return the task of some work; `ours` has its results in our layout, if not `work`."""

        def run() -> None:
            work()
            self.synchronize()

        return Task(run, lambda: tuple(y.detach().cpu().numpy() for y in (ours or work)()))


def _try_fused(torch: Any, device: Any) -> None:
    """Take a fused step of one parameter.

    Raises   NotRunError where torch has none for this device
    """
    parameter = torch.zeros(1, device=device, requires_grad=True)
    parameter.grad = torch.zeros_like(parameter)
    try:
        torch.optim.SGD([parameter], lr=0.1, fused=True).step()
    except (RuntimeError, TypeError) as error:
        raise NotRunError(f"torch has no fused SGD for {device}: {error}") from error


def _stored(key: str, value: Any) -> Any:
    """Return an array as torch keeps it: a weight is (H, D), in rows."""
    from parity.conventions import weight

    return np.ascontiguousarray(weight(value)) if key == "W" else value


open = OnTorch
