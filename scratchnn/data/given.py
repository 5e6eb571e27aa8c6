"""Data as people have them at hand: data sets, a pair of them, or arrays."""

from __future__ import annotations

import math
import warnings
from typing import TypeAlias

import numpy as np

from scratchnn.data.dataset import Dataset
from scratchnn.ops.shared import AnyArray, check_array

NAME = "your data"
# A data set, or arrays (X, y)
Given: TypeAlias = Dataset | tuple[AnyArray, AnyArray]


def as_dataset(given: Given, outputs: int, *, classes: bool) -> Dataset:
    """Return a data set of arrays; one is returned as it is.

    Shapes   given (X, y): X (N, ...), y (N,) class indices, or real numbers (N,) or (N, K)
    Options  outputs   how many outputs the network has; a single one tells two classes apart
             classes   whether y holds class indices
    Raises   TypeError, ValueError, DataError for what makes no data set
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, (tuple, list)) and any(isinstance(part, Dataset) for part in given):
        raise TypeError("data must be one data set, got several: give the test part alone")
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        words = "a data set, or arrays (X, y)"
        raise TypeError(f"data must be {words}, got {type(given).__name__}")
    X, y = given
    check_array(X=X, y=y)
    for name, array in (("X", X), ("y", y)):
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            raise ValueError(f"{name} must be an array of real numbers, got {array.dtype}")
    X, y = X.reshape(len(X), math.prod(X.shape[1:])), y.astype(int) if y.dtype == bool else y
    if classes and y.dtype.kind in "iu" and y.shape == (len(X), 1):
        raise ValueError(f"y must have shape ({len(X)},), got {y.shape}: pass y[:, 0]")
    if not classes or y.ndim > 1:
        y = y.astype(np.float64)
        return Dataset(NAME, X, y[:, None] if y.ndim == 1 else y)
    if y.dtype.kind == "f":
        raise ValueError(f"y must be class indices, which are integers, got {y.dtype}")
    return Dataset(NAME, X, y, tuple(map(str, range(max(outputs, 2)))))


def as_parts(
    train: Given | tuple[Dataset, Dataset | None] | AnyArray,
    test: Given | AnyArray | None,
    validation: Given | None,
    outputs: int,
    *,
    classes: bool,
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """Return what to learn from, what to measure on, and what to choose the best epoch by.

    Options  train, test        each a data set or arrays (X, y); or both parts as `train`, as
                                data.digits() returns them; or X and y, as in fit(network, X, y)
             validation         a data set, or arrays (X, y)
             outputs, classes   as of `as_dataset`
    Raises   as `as_dataset`
    """
    if isinstance(train, np.ndarray) and isinstance(test, np.ndarray):
        train, test = (train, test), None
    match train:
        case (Dataset() as first, second) if test is None:
            train, test = first, second
        case (np.ndarray() as X, _) if X.dtype == np.uint8 and X.max(initial=0) > 1:
            words = f"X holds whole numbers up to {X.max()}, taken as they are"
            warnings.warn(f"{words}: pass X / 255 for inputs from 0 to 1", stacklevel=3)
    tested, valid = (
        None if given is None else as_dataset(given, outputs, classes=classes)  # type: ignore[arg-type]
        for given in (test, validation)
    )
    return as_dataset(train, outputs, classes=classes), tested, valid  # type: ignore[arg-type]
