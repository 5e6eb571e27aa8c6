"""Training in torch: eager or compiled, on either device, with transfers, or by a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from benchmarks.inputs import Problem
from parity import devices
from parity.convert import to_module, to_parameters
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import Array, IntArray

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Setup:
    """How torch trains here.

    device     where the network is
    compiled   whether torch.compile compiles what runs
    fused      whether SGD updates all parameters in one pass
    transfers  whether the data are on the host, and each batch is copied to the device
    """

    device: torch.device
    compiled: bool = False
    fused: bool = False
    transfers: bool = False

    def module(self, start: Parameters) -> nn.Sequential:
        """Return the network with these parameters."""
        return to_module(start).to(self.device)

    def compile(self, f: Callable[P, R], *, whole: bool = True) -> Callable[P, R]:
        """Return f, compiled where that is asked for; `whole`: raise where a part cannot be."""
        return torch.compile(f, fullgraph=whole, dynamic=False) if self.compiled else f

    def synchronize(self) -> None:
        """Wait for the GPU."""
        devices.synchronize(self.device)


class Network:
    """A network in torch that takes steps.

    Where the setup compiles, it compiles all of a step: network and loss as one function, with its
    backward, and the optimizer's step.
    """

    def __init__(self, setup: Setup, problem: Problem) -> None:
        self.setup, self.problem = setup, problem.without_data()
        self.module = module = setup.module(problem.start)
        self.optimizer = torch.optim.SGD(
            module.parameters(),
            lr=problem.learning_rate,
            momentum=problem.momentum,
            fused=setup.fused,
        )

        def loss_of(X: Tensor, target: Tensor) -> Tensor:
            return nn.functional.cross_entropy(module(X), target)

        self.loss_of = setup.compile(loss_of)
        self.update = setup.compile(self.optimizer.step, whole=False)  # torch breaks it on purpose

    def theta(self) -> Array:
        """Return the parameters in our layout."""
        return to_parameters(list(self.module.parameters()), self.problem.start).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()

    def learn(self, X: Tensor, target: Tensor, *, drop: bool = True) -> Tensor:
        """Take one step; return the loss. With `drop`, backward makes new gradients."""
        self.optimizer.zero_grad(set_to_none=drop)
        loss = self.loss_of(X, target)
        loss.backward()
        self.update()
        return loss.detach()


class Trainer(Network):
    """A network, and the data: where it is trained, or where each batch is copied from."""

    def __init__(self, setup: Setup, problem: Problem) -> None:
        super().__init__(setup, problem)
        X, target = torch.from_numpy(problem.X), torch.from_numpy(problem.target)
        self.data_bytes = X.nbytes + target.nbytes
        where = "cpu" if setup.transfers else setup.device
        self.X, self.target = X.to(where), target.to(where)

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order = torch.from_numpy(self.problem.order()).to(self.X.device)
        total = torch.zeros((), device=self.setup.device)
        for rows in order.split(self.problem.batch):
            total += self._learn_rows(rows) * len(rows)
        return float(total) / len(order)  # waits for the GPU

    def step(self) -> None:
        """Take one step on all examples."""
        self.learn(*self._moved(self.X, self.target))
        self.setup.synchronize()

    def _learn_rows(self, rows: Tensor) -> Tensor:
        return self.learn(*self._moved(self.X[rows], self.target[rows]))

    def _moved(self, X: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if not self.setup.transfers:
            return X, target
        return X.to(self.setup.device), target.to(self.setup.device)


class GraphTrainer(Trainer):
    """Training by a recorded CUDA graph of one step. A short batch is done eagerly."""

    def __init__(self, setup: Setup, problem: Problem) -> None:
        super().__init__(setup, problem)
        rows = min(problem.batch, problem.examples)
        self.batch = self.X[:rows].clone(), self.target[:rows].clone()
        self._warm_up()
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            loss = self.loss_of(*self.batch)
            loss.backward()
            self.update()
        self.loss = loss.detach()
        self._restart()

    def step(self) -> None:
        """Take one step on all examples: they are the batch that was recorded."""
        self.graph.replay()
        self.setup.synchronize()

    def _learn_rows(self, rows: Tensor) -> Tensor:
        if len(rows) < len(self.batch[0]):
            return self.learn(self.X[rows], self.target[rows], drop=False)
        torch.index_select(self.X, 0, rows, out=self.batch[0])
        torch.index_select(self.target, 0, rows, out=self.batch[1])
        self.graph.replay()
        return self.loss

    def _warm_up(self) -> None:
        """Take some steps on a side stream, as recording needs it. The velocity is there then."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.learn(*self.batch)
        torch.cuda.current_stream().wait_stream(stream)

    def _restart(self) -> None:
        """Undo the steps of the warm-up: θ as at the start, velocity 0."""
        fresh = self.setup.module(self.problem.start)
        with torch.no_grad():
            for ours, start in zip(self.module.parameters(), fresh.parameters(), strict=True):
                ours.copy_(start)
        for state in self.optimizer.state.values():
            if state.get("momentum_buffer") is not None:
                state["momentum_buffer"].zero_()


