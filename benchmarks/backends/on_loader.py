"""torch as its tutorials have it: a Dataset and a DataLoader, in memory or torchvision's MNIST."""

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.backends import Task, collect
from benchmarks.backends.on_torch import OnTorch
from benchmarks.backends.torch_training import Network
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, normalized, problem
from scratchnn.data.datasets import PIXELS, data_folder
from scratchnn.extras import need


class OnLoader(OnTorch):
    """torch on the CPU, fed by a DataLoader with some worker processes."""

    def __init__(self, torchvision: bool = False, workers: int = 0) -> None:
        super().__init__()
        self.torchvision, self.workers = torchvision, workers
        if torchvision:
            _import_torchvision()

    def trainer(self, case: Case, dtype: str) -> "Trainer":
        """Return a network with its data."""
        p = problem(case, dtype)
        return Trainer(self, p, self.data_loader(case, p))

    def loader(self, case: Case) -> Task:
        """Return an epoch's batches."""
        p = problem(case, "float32")
        batches = self.data_loader(case, p)

        def flat() -> Iterator[tuple[Any, Any]]:
            return ((X.reshape(len(X), -1), target) for X, target in batches)

        return Task(lambda: [None for _ in flat()], lambda: collect(flat()))

    def data_loader(self, case: Case, p: Problem) -> Any:
        """Return the DataLoader of a case, which yields the same batches as our `fit`."""
        utils = need("torch.utils.data", "torch")
        if self.torchvision:
            data = _mnist(case)
        else:
            data = utils.TensorDataset(*map(self.torch.from_numpy, (p.X, p.target)))
        return utils.DataLoader(data, p.batch, sampler=p.order().tolist(), num_workers=self.workers)


class Trainer(Network):
    """A network whose batches come from a DataLoader."""

    def __init__(self, on: OnLoader, problem: Problem, batches: Any) -> None:
        super().__init__(on, problem)
        self.batches = batches
        self.dtype = next(self.module.parameters()).dtype
        whole = getattr(batches.dataset, "dataset", batches.dataset)  # not the Subset
        held = (whole.data, whole.targets) if on.torchvision else whole.tensors
        self.data_bytes = sum(tensor.nbytes for tensor in held)

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        total = 0.0
        for X, target in self.batches:
            X = X.reshape(len(X), -1).to(self.dtype)
            total += float(self.learn(X, target)) * len(X)
        return total / self.problem.examples


def _mnist(case: Case) -> Any:
    """Return torchvision's MNIST of a case's first examples, with the case's transforms."""
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
    return need("torch.utils.data", "torch").Subset(data, range(rows)) if rows < len(data) else data


def _unpack(folder: str) -> None:
    """Put the uncompressed files where torchvision looks for them; it reads them whole."""
    raw = Path(folder) / "MNIST/raw"
    raw.mkdir(parents=True)
    for file in (data_folder() / "MNIST/raw").glob("*-ubyte*"):
        if file.suffix != ".gz":
            shutil.copy(file, raw)
        elif not file.with_suffix("").exists():
            (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))


def _import_torchvision() -> Any:
    try:
        vision = need("torchvision", "torch")
    except RuntimeError as error:  # built for another torch
        raise NotRunError(f"torchvision cannot be imported: {error}") from error
    need("torchvision.datasets", "torch")
    need("torchvision.transforms", "torch")
    return vision


open = OnLoader
