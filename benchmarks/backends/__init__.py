"""The backends: the same work, done with other libraries or in other ways.

A backend is a row of BACKENDS. To open it is to import its library; what is opened does work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from benchmarks.cases import Case, NotRunError
from scratchnn.extras import MissingExtraError, need
from scratchnn.ops.shared import AnyArray, Array, IntArray

if TYPE_CHECKING:
    from parity.cases import Case as Arguments

TRAINING = ("step", "epoch", "memory")
ALL = ("op", *TRAINING, "inference", "loading", "import")


class Task(NamedTuple):
    """Work to be timed, and what returns its result, for the check."""

    run: Callable[[], object]
    result: Callable[[], tuple[AnyArray, ...]]


class Trainer(Protocol):
    """A network in training. Its methods return when the work is done, not when it is queued."""

    @property
    def data_bytes(self) -> int:
        """The size of the arrays of the data that are kept for training."""

    def epoch(self) -> object:
        """Train on every example once."""

    def step(self) -> None:
        """Train on all examples as one batch."""

    def theta(self) -> Array:
        """Return the parameters in scratchnn's layout."""

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""


class Library(Protocol):
    """What a backend opens. It has the methods of those kinds of cases that the backend does."""

    def op(self, name: str, dy: Array, arguments: Arguments) -> Task:
        """Return the value and the gradients of an operation."""

    def trainer(self, case: Case, dtype: str) -> Trainer:
        """Return a network with its data, for a step, an epoch, or an epoch's memory."""

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""

    def loader(self, case: Case) -> Task:
        """Return the batches of an epoch."""

    def floor(self, case: Case) -> Task:
        """Return what no epoch can do without."""


Options: TypeAlias = dict[str, str | int | bool]

LIBRARIES = {  # that a module imports, and the extra that brings each
    "on_torch": ("torch", "torch"),
    "on_jax": ("jax", "benchmarks"),
    "on_sklearn": ("sklearn.neural_network", "benchmarks"),
}


@dataclass(frozen=True)
class Backend:
    """One way to do the work.

    name      without a comma: the command line lists names with commas
    opens     a class of a module of this folder: "on_torch.OnTorch"
    about     what it is, in a few words for a table
    options   what that class is made with
    kinds     the kinds of cases that it does
    groups    the groups in which it is measured; none: all
    imports   what a script imports to train in this way
    """

    name: str
    opens: str
    about: str
    options: Options = field(default_factory=dict)
    kinds: tuple[str, ...] = TRAINING
    groups: tuple[str, ...] = ()
    imports: str = ""

    def does(self, group: str, kind: str) -> bool:
        """Return whether there is such work for this backend."""
        return kind in self.kinds and (not self.groups or group in self.groups)

    @property
    def is_floor(self) -> bool:
        """Whether it is a part of an epoch, and no training."""
        return self.opens == "floor.Floor"

    @property
    def is_cuda(self) -> bool:
        """Whether it needs a GPU."""
        return self.options.get("device") == "cuda"

    @property
    def compiles(self) -> bool:
        """Whether a compiler takes minutes before it can start."""
        return bool(self.options.get("compiled"))

    @property
    def tf32(self) -> bool:
        """Whether its products keep 10 bits of each factor."""
        return bool(self.options.get("tf32"))

    def open(self) -> Library:
        """Return what does the work.

        Raises   NotRunError that says what is missing
        """
        module, name = self.opens.split(".")
        try:
            if module in LIBRARIES:
                need(*LIBRARIES[module])
            found = import_module(f"benchmarks.backends.{module}")
            return getattr(found, name)(**self.options)
        except MissingExtraError as error:
            raise NotRunError(str(error)) from error


EPOCHS = ("epoch", "memory", "loading", "import")
CUDA = ("op", "inference", "epoch", "step", "crossover", "scaling")
MORE = (*TRAINING, "op", "inference")
FLOOR_PARTS = {
    "products": "the matrix products of an epoch, and nothing else",
    "bytes": "each row of the data copied once, and made floats",
    "float bytes": "each row copied once, from data that are floats",
}