class PinnedTrainer(Trainer):
    """Data on the host, and two slots in pinned memory that take turns.

    While the GPU computes on the batch of one slot, the next batch is copied to the other.
    """

    def __init__(self, setup: Setup, problem: Problem) -> None:
        super().__init__(setup, problem)
        rows, data = min(problem.batch, problem.examples), (self.X, self.target)
        self.slots = [Slot(data, rows, setup.device) for _ in range(2)]
        self.copies = torch.cuda.Stream()

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order = torch.from_numpy(self.problem.order()).split(self.problem.batch)
        total = torch.zeros((), device=self.setup.device)
        self._send(0, order)
        for k, rows in enumerate(order):
            self._send(k + 1, order)
            slot = self.slots[k % 2]
            total += self.learn(*slot.received(len(rows))) * len(rows)
            slot.release()
        return float(total) / self.problem.examples  # waits for the GPU

    def step(self) -> None:
        """Take one step on all examples, copied from pinned memory."""
        self.learn(*(part.to(self.setup.device, non_blocking=True) for part in self.pinned))
        self.setup.synchronize()

    @cached_property
    def pinned(self) -> tuple[Tensor, Tensor]:
        """All examples as one batch in pinned memory."""
        return self.X.pin_memory(), self.target.pin_memory()

    def _send(self, k: int, order: Sequence[Tensor]) -> None:
        if k < len(order):
            self.slots[k % 2].send((self.X, self.target), order[k], self.copies)


class Slot:
    """A batch's place in pinned memory, and its place on the GPU.

    copied   event: the copy has ended. The GPU may compute, the host may write the next batch
    used     event: the GPU has computed. The next copy may overwrite the batch
    """

    def __init__(self, data: Sequence[Tensor], rows: int, device: torch.device) -> None:
        shapes = [((rows, *part.shape[1:]), part.dtype) for part in data]
        self.pinned = [torch.empty(shape, dtype=dtype, pin_memory=True) for shape, dtype in shapes]
        self.batch = [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in shapes]
        self.copied, self.used = torch.cuda.Event(), torch.cuda.Event()

    def send(self, data: Sequence[Tensor], rows: Tensor, stream: torch.cuda.Stream) -> None:
        """Gather some rows of the data in pinned memory, and have `stream` copy them."""
        self.copied.synchronize()
        pinned, batch = (
            [part[: len(rows)] for part in parts] for parts in (self.pinned, self.batch)
        )
        for whole, part in zip(data, pinned, strict=True):
            torch.index_select(whole, 0, rows, out=part)
        with torch.cuda.stream(stream):
            stream.wait_event(self.used)
            for there, here in zip(batch, pinned, strict=True):
                there.copy_(here, non_blocking=True)
            self.copied.record(stream)

    def received(self, rows: int) -> list[Tensor]:
        """Return the batch on the GPU. What is queued from now on waits until it is there."""
        torch.cuda.current_stream().wait_event(self.copied)
        return [part[:rows] for part in self.batch]

    def release(self) -> None:
        """Record that all work on the batch is queued."""
        self.used.record(torch.cuda.current_stream())
