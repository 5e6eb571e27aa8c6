"""torch on tensors in memory: eager, compiled, or on a GPU with or without transfers."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks.backends import Task, collect
from benchmarks.backends.torch_training import GraphTrainer, Network, Trainer
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, problem
from benchmarks.ops import OPS
from scratchnn.arrays import Array
from scratchnn.extras import need


def functions() -> dict[str, Callable[..., Any]]:
    """Return torch's operation for each of ours."""
    torch = need("torch", "torch")
    from parity import conventions

    f = torch.nn.functional
    same = (
        *("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"),
        *("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"),
    )
    return {
        **{name: getattr(f, name) for name in same},
        "cross_entropy_with_gradient": f.cross_entropy,
        "linear": lambda X, W, b: torch.addmm(b, X, W),
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, -1),
        "log_softmax": lambda z: torch.log_softmax(z, -1),
        "logsumexp": lambda z: torch.logsumexp(z, -1),
        "squared_loss": lambda p, t: f.mse_loss(p, t) / 2,
        "kl_div": conventions.kl_div,
    }


class OnTorch:
    """The work in torch.

    `transfer` copies each batch to the GPU: from "pageable" or from "pinned" memory; without it
    the data are there. `graph` replays a recorded step; `tf32` lets products keep 10 bits.
    """

    def __init__(
        self,
        device: str = "cpu",
        compiled: bool = False,
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
        self.precision = ExitStack()
        self.precision.enter_context(devices.products(self.device, "tf32" if tf32 else "ieee"))

    def op(self, name: str, dy: Array, arguments: dict[str, Any]) -> Task:
        """Return value and gradients of an operation, by autograd."""
        torch, f = self.torch, functions()[name]
        wrt = OPS[name].wrt
        tensors = {
            key: torch.tensor(value, device=self.device).requires_grad_(key in wrt)
            for key, value in arguments.items()
        }
        upstream = torch.tensor(dy, device=self.device)
        inputs = [tensors[key] for key in wrt]

        def both() -> tuple[Any, ...]:
            y = f(*tensors.values())
            return y, *torch.autograd.grad(y, inputs, upstream)

        return self._task(both)

    def trainer(self, case: Case, dtype: str) -> Network:
        """Return a network with its data."""
        kind = GraphTrainer if self.graph else Trainer
        return kind(self, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        torch, module = self.torch, self.module(p)
        X = torch.tensor(p.X, device=self.device)

        def predict() -> tuple[Any]:
            with torch.inference_mode():
                return (torch.softmax(module(X), -1),)

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

        module = to_module(p.start).to(self.device)
        return self.torch.compile(module) if self.compiled else module

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def _task(self, work: Callable[[], tuple[Any, ...]]) -> Task:
        def run() -> None:
            work()
            self.synchronize()

        return Task(run, lambda: tuple(y.detach().cpu().numpy() for y in work()))


open = OnTorch
