"""Batches from pinned memory: while the GPU computes on one batch, the next one is copied to it."""

from functools import cached_property
from typing import Any

from benchmarks.backends.torch_training import Trainer
from benchmarks.inputs import Problem


class Slot:
    """A batch's place in pinned memory and its place on the GPU.

    copied   the copy has ended: the GPU may compute on the batch, the host may write the next one
    used     the GPU has computed on the batch: the next copy may overwrite it
    """

    def __init__(self, torch: Any, data: tuple[Any, ...], rows: int, device: Any) -> None:
        self.torch = torch
        shapes = [((rows, *part.shape[1:]), part.dtype) for part in data]
        self.pinned = [torch.empty(shape, dtype=dtype, pin_memory=True) for shape, dtype in shapes]
        self.batch = [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in shapes]
        self.copied, self.used = torch.cuda.Event(), torch.cuda.Event()

    def send(self, data: tuple[Any, ...], rows: Any, stream: Any) -> None:
        """Gather some rows of the data in pinned memory, and have `stream` copy them."""
        self.copied.synchronize()
        pinned, batch = (
            [part[: len(rows)] for part in parts] for parts in (self.pinned, self.batch)
        )
        for whole, part in zip(data, pinned, strict=True):
            self.torch.index_select(whole, 0, rows, out=part)
        with self.torch.cuda.stream(stream):
            stream.wait_event(self.used)
            for there, here in zip(batch, pinned, strict=True):
                there.copy_(here, non_blocking=True)
            self.copied.record(stream)

    def received(self, rows: int) -> list[Any]:
        """Return the batch on the GPU; what is queued from now on waits until it is there."""
        self.torch.cuda.current_stream().wait_event(self.copied)
        return [part[:rows] for part in self.batch]

    def release(self) -> None:
        """Say that all work on the batch is queued."""
        self.used.record(self.torch.cuda.current_stream())


class PinnedTrainer(Trainer):
    """A network, data in ordinary memory, and two slots that take turns."""

    def __init__(self, on: Any, problem: Problem) -> None:
        super().__init__(on, problem)
        rows, data = min(problem.batch, problem.examples), (self.X, self.target)
        self.slots = [Slot(self.torch, data, rows, on.device) for _ in range(2)]
        self.copies = self.torch.cuda.Stream()

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order = self.torch.from_numpy(self.problem.order()).split(self.problem.batch)
        total = self.torch.zeros((), device=self.on.device)
        self._send(0, order)
        for k, rows in enumerate(order):
            self._send(k + 1, order)
            slot = self.slots[k % 2]
            total += self.learn(*slot.received(len(rows))) * len(rows)
            slot.release()
        return float(total) / self.problem.examples  # waits for the GPU

    def step(self) -> None:
        """Take one step on all examples, copied from pinned memory."""
        self.learn(*(part.to(self.on.device, non_blocking=True) for part in self.pinned))
        self.on.synchronize()

    @cached_property
    def pinned(self) -> tuple[Any, Any]:
        """All examples as one batch in pinned memory."""
        return self.X.pin_memory(), self.target.pin_memory()

    def _send(self, k: int, order: tuple[Any, ...]) -> None:
        if k < len(order):
            self.slots[k % 2].send((self.X, self.target), order[k], self.copies)
