"""Examples in rows, as they are stored, and the batches that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.data.batches import minibatches
from scratchnn.data.geometry import check_images_in_rows
from scratchnn.data.idx import DataError
from scratchnn.data.transforms import (
    SCALING,
    Transform,
    as_float,
    check_transform,
    from_description,
)
from scratchnn.ops.shared import (
    AnyArray,
    Array,
    IntArray,
    check_array,
    check_number,
    check_whole,
    generator,
)

# Takes the images (N, height, width) of a batch and a random generator, and returns images.
Augment: TypeAlias = Callable[[AnyArray, np.random.Generator], AnyArray]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples in rows, and the transform that makes network inputs of them, batch by batch.

    Images are rows of pixels, and stay uint8 in memory. `batch` makes floats of those it takes.

    Shapes   X (N, D); target (N,) class indices, or (N, K) real numbers
    Options  name         what messages call it
             classes      the names of the classes; empty for real targets
             transform    takes rows of X and a dtype, and returns network inputs
             image_size   (H, W) with H W = D, where the rows are images
             augment      changes the images of a training batch at random; it is not applied to
                          what is evaluated
    Raises   TypeError for what is not a NumPy array; DataError for no examples, lengths that
             differ, values that are not real numbers, NaN, or labels out of range
    """

    name: str
    X: AnyArray
    target: AnyArray
    classes: tuple[str, ...] = ()
    transform: Transform = as_float
    image_size: tuple[int, int] | None = None
    augment: Augment | None = None

    def __post_init__(self) -> None:
        check_array(X=self.X, target=self.target)
        if not isinstance(self.classes, (tuple, list)) or not all(
            isinstance(name, str) for name in self.classes
        ):
            raise TypeError(f"classes must be a tuple of names, got {self.classes!r}")
        if self.X.ndim != 2 or self.X.size == 0:
            raise DataError(
                f"{self.name}: X must be a matrix with at least one example, "
                f"got shape {self.X.shape}"
            )
        if self.X.dtype.kind not in "buif":
            raise DataError(f"{self.name}: X must hold real numbers, got {self.X.dtype}")
        if np.shape(self.target)[:1] != self.X.shape[:1]:
            raise DataError(
                f"{self.name}: target must have one entry per example, {len(self.X):,}, "
                f"got shape {self.target.shape}"
            )
        for name, values in (("X", self.X), ("target", self.target)):
            if isinstance(values, np.memmap):
                continue  # to look would read all of the file; the loss will show it
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
            raise DataError(f"{self.name}: augment needs images: give image_size=(height, width)")

    def _check_labels(self) -> None:
        if self.target.dtype.kind not in "iu" or self.target.ndim != 1:
            raise DataError(
                f"{self.name}: target must be one integer class per example, "
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
        images: AnyArray,
        target: AnyArray,
        classes: tuple[str, ...],
        transform: Transform,
    ) -> Self:
        """Return a data set of images, each a row of pixels.

        Shapes   images (N, height, width), target (N,)
        Options  name, classes, transform   as of `Dataset`
        Raises   DataError
        """
        check_images_in_rows(images)
        N, height, width = images.shape
        X = images.reshape(N, height * width)
        return cls(name, X, target, classes, transform, (height, width))

    def __len__(self) -> int:
        return len(self.X)

    def __str__(self) -> str:
        size = self.image_size
        what = f"{size[0]} x {size[1]} pixels" if size else f"{self.features} numbers"
        return f"{self.name}: {len(self):,} examples of {what}, {self.X.dtype}"

    def __repr__(self) -> str:
        kinds = f"{len(self.classes)} classes" if self.classes else "real targets"
        return f"<{type(self).__name__} {self}, {kinds}>"

    @property
    def features(self) -> int:
        """The number of inputs of a network for this data."""
        return int(self.X.shape[1])

    @property
    def outputs(self) -> int:
        """The number of classes, or of real targets."""
        return len(self.classes) or int(self.target.shape[1])

    @property
    def images(self) -> AnyArray:
        """The examples as images (N, height, width), a view.

        Raises   ValueError where they are not images
        """
        return self._as_images(self.X)

    def with_images(self, images: AnyArray) -> Dataset:
        """Return the same examples with other images, resized for example.

        Shapes   images (N, height, width)
        Raises   DataError for another number of images
        """
        check_images_in_rows(images)
        return replace(
            self,
            X=images.reshape(len(images), images.shape[1] * images.shape[2]),
            image_size=(images.shape[1], images.shape[2]),
        )

    def with_transform(self, transform: Transform | str) -> Dataset:
        """Return the same examples, to be transformed as those that a network learned from.

            network, said = checkpoint.load("runs/mlp")
            test = test.with_transform(said["transform"])

        Only the value of a white pixel stays that of this data set.

        Options  transform   a function, or in words, as a checkpoint names it
        Raises   ValueError for words of a function that is not in this package; TypeError for
                 what is no function
        """
        found = from_description(transform) if isinstance(transform, str) else transform
        check_transform(found)
        own = self.transform
        if isinstance(own, SCALING) and isinstance(found, SCALING):
            found = replace(found, max_value=own.max_value)
        return replace(self, transform=found)

    def labels(self, rows: IntArray | slice = slice(None)) -> list[str]:
        """Return the names of the classes of some rows.

        Options  rows   indices or a slice; default: all
        """
        return [self.classes[c] for c in self.target[rows]]

    def batch(
        self, rows: IntArray | slice, dtype: DTypeLike, rng: np.random.Generator | None = None
    ) -> tuple[Array, AnyArray]:
        """Return inputs and targets of some rows, for a network of this precision.

        Options  rows    indices or a slice
                 dtype   of the inputs, and of real targets
                 rng     is given for a training batch: `augment` is applied, and draws from it
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
        """Return the rows of each batch of one epoch.

        Options  batch_size   how many rows are in a batch
                 rng          shuffles them
        """
        return minibatches(len(self), batch_size, rng)

    def batches(
        self,
        order: Iterable[IntArray | slice],
        dtype: DTypeLike,
        rng: np.random.Generator | None = None,
    ) -> Generator[tuple[Array, AnyArray]]:
        """Yield a `batch` for each entry of an order.

        Options  order        the rows of each batch, as from `order`
                 dtype, rng   as of `batch`
        """
        return (self.batch(rows, dtype, rng) for rows in order)

    def _as_images(self, X: AnyArray) -> AnyArray:
        if self.image_size is None:
            raise ValueError(f"{self.name} has no images: give it image_size=(height, width)")
        return X.reshape(-1, *self.image_size)

    def split(
        self, share: float, rng: np.random.Generator | int | None = None
    ) -> tuple[Dataset, Dataset]:
        """Return (the rest, a part): examples that are drawn at random, and those left over.

        The part is stratified: it has this share of each class, rounded, and of a class with two
        examples or more at least one. Both keep the order of the examples.

        Options  share   of the examples in the part
                 rng     a random generator, or the seed of one
        Raises   ValueError for a share outside (0, 1), or one that leaves either without examples
        """
        check_number(share=share)
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, got {share}")
        rng = generator(rng)
        of_classes = [np.flatnonzero(self.target == c) for c in range(len(self.classes))]
        chosen = np.zeros(len(self), bool)
        for rows in of_classes or [np.arange(len(self))]:
            if len(rows) > 1:
                count = min(max(round(share * len(rows)), 1), len(rows) - 1)
                chosen[rng.permutation(rows)[:count]] = True
        if not chosen.any():
            raise ValueError(
                f"{self.name}: no class has two examples, so none can be split off: add some, or "
                "do without"
            )
        part, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
        return self._rows(rest), replace(self._rows(part), name=f"{self.name} validation")

    def _rows(self, rows: IntArray) -> Dataset:
        return replace(self, X=self.X[rows], target=self.target[rows])

    def only(self, classes: Sequence[int]) -> Dataset:
        """Return the examples of some classes only.

        Options  classes   their indices; they are then numbered from 0, in this order
        Raises   TypeError, ValueError for anything but different indices of classes
        """
        if not isinstance(classes, (tuple, list, range)):
            raise TypeError(f"classes must be a list of indices, got {classes!r}")
        check_whole(**{f"classes[{i}]": c for i, c in enumerate(classes)})
        known = set(range(len(self.classes)))
        if not classes or len(set(classes) & known) < len(classes):
            raise ValueError(
                f"classes must be different indices in [0, {len(self.classes)}), got {classes}"
            )
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
