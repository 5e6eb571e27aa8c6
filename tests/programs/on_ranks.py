"""What the tests run under mpiexec: train on all ranks, and maybe come to grief on one of them.

on_ranks.py FOLDER [raise|kill]    saves θ and history of each rank in FOLDER
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from scratchnn import SGD, data, fit, launch, mlp
from scratchnn.distributed import Ranks
from scratchnn.train import Batch, History

BATCH = 70  # of 1,437 digits: the last batch has 37 rows, and no batch divides by 4


def train(ranks: Ranks, seed: int | None = 1, mishap: str = "") -> tuple[mlp.Parameters, History]:
    """Train a small network in float64 for two epochs, 42 steps."""
    train, test = data.digits()
    network = mlp.init([64, 30, 10], rng=seed, dtype=np.float64)

    def on_batch(batch: Batch) -> None:
        if batch.number == 3 and ranks.rank == ranks.size - 1:
            if mishap == "raise":
                raise RuntimeError("planted")
            if mishap == "kill":
                os.kill(os.getpid(), signal.SIGKILL)

    history = fit(
        network, train, test, optimizer=SGD(0.1, 0.5), epochs=2, batch_size=BATCH, rng=seed,
        on_batch=on_batch, ranks=ranks,
    )  # fmt: skip
    return network, history


def main(folder: str, mishap: str = "") -> None:
    """Save what each rank reached, from one seed, and from seeds that only the first knows."""
    ranks = launch.world()
    network, history = train(ranks, mishap=mishap)
    unseeded, _ = train(ranks, seed=None)
    np.savez(Path(folder) / f"rank{ranks.rank}.npz", theta=network.theta, unseeded=unseeded.theta)
    (Path(folder) / f"rank{ranks.rank}.json").write_text(json.dumps(history.as_dicts()))


if __name__ == "__main__":
    main(*sys.argv[1:])
