"""What a test starts once per rank: torch's DistributedDataParallel over gloo, on the same shards.

ddp.py FOLDER RANK SIZE    saves θ in FOLDER/plain.npy and FOLDER/weighted.npy
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from parity.convert import to_module, to_parameters
from scratchnn import data, mlp
from scratchnn.data import minibatches
from scratchnn.ops.shared import Array
from tests.programs.on_ranks import BATCH


def train(rank: int, size: int, weighted: bool) -> Array:
    """Train as on_ranks.py does; DDP averages the ranks' gradients as if shards were equal."""
    digits, _ = data.digits()
    network = mlp.init([64, 30, 10], rng=1, dtype=np.float64)
    rng = np.random.default_rng(1)
    module = DistributedDataParallel(to_module(network))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.5)
    for _ in range(2):
        for rows in minibatches(len(digits), BATCH, rng):
            mine = rows[len(rows) * rank // size : len(rows) * (rank + 1) // size]
            X, target = digits.batch(mine, np.float64)
            loss = cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(target))
            optimizer.zero_grad()
            (loss * size * len(mine) / len(rows) if weighted else loss).backward()
            optimizer.step()
    return to_parameters(list(module.parameters()), network).theta


def main(folder: str, rank: int, size: int) -> None:
    """Train with plain losses, then with losses weighted by the rows of the shards."""
    torch.set_num_threads(1)
    address = f"file://{folder}/rendezvous"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    for name in ("plain", "weighted"):
        theta = train(rank, size, name == "weighted")
        if rank == 0:
            np.save(Path(folder) / f"{name}.npy", theta)
    distributed.barrier()  # nobody leaves while another still waits for an answer


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    os._exit(0)  # gloo's threads may still run: an orderly end of the interpreter aborts then
