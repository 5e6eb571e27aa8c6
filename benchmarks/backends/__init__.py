"""Everybody's way to do the same work. A backend is a row of the table, and a module's `open`.

What `open(options)` returns has, for the kinds of cases that it does:

    op(name, dy, arguments)    → a Task
    trainer(case, dtype)       → a Trainer                     (step, epoch, memory)
    predictor(case)            → a Task: class probabilities   (inference)
    loader(case)               → a Task: an epoch's batches    (loading)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import NotRunError
from scratchnn.arrays import Array, IntArray
from scratchnn.extras import MissingExtraError

TRAINING = ("step", "epoch", "memory")
ALL = ("op", *TRAINING, "inference", "loading", "import")


class Task(NamedTuple):
    """Work to be timed, and its result, which is looked at once."""

    run: Callable[[], Any]
    result: Callable[[], tuple[NDArray[Any], ...]]


class Trainer(Protocol):
    """A network in training. Its methods return when the work is done, not when it is queued."""

    @property
    def data_bytes(self) -> int:
        """The size of the arrays of the data that are kept for training."""

    def epoch(self) -> None:
        """Train on every example once."""

    def step(self) -> None:
        """Train on all examples as one batch."""

    def theta(self) -> Array:
        """Return the parameters in scratchnn's layout."""

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""


@dataclass(frozen=True)
class Backend:
    """One way to do the work. `imports` is what a script of that kind imports to train."""

    name: str  # without a comma
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = TRAINING
    groups: tuple[str, ...] = ()  # of those kinds; none: all
    imports: str = ""

    def does(self, group: str, kind: str) -> bool:
        """Return whether there is such work for this backend."""
        return kind in self.kinds and (not self.groups or group in self.groups)

    @property
    def is_cuda(self) -> bool:
        """Whether it needs a GPU."""
        return self.options.get("device") == "cuda"

    @property
    def compiles(self) -> bool:
        """Whether a compiler takes minutes before it can start."""
        return bool(self.options.get("compiled"))

    @property
    def roundoff(self) -> float | None:
        """The unit roundoff of its products, where it is not float32's: TF32 keeps 10 bits."""
        return 2.0**-11 if self.options.get("tf32") else None

    def open(self) -> Any:
        """Return what does the work.

        Raises   NotRunError that says what is missing
        """
        try:
            return import_module(f"benchmarks.backends.{self.module}").open(**self.options)
        except MissingExtraError as error:
            raise NotRunError(str(error)) from error


MAPS = ("step", "crossover", "scaling")
EPOCHS = ("epoch", "memory", "loading", "import")


def _cuda(name: str, kinds: tuple[str, ...] = TRAINING, **options: Any) -> Backend:
    groups = ("op", "inference", "epoch", *MAPS)
    return Backend(name, "on_torch", {"device": "cuda", **options}, kinds, groups)


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("scratchnn", "on_numpy", kinds=ALL, imports="import scratchnn; scratchnn.fit"),
        Backend(
            "scratchnn floats", "on_numpy", {"floats": True},
            ("epoch", "loading"), ("epoch", "loading"),
        ),
        Backend("torch", "on_torch", kinds=ALL, imports="import torch"),
        Backend("torch fused", "on_torch", {"fused": True}, TRAINING, ("step", "epoch")),
        Backend(
            "torch.compile", "on_torch", {"compiled": True},
            (*TRAINING, "inference"), ("step", "epoch", "inference"),
        ),
        Backend(
            "torch DataLoader", "on_loader", kinds=(*TRAINING, "loading"),
            groups=EPOCHS,
        ),
        *(
            Backend(
                f"torchvision {workers} workers", "on_loader",
                {"torchvision": True, "workers": workers}, (*TRAINING, "loading", "import"),
                groups, imports="import torch, torchvision",
            )
            for workers, groups in ((0, EPOCHS), (2, ("epoch", "loading")))
        ),
        _cuda("CUDA resident", (*TRAINING, "op", "inference")),
        _cuda("CUDA pageable", transfer="pageable"),
        _cuda("CUDA pinned", transfer="pinned"),
        _cuda("CUDA graph", graph=True),
        _cuda("CUDA resident TF32", (*TRAINING, "op", "inference"), tf32=True),
        _cuda("CUDA graph TF32", graph=True, tf32=True),
        Backend(
            "JAX", "on_jax", kinds=("op", *TRAINING, "inference", "import"),
            groups=("op", "step", "inference", *EPOCHS), imports="import jax",
        ),
        Backend(
            "scikit-learn", "on_sklearn", kinds=(*TRAINING, "inference", "import"),
            groups=("step", "inference", *EPOCHS), imports="import sklearn.neural_network",
        ),
        *(
            Backend(f"floor {part}", "floor", {"part": part}, ("epoch",), ("epoch",))
            for part in ("products", "bytes", "float bytes")
        ),
    )
}  # fmt: skip


def collect(batches: Iterator[tuple[Any, Any]]) -> tuple[NDArray[Any], ...]:
    """Return all inputs and targets of an epoch's batches."""
    X, target = zip(*((np.asarray(X), np.asarray(t)) for X, t in batches), strict=True)
    return np.concatenate(X), np.concatenate(target)
