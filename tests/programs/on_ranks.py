"""What the tests run under mpiexec: train on all ranks, and plant a failure on one of them.

on_ranks.py FOLDER [raise|kill]    saves θ and history of each rank in FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from scratchnn import SGD, data, launch, mlp
from scratchnn.data import Dataset
from scratchnn.distributed import Ranks, fit
from scratchnn.history import Batch, History
from scratchnn.objectives import Objective
from scratchnn.ops.shared import Array, IntArray

BATCH = 70  # of 1,437 digits: the last batch has 37 rows, and no batch divides by 4


@dataclass(frozen=True, eq=False)
class Noted(Dataset):
    """A data set that notes the rows that were trained on."""

    seen: list[int] = field(default_factory=list)

    def batch(
        self, rows: IntArray | slice, dtype: DTypeLike, rng: np.random.Generator | None = None
    ) -> tuple[Array, IntArray]:
        """Return inputs and targets of some rows."""
        if not isinstance(rows, slice):
            self.seen.extend(rows)
        return super().batch(rows, dtype, rng)


def train(
    ranks: Ranks,
    seed: int | None = 1,
    mishap: str = "",
    objective: str | Objective = "cross_entropy",
) -> tuple[mlp.Parameters, History, list[int]]:
    """Train a small network in float64 for two epochs, 42 steps; return the rows seen, too."""
    digits, test = data.digits()
    train = Noted(digits.name, digits.X, digits.target, digits.classes, digits.transform)
    network = mlp.init([64, 30, 10], rng=seed, dtype=np.float64)

    def on_batch(batch: Batch) -> None:
        if batch.number == 3 and ranks.rank == ranks.size - 1:
            if mishap == "raise":
                raise RuntimeError("planted")
            if mishap == "kill":
                os.kill(os.getpid(), signal.SIGKILL)

    history = fit(
        network,
        train,
        test,
        optimizer=SGD(0.1, 0.5),
        objective=objective,
        epochs=2,
        batch_size=BATCH,
        rng=seed,
        on_batch=on_batch,
        ranks=ranks,
    )
    return network, history, train.seen


def main(folder: str, mishap: str = "") -> None:
    """Save what each rank reached, from one seed, and from seeds that only the first knows."""
    ranks = launch.world()
    network, history, _ = train(ranks, mishap=mishap)
    unseeded, _, seen = train(ranks, seed=None)
    arrays = {"theta": network.theta, "unseeded": unseeded.theta, "seen": np.array(seen)}
    np.savez(Path(folder) / f"rank{ranks.rank}.npz", **arrays)
    (Path(folder) / f"rank{ranks.rank}.json").write_text(json.dumps(history.as_dicts()))


if __name__ == "__main__":
    main(*sys.argv[1:])
