"""Examples in rows, as they are stored, and what a batch of them is."""

from __future__ import annotations  # numpy.random need not be imported for a type

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from scratchnn.arrays import Array, IntArray
from scratchnn.data.batches import minibatches
from scratchnn.data.idx import DataError
from scratchnn.data.transforms import Transform, as_float

# Takes the images (N, height, width) of a batch, and what draws random numbers.
Augment: TypeAlias = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in rows, as stored, and the transform that makes network inputs of a batch of them.

    Images are flat and stay uint8 in memory; `batch` makes floats of those it takes. `augment`
    changes the images of a training batch at random, and nothing that is evaluated.

    Shapes   X (N, D); target (N,) class indices, or (N, K) real numbers; image_size (H, W) with
             H W = D, where the rows are images
    Raises   DataError for no examples, lengths that differ, NaN, labels out of range
    """

    name: str
    X: NDArray[Any]
    target: NDArray[Any]
    classes: tuple[str, ...] = ()
    transform: Transform = as_float
    image_size: tuple[int, int] | None = None
    augment: Augment | None = None

    def __post_init__(self) -> None:
        if self.X.ndim != 2 or self.X.size == 0:
            raise DataError(
                f"{self.name}: X must be a matrix with at least one example, "
                f"got shape {self.X.shape}"
            )
        if len(self.target) != len(self.X):
            raise DataError(
                f"{self.name}: target must have one entry an example, {len(self.X):,}, "
                f"got {len(self.target):,}"
            )
        for name, values in (("X", self.X), ("target", self.target)):
            if isinstance(values, np.memmap):
                continue  # the loss will tell; looking would read all of the file
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                first = tuple(np.argwhere(~np.isfinite(values))[0])
                raise DataError(
                    f"{self.name}: {name} must be finite, got {values[first]} in row {first[0]}"
                )
        self._check_image_size()
        if self.classes:
            self._check_labels()
        elif self.target.dtype.kind != "f" or self.target.ndim != 2:
            raise DataError(
                f"{self.name}: target must be real numbers (N, K) where there are no classes, "
                f"got {self.target.dtype} of shape {self.target.shape}"
            )

    def _check_image_size(self) -> None:
        size = self.image_size
        if size is not None and size[0] * size[1] != self.features:
            raise DataError(
                f"{self.name}: image_size must be (height, width) of {self.features} pixels, "
                f"got {size}"
            )
        if size is None and self.augment is not None:
            raise DataError(f"{self.name}: augment needs images, got no image_size")

    def _check_labels(self) -> None:
        if self.target.dtype.kind not in "iu" or self.target.ndim != 1:
            raise DataError(
                f"{self.name}: target must be one integer class an example, "
                f"got {self.target.dtype} of shape {self.target.shape}"
            )
        low, high = self.target.min(), self.target.max()
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"{self.name}: target must hold class indices in "
                f"[0, {len(self.classes)}), got values in [{low}, {high}]"
            )

    @classmethod
    def of_images(
        cls,
        name: str,
        images: NDArray[Any],
        target: NDArray[Any],
        classes: tuple[str, ...],
        transform: Transform,
    ) -> Self:
        """Make a data set of images (N, height, width), each a row of pixels."""
        N, height, width = images.shape
        X = images.reshape(N, height * width)
        return cls(name, X, target, classes, transform, (height, width))

    def __len__(self) -> int:
        return len(self.X)

    @property
    def features(self) -> int:
        """The number of inputs of a network for this data."""
        return int(self.X.shape[1])

    @property
    def outputs(self) -> int:
        """The number of classes, or of real targets."""
        return len(self.classes) or int(self.target.shape[1])

    @property
    def images(self) -> NDArray[Any]:
        """The examples as images (N, height, width); a view.

        Raises   ValueError where they are none
        """
        return self._as_images(self.X)

    def with_images(self, images: NDArray[Any]) -> Dataset:
        """Return the same examples with other images (N, height, width): resized, cropped."""
        return replace(
            self, X=images.reshape(len(images), -1), image_size=(images.shape[1], images.shape[2])
        )

    def labels(self, rows: IntArray | slice = slice(None)) -> list[str]:
        """Return the names of the classes of some rows."""
        return [self.classes[c] for c in self.target[rows]]

    def batch(
        self, rows: IntArray | slice, dtype: DTypeLike, rng: np.random.Generator | None = None
    ) -> tuple[Array, NDArray[Any]]:
        """Return inputs and targets of some rows, ready for a network of this precision.

        With an rng, they are to train on: `augment` is applied.
        """
        # take is twice as fast as indexing with an array
        X = self.X[rows] if isinstance(rows, slice) else np.asarray(self.X).take(rows, axis=0)
        target = self.target[rows]
        if self.augment is not None and rng is not None:
            X = self.augment(self._as_images(X), rng).reshape(len(X), -1)
        if target.dtype.kind == "f":
            target = target.astype(dtype, copy=False)
        return self.transform(X, dtype), target

    def order(self, batch_size: int, rng: np.random.Generator) -> Iterable[IntArray]:
        """Return the rows of an epoch's batches."""
        return minibatches(len(self), batch_size, rng)

    def batches(
        self,
        order: Iterable[IntArray | slice],
        dtype: DTypeLike,
        rng: np.random.Generator | None = None,
    ) -> Generator[tuple[Array, NDArray[Any]]]:
        """Yield a `batch` for each of these rows."""
        return (self.batch(rows, dtype, rng) for rows in order)

    def _as_images(self, X: NDArray[Any]) -> NDArray[Any]:
        if self.image_size is None:
            raise ValueError(f"{self.name} has no images: its image_size is None")
        return X.reshape(-1, *self.image_size)

    def only(self, classes: Sequence[int]) -> Dataset:
        """Keep these classes alone, numbered anew from 0 in the order given."""
        keep = np.isin(self.target, classes)
        number = np.zeros(len(self.classes), np.intp)
        number[list(classes)] = np.arange(len(classes))
        return replace(
            self,
            name=f"{self.name} {' and '.join(self.classes[c] for c in classes)}",
            X=self.X[keep],
            target=number[self.target[keep]],
            classes=tuple(self.classes[c] for c in classes),
        )