def _torchvision(workers: int, *groups: str) -> Backend:
    return Backend(
        f"torchvision {workers} workers",
        "on_torch.OnLoader",
        f"torchvision's MNIST and DataLoader, {workers or 'no'} worker processes",
        {"torchvision": True, "workers": workers},
        (*TRAINING, "loading", "import"),
        groups,
        imports="import torch, torchvision",
    )


def _cuda(
    name: str, about: str, kinds: tuple[str, ...] = TRAINING, **options: str | bool
) -> Backend:
    return Backend(name, "on_torch.OnTorch", about, {"device": "cuda", **options}, kinds, CUDA)


ROWS = (
    Backend(
        "scratchnn",
        "on_numpy.OnNumpy",
        "`scratchnn.fit`, NumPy alone",
        kinds=ALL,
        imports="import scratchnn; scratchnn.fit",
    ),
    Backend(
        "scratchnn fast",
        "on_numpy.OnNumpy",
        '`fit(blas="scipy")`: momentum inside the products',
        {"blas": "scipy"},
        ("epoch", "memory"),
        ("epoch", "memory"),
    ),
    Backend(
        "scratchnn floats",
        "on_numpy.OnNumpy",
        "`fit`, with all pixels as floats in memory",
        {"floats": True},
        ("epoch", "loading"),
        ("epoch", "loading"),
    ),
    Backend(
        "plain loop",
        "plain_loop.PlainLoop",
        "a loop of 20 lines in NumPy, as a learner writes it",
        groups=("step", "epoch"),
    ),
    Backend(
        "torch",
        "on_torch.OnTorch",
        "eager, the data in memory as one tensor",
        kinds=ALL,
        imports="import torch",
    ),
    Backend(
        "torch fused",
        "on_torch.OnTorch",
        "eager, with `SGD(fused=True)`",
        {"fused": True},
        groups=("step", "epoch"),
    ),
    Backend(
        "torch.compile",
        "on_torch.OnTorch",
        "network, loss and update compiled",
        {"compiled": True},
        (*TRAINING, "inference"),
        ("step", "epoch", "inference"),
    ),
    Backend(
        "torch DataLoader",
        "on_torch.OnLoader",
        "eager, with TensorDataset and DataLoader",
        kinds=(*TRAINING, "loading"),
        groups=EPOCHS,
    ),
    _torchvision(0, *EPOCHS),
    _torchvision(2, "epoch", "loading"),
    _cuda("CUDA resident", "torch on the GPU, data on the GPU", MORE),
    _cuda("CUDA pageable", "torch on the GPU, each batch copied there", transfer="pageable"),
    _cuda("CUDA pinned", "torch on the GPU, copies while it computes", transfer="pinned"),
    _cuda("CUDA graph", "torch on the GPU, a recorded step replayed", graph=True),
    _cuda("CUDA resident TF32", "torch on the GPU, products with 10 bits", MORE, tf32=True),
    _cuda("CUDA graph TF32", "a recorded step, products with 10 bits", graph=True, tf32=True),
    Backend(
        "JAX",
        "on_jax.OnJax",
        "all batches of an epoch as one compiled `scan`",
        kinds=("op", *TRAINING, "inference", "import"),
        groups=("op", "step", "inference", *EPOCHS),
        imports="import jax",
    ),
    Backend(
        "scikit-learn",
        "on_sklearn.OnSklearn",
        "`MLPClassifier.partial_fit`",
        kinds=(*TRAINING, "inference", "import"),
        groups=("step", "inference", *EPOCHS),
        imports="import sklearn.neural_network",
    ),
    *(
        Backend(f"floor {part}", "floor.Floor", about, {"part": part}, ("epoch",), ("epoch",))
        for part, about in FLOOR_PARTS.items()
    ),
)
BACKENDS = {backend.name: backend for backend in ROWS}
ALIASES = {"pytorch": "torch", "numpy": "scratchnn", "sklearn": "scikit-learn"}


def collect(batches: Iterator[tuple[object, object]]) -> tuple[AnyArray, ...]:
    """Return all inputs and targets of an epoch's batches."""
    X, target = zip(*((np.asarray(X), np.asarray(t)) for X, t in batches), strict=True)
    return np.concatenate(X), np.concatenate(target)
