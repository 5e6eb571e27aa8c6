"""Data-parallel SGD over MPI: each rank takes a part of every batch, and all take the same step.

The gradient of a batch is the mean over its rows. In shards of n_r rows, with means g_r, it is

    g = Σ_r (n_r / n) g_r        n = Σ_r n_r

and as all parameters are one flat vector, that sum over the ranks is one Allreduce.

    mpiexec -n 4 scratchnn train mlp --data mnist
"""

from __future__ import annotations  # numpy.random need not be imported for a type

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from scratchnn.arrays import Array, IntArray
from scratchnn.extras import need
from scratchnn.mlp import Parameters

T = TypeVar("T")


class Message(Parameters):
    """A gradient with room for two figures behind it in one array, so that one Allreduce does.

    Shapes   message (count(sizes) + 2,), all but the last two of which are θ
    """

    def __init__(self, sizes: Sequence[int], message: Array) -> None:
        super().__init__(sizes, message[:-2])
        self.message = message

    def __reduce__(self) -> tuple[type[Parameters], tuple[tuple[int, ...], Array]]:
        return type(self), (self.sizes, self.message)


class Ranks:
    """The processes that train a network together: all of an MPI communicator, or one alone.

    Torch    torch.nn.parallel.DistributedDataParallel, where all shards are equal
    """

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank() if comm else 0
        self.size: int = comm.Get_size() if comm else 1

    def shard(self, rows: IntArray) -> IntArray:
        """Return this rank's part of a batch; parts differ by one row at most, and may be empty."""
        n = len(rows)
        return rows[n * self.rank // self.size : n * (self.rank + 1) // self.size]

    def gradient(self, parameters: Parameters) -> Parameters:
        """Return a gradient that `average` can send."""
        if self.size == 1:
            return Parameters.zeros(parameters.sizes, parameters.theta.dtype)
        theta = parameters.theta
        return Message(parameters.sizes, np.zeros(theta.size + 2, theta.dtype))

    def average(
        self, grad: Parameters, loss: float, correct: int, share: float
    ) -> tuple[float, int]:
        """Make the mean over a batch of the means over its shards, on every rank.

            g = Σ_r share_r g_r        share_r = n_r / n

        `grad` is averaged in place; in the same message the loss is, and the correct
        answers are counted, so that all ranks see the same figures.

        Raises   TypeError for several ranks and a grad that is not from `gradient`
        """
        if self.size == 1:
            return loss, correct
        if not isinstance(grad, Message):
            raise TypeError(f"grad must come from Ranks.gradient, got {type(grad).__name__}")
        message = grad.message
        if share:
            message[-2] = loss
            message *= share
        else:
            message[:] = 0  # a shard without rows
        message[-1] = correct
        self.comm.Allreduce(_mpi().IN_PLACE, message)
        return float(message[-2]), int(message[-1])

    def sum(self, values: Sequence[float]) -> list[float]:
        """Add up each of these numbers over the ranks."""
        if self.size == 1:
            return list(values)
        total = np.array(values, np.float64)
        self.comm.Allreduce(_mpi().IN_PLACE, total)
        return [float(value) for value in total]

    def same(self, value: T) -> T:
        """Return the first rank's value on every rank."""
        shared: T = value if self.size == 1 else self.comm.bcast(value)
        return shared

    def own(self, rng: np.random.Generator) -> np.random.Generator:
        """Return an rng for what this rank draws alone, so that all ranks' `rng` stay alike."""
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
