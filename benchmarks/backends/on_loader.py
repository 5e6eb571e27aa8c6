"""torch as in its tutorials: a Dataset and a DataLoader, in memory or torchvision's MNIST."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from benchmarks.backends import Task, collect
from benchmarks.backends.on_torch import OnTorch
from benchmarks.backends.torch_training import Network, Setup
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, normalized, problem
from scratchnn.data.datasets import PIXELS
from scratchnn.data.layout import data_folder
from scratchnn.extras import need

Data: TypeAlias = Dataset[tuple[Tensor, ...]]
Batches: TypeAlias = DataLoader[tuple[Tensor, ...]]


class OnLoader(OnTorch):
    """torch on the CPU, fed by a DataLoader with some worker processes."""

    def __init__(self, torchvision: bool = False, workers: int = 0) -> None:
        super().__init__()
        self.torchvision, self.workers = torchvision, workers
        if torchvision:
            _import_torchvision()

    def trainer(self, case: Case, dtype: str) -> Trainer:
        """Return a network with its data."""
        p = problem(case, dtype)
        data, size = self._data(case, p)
        return Trainer(self.setup, p, self._batches(data, p), size)

    def loader(self, case: Case) -> Task:
        """Return the batches of an epoch."""
        p = problem(case, "float32")
        batches = self._batches(self._data(case, p)[0], p)

        def flat() -> Iterator[tuple[Tensor, Tensor]]:
            return ((X.reshape(len(X), -1), target) for X, target in batches)

        return Task(lambda: [None for _ in flat()], lambda: collect(flat()))

    def _data(self, case: Case, p: Problem) -> tuple[Data, int]:
        """Return the data set, and the size of the tensors that it holds."""
        if self.torchvision:
            return _mnist(case)
        X, target = torch.from_numpy(p.X), torch.from_numpy(p.target)
        return TensorDataset(X, target), X.nbytes + target.nbytes

    def _batches(self, data: Data, p: Problem) -> Batches:
        """Return a DataLoader that yields the same batches as our `fit`."""
        return DataLoader(data, p.batch, sampler=p.order().tolist(), num_workers=self.workers)


class Trainer(Network):
    """A network whose batches come from a DataLoader. It does epochs alone."""

    def __init__(self, setup: Setup, problem: Problem, batches: Batches, size: int) -> None:
        super().__init__(setup, problem)
        self.batches, self.data_bytes = batches, size
        self.dtype = next(self.module.parameters()).dtype

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        total = 0.0
        for X, target in self.batches:
            X = X.reshape(len(X), -1).to(self.dtype)
            total += float(self.learn(X, target)) * len(X)
        return total / self.problem.examples


def _mnist(case: Case) -> tuple[Data, int]:
    """Return torchvision's MNIST of a case's first examples, with the case's transforms.

    Also return the size of what it holds: all examples.
    """
    if case.data != "mnist":
        raise NotRunError(f"torchvision has no {case.data or 'random data'}")
    vision = _import_torchvision()
    steps = [vision.transforms.ToTensor()]
    if normalized(case):
        pixels = PIXELS["mnist"]
        steps.append(vision.transforms.Normalize((pixels.mean,), (pixels.std,)))
    with tempfile.TemporaryDirectory() as folder:
        _unpack(folder)
        data = vision.datasets.MNIST(folder, transform=vision.transforms.Compose(steps))
    rows = case.examples or len(data)
    held = data.data.nbytes + data.targets.nbytes
    return (Subset(data, range(rows)) if rows < len(data) else data), held


def _unpack(folder: str) -> None:
    """Put the uncompressed files where torchvision looks for them; it reads them whole."""
    raw = Path(folder) / "MNIST/raw"
    raw.mkdir(parents=True)
    for file in (data_folder() / "MNIST/raw").glob("*-ubyte*"):
        if file.suffix != ".gz":
            shutil.copy(file, raw)
        elif not file.with_suffix("").exists():
            (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))


def _import_torchvision() -> ModuleType:
    try:
        vision = need("torchvision", "torch")
    except RuntimeError as error:  # built for another torch
        raise NotRunError(f"torchvision cannot be imported: {error}") from error
    need("torchvision.datasets", "torch")
    need("torchvision.transforms", "torch")
    return vision
