"""The processes that train a network together, and the mean over what each of them computed.

The gradient of a batch is the mean over its rows. In shards of n_r rows, with means g_r, it is

    g = Σ_r (n_r / n) g_r        n = Σ_r n_r

and as all parameters are one flat vector, that sum over the ranks is one Allreduce.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from scratchnn.extras import need
from scratchnn.layers import Layer
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import Array, IntArray

T = TypeVar("T")


class Message(Parameters):
    """A gradient, and two numbers that are sent with it: the loss and the count of right answers.

    All are in one array, so one Allreduce sends them together.

    Options  layers    of the network
             message   the array: the gradient, then the two numbers
    Shapes   message (count(layers) + 2,); theta, the gradient, is a view of all but the last two
    """

    def __init__(self, layers: Sequence[Layer], message: Array) -> None:
        super().__init__(layers, message[:-2])
        self.message = message

    def __reduce__(self) -> tuple[type[Parameters], tuple[tuple[Layer, ...], Array]]:
        return type(self), (self.layers, self.message)


class Ranks:
    """The processes that train a network together: all of an MPI communicator, or one alone.

    Options  comm   an MPI communicator; default: this process alone
    Torch    torch.nn.parallel.DistributedDataParallel, where all shards are equal
    """

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank() if comm else 0
        self.size: int = comm.Get_size() if comm else 1

    def shard(self, rows: IntArray) -> IntArray:
        """Return this rank's part of a batch.

        The sizes of the parts differ by at most one row. A part may be empty.
        """
        n = len(rows)
        return rows[n * self.rank // self.size : n * (self.rank + 1) // self.size]

    def gradient(self, parameters: Parameters) -> Message:
        """Return a gradient for these parameters, filled with 0, that `average` can send."""
        theta = parameters.theta
        return Message(parameters.layers, np.zeros(theta.size + 2, theta.dtype))

    def average(self, grad: Message, loss: float, correct: int, share: float) -> tuple[float, int]:
        """Make the mean over a batch of the means over its shards, on every rank.

            g = Σ_r share_r g_r        share_r = n_r / n

        The mean loss and the number of right answers are returned, the same on every
        rank.

        Options  grad      this shard's gradient; it is averaged in place
                 loss      this shard's mean loss
                 correct   this shard's number of right answers
                 share     this shard's share of the batch, n_r / n
        """
        if self.size == 1:
            return loss, correct
        message = grad.message
        if share:
            message[-2] = loss
            message *= share
        else:
            message[:] = 0  # a shard without rows that count
        message[-1] = correct
        self.comm.Allreduce(_mpi().IN_PLACE, message)
        return float(message[-2]), int(message[-1])

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sum of each of these numbers over the ranks."""
        if self.size == 1:
            return list(values)
        total = np.array(values, np.float64)
        self.comm.Allreduce(_mpi().IN_PLACE, total)
        return [float(value) for value in total]

    def same(self, value: T) -> T:
        """Return the first rank's value on every rank."""
        return value if self.size == 1 else self.comm.bcast(value)

    def own(self, rng: np.random.Generator) -> np.random.Generator:
        """Return an rng for what this rank alone draws: `rng` stays the same on all ranks."""
        return rng if self.size == 1 else rng.spawn(self.size)[self.rank]

    def threads(self) -> int | None:
        """Return this rank's share of the machine's cores, for NumPy's threads; None when alone."""
        if self.size == 1:
            return None
        machine = self.comm.Split_type(_mpi().COMM_TYPE_SHARED)
        mine = _cores()  # all, or those that the launcher has bound this rank to
        cores: set[int] = set().union(*machine.allgather(mine))
        here: int = machine.Get_size()
        return max(1, min(len(mine), len(cores) // here))


ALONE = Ranks()


def _cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _mpi() -> Any:
    return need("mpi4py.MPI", "mpi")
