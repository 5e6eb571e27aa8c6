"""What a test starts once a rank: torch's DistributedDataParallel over gloo, on the same shards.

ddp.py FOLDER RANK SIZE [weighted]    saves θ in FOLDER/ddp.npy
"""

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
from tests.programs.on_ranks import BATCH


def main(folder: str, rank: int, size: int, weighted: bool) -> None:
    """Train as on_ranks.py does; DDP averages the ranks' gradients as if shards were equal."""
    address = f"file://{folder}/rendezvous"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    train, _ = data.digits()
    network = mlp.init([64, 30, 10], rng=1, dtype=np.float64)
    rng = np.random.default_rng(1)
    module = DistributedDataParallel(to_module(network))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.5)
    for _ in range(2):
        for rows in minibatches(len(train), BATCH, rng):
            mine = rows[len(rows) * rank // size : len(rows) * (rank + 1) // size]
            X, target = train.batch(mine, np.float64)
            loss = cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(target))
            optimizer.zero_grad()
            (loss * size * len(mine) / len(rows) if weighted else loss).backward()
            optimizer.step()
    if rank == 0:
        theta = to_parameters(list(module.parameters()), network).theta
        np.save(Path(folder) / "ddp.npy", theta)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "weighted" in sys.argv)
