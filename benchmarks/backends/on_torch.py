"""torch: eager, compiled, on a GPU with or without transfers, and fed by a DataLoader."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from benchmarks import ops
from benchmarks.backends import Task, collect
from benchmarks.backends.torch_training import (
    GraphTrainer,
    Network,
    PinnedTrainer,
    Setup,
    Trainer,
)
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, normalized, problem
from parity import devices, theirs
from parity.cases import Case as Arguments
from parity.convert import to_array, to_tensor
from parity.theirs import weight
from scratchnn.data.datasets import PIXELS
from scratchnn.data.layout import data_folder
from scratchnn.extras import need
from scratchnn.ops.shared import AnyArray, Array

Data: TypeAlias = Dataset[tuple[Tensor, ...]]
Batches: TypeAlias = DataLoader[tuple[Tensor, ...]]

OWN = ("linear", "kl_div")  # parity's functions of these do more: they transpose, and guard


def function(name: str) -> Callable[..., Tensor]:
    """Return torch's own operation, or the one of parity.theirs where torch's differs from ours."""
    op = ops.row(name).function
    own = op in OWN or not hasattr(theirs, op)
    return getattr(torch.nn.functional, op) if own else getattr(theirs, op)


class OnTorch:
    """The work in torch.

    compiled   by torch.compile
    fused      SGD updates all parameters in one pass; on CUDA it always does
    transfer   each batch is copied to the GPU, from "pageable" or "pinned" memory; "": the data
               are on the GPU
    graph      a recorded step is replayed
    tf32       products keep 10 bits
    """

    def __init__(
        self,
        device: str = "cpu",
        compiled: bool = False,
        fused: bool = False,
        transfer: str = "",
        graph: bool = False,
        tf32: bool = False,
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise NotRunError("there is no GPU that torch can use")
        if compiled and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
            raise NotRunError("torch.compile needs a C++ compiler")
        place, fused = devices.prepare(device, deterministic=False), fused or device == "cuda"
        self.setup = Setup(place, compiled, fused, bool(transfer))
        self.kind = GraphTrainer if graph else PinnedTrainer if transfer == "pinned" else Trainer
        if fused:
            _try_fused(place)
        self.precision = ExitStack()
        self.precision.enter_context(devices.products(place, "tf32" if tf32 else "ieee"))

    def op(self, name: str, dy: Array, arguments: Arguments) -> Task:
        """Return the value and the gradients of an operation, by autograd."""
        f, row, device = function(name), ops.row(name), self.setup.device
        tensors = {key: to_tensor(_stored(key, arguments[key]), device) for key in row.arguments}
        inputs = [tensors[key].requires_grad_() for key in row.inputs]
        given, upstream = ops.OPTIONS.get(name, {}), to_tensor(dy, device)

        def both() -> tuple[Tensor, ...]:
            y = f(*tensors.values(), **given)
            return y, *torch.autograd.grad(y, inputs, upstream)

        def ours() -> tuple[AnyArray, ...]:
            y, *gradients = both()
            named = zip(row.inputs, gradients, strict=True)
            return to_array(y), *(_ours(key, to_array(gradient)) for key, gradient in named)

        return Task(self._waiting(both), ours)

    def trainer(self, case: Case, dtype: str) -> Network:
        """Return a network with its data."""
        self._forget_compiled()
        return self.kind(self.setup, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        self._forget_compiled()
        module, X = self.setup.module(p.start), to_tensor(p.X, self.setup.device)

        def probabilities(X: Tensor) -> Tensor:
            return torch.softmax(module(X), -1)

        f = self.setup.compile(probabilities)

        def predict() -> Tensor:
            with torch.inference_mode():
                return f(X)

        return Task(self._waiting(predict), lambda: (to_array(predict()),))

    def loader(self, case: Case) -> Task:
        """Return the batches of an epoch, gathered from a tensor."""
        p = problem(case, "float32")
        X, target = torch.tensor(p.X), torch.tensor(p.target)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            order = torch.from_numpy(p.order())
            for rows in order.split(p.batch):
                yield X[rows], target[rows]

        return Task(lambda: [None for _ in batches()], lambda: collect(batches()))

    def _forget_compiled(self) -> None:
        """Let go of what was compiled for other cases. torch keeps a few, and then gives up."""
        if self.setup.compiled:
            torch.compiler.reset()

    def _waiting(self, work: Callable[[], object]) -> Callable[[], None]:
        """Return a function that does the work, and waits for the GPU."""

        def run() -> None:
            work()
            self.setup.synchronize()

        return run


def _try_fused(device: torch.device) -> None:
    """Take a fused step of one parameter.

    Raises   NotRunError where torch has none for this device
    """
    parameter = torch.zeros(1, device=device, requires_grad=True)
    parameter.grad = torch.zeros_like(parameter)
    try:
        torch.optim.SGD([parameter], lr=0.1, fused=True).step()
    except (RuntimeError, TypeError) as error:
        raise NotRunError(f"torch has no fused SGD for {device}: {error}") from error


def _stored(key: str, array: AnyArray) -> AnyArray:
    """Return an array as torch keeps it in memory: a weight is (H, D), in rows."""
    return np.ascontiguousarray(weight(array)) if key == "W" else array


def _ours(key: str, gradient: AnyArray) -> AnyArray:
    """Return a gradient in our layout."""
    return weight(gradient) if key == "W" else gradient


# As in torch's tutorials: a Dataset and a DataLoader, in memory or torchvision's MNIST


class OnLoader(OnTorch):
    """torch on the CPU, fed by a DataLoader with some worker processes."""

    def __init__(self, torchvision: bool = False, workers: int = 0) -> None:
        super().__init__()
        self.torchvision, self.workers = torchvision, workers
        if torchvision:
            _import_torchvision()

    def trainer(self, case: Case, dtype: str) -> LoaderTrainer:
        """Return a network with its data."""
        p = problem(case, dtype)
        data, size = self._data(case, p)
        return LoaderTrainer(self.setup, p, self._batches(data, p), size)

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


class LoaderTrainer(Network):
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
