"""Data of your own, by the path of a folder or a file.

    FOLDER/CLASS/.../IMAGE                    images; FOLDER/train/CLASS and FOLDER/test/CLASS: in
                                              two parts
    FOLDER/X.npy, y.npy                       arrays; X_test.npy, y_test.npy: the test part
    FILE.csv                                  a table; FOLDER/train.csv, test.csv: in two parts

Whole numbers from 0 to 255, with a 255 among them, are taken for pixels.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchnn.data.dataset import Dataset
from scratchnn.data.folder import image_folder
from scratchnn.data.idx import DataError, check_file
from scratchnn.data.layout import FOLDERS, count, expanded, raw_folder
from scratchnn.data.resampling import resize
from scratchnn.data.transforms import Normalize, ToTensor, Transform, as_float
from scratchnn.ops.shared import AnyArray, Array

MIXED = (28, 28)  # what images of different sizes become: MNIST's size
TARGETS = ("label", "class", "target", "y")  # names of a table's column that is to be predicted
WHITE = 255
CSV: Any = {"delimiter": ",", "quotechar": '"', "comments": None, "encoding": "utf-8-sig"}


def load_own(
    path: str | Path, *, normalize: bool = False, real: bool = False
) -> tuple[Dataset, Dataset | None]:
    """Return (train, test) of your own data; test is None where there is no such part.

    Pixels are scaled to [0, 1], other numbers stay as they are. With `normalize`, images get mean
    0 and standard deviation 1, and so does each column of other data, by the training part.

    Options  path        a folder or file, see above
             normalize   scale to mean 0 and standard deviation 1
             real        the targets are real numbers, and not classes
    Raises   FileNotFoundError; DataError for what cannot be read, or does not fit
    """
    path = expanded(path)
    train, *tests = parts = list(_parts(path))
    if isinstance(train, Dataset):
        if real:
            raise DataError(
                f"{path}: images are of classes, which linear regression does not learn: try mlp"
            )
        datasets = [train, *(_like(train, test) for test in tests if isinstance(test, Dataset))]
    else:
        datasets = _of_arrays([part for part in parts if isinstance(part, Part)], real)
    if normalize:
        transform = _normalizing(datasets[0])
        datasets = [replace(dataset, transform=transform) for dataset in datasets]
    return datasets[0], datasets[1] if tests else None


class Part(NamedTuple):
    """Arrays as they were read.

    Shapes   X (N, D) or (N, height, width), y (N,) or (N, K)
    """

    name: str
    X: AnyArray
    y: AnyArray


def _parts(path: Path) -> Iterator[Dataset | Part]:
    """Read what there is: the training part, and the test part if there is one."""
    if path.suffix.lower() == ".csv":
        yield _table(path, path.name)
    elif path.suffix.lower() == ".npy":
        raise DataError(f"{path}: give the folder, which must hold X.npy and y.npy")
    elif not path.is_dir():
        check_file(path)  # raises where there is none
        words = "data must be a folder of images or arrays, or a .csv file"
        if path.suffix.lower() in (".npz", ".npy"):
            words += ": save the arrays as X.npy and y.npy in a folder, and name that"
        raise DataError(f"{path}: {words}")
    elif (path / "X.npy").exists():
        yield Part(f"{path.name} train", _array(path / "X.npy"), _array(path / "y.npy"))
        if (path / "X_test.npy").exists():
            X, y = _array(path / "X_test.npy"), _array(path / "y_test.npy")
            yield Part(f"{path.name} test", X, y)
    elif (path / "train.csv").exists():
        for part in ("train", "test"):
            if (path / f"{part}.csv").exists():
                yield _table(path / f"{part}.csv", f"{path.name} {part}")
    elif (path / "train").is_dir():
        for part in ("train", "test"):
            if (path / part).is_dir():
                images = image_folder(path / part, mixed=MIXED)
                yield replace(images, name=f"{path.name} {part}")
    else:
        _check_is_own(path)
        yield image_folder(path, mixed=MIXED)


def _check_is_own(path: Path) -> None:
    """Raise for the folder of MNIST or Fashion-MNIST, which is likely to be given by mistake."""
    for name in FOLDERS:
        if count(raw_folder(name, path)):
            raise DataError(f"{path} has the files of {name}: give --data {name} --data-dir {path}")


def _array(path: Path) -> AnyArray:
    """Read an .npy file. It is mapped first, so that one which says too much is found out."""
    path = check_file(path)
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # np.load raises a dozen kinds on bytes that are not its own
        raise DataError(f"{path}: expected an array saved by np.save, got {error}") from error


def _table(path: Path, name: str) -> Part:
    """Read a table of numbers. The target is the column of that name, or else the last one."""
    path = check_file(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            first, second = next(rows, []), next(rows, [])
        header = not all(map(_is_number, first[:-1]))
        if len(first) < 2 or (header and not second):
            raise DataError(
                f"{path}: a table must have a row and two columns, with commas between, got {first}"
            )
        named = [k for k, cell in enumerate(first) if header and cell.strip().lower() in TARGETS]
        target = named[0] if named else len(first) - 1
        features = [k for k in range(len(first)) if k != target]
        X = np.loadtxt(path, float, usecols=features, ndmin=2, skiprows=int(header), **CSV)
        y = np.loadtxt(path, object, usecols=[target], ndmin=1, skiprows=int(header), **CSV)
    except DataError:
        raise
    except Exception as error:  # a cell that is no number, a row that is too short, no text
        raise DataError(
            f"{path} cannot be read as a table of numbers: {error}; only the column of the target "
            "may have names"
        ) from error
    return Part(name, X, y.astype(str))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _of_arrays(parts: list[Part], real: bool) -> list[Dataset]:
    """Return the data sets of arrays; classes and their order are those of the training part."""
    rows, size = _rows(parts)
    targets, classes = ([_real(part) for part in parts], ()) if real else _classes(parts)
    transform: Transform = ToTensor() if rows[0].dtype == np.uint8 else as_float
    return [
        Dataset(part.name, X, target, classes, transform, size)
        for part, X, target in zip(parts, rows, targets, strict=True)
    ]


def _rows(parts: list[Part]) -> tuple[list[AnyArray], tuple[int, int] | None]:
    """Return each X as rows, bytes if they are pixels; and the size of images, if they are."""
    Xs = [X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X for _, X, _ in parts]
    for X, part in zip(Xs, parts, strict=True):
        shape = X.shape[1:]
        if X.ndim not in (2, 3) or X.dtype.kind not in "buif" or not X.size:
            raise DataError(
                f"{part.name}: X must be real numbers of shape (N, features) or (N, height, "
                f"width), got {X.dtype} of shape {X.shape}"
            )
        if shape != Xs[0].shape[1:]:
            raise DataError(
                f"{part.name}: X must have the shape of the training part, "
                f"(N, {', '.join(map(str, Xs[0].shape[1:]))}), got {X.shape}"
            )
    pixels = all(map(_may_be_pixels, Xs)) and (Xs[0].dtype == np.uint8 or Xs[0].max() == WHITE)
    size = Xs[0].shape[1:] if Xs[0].ndim == 3 else None
    side = math.isqrt(Xs[0].shape[1])
    if size is None and pixels and side * side == Xs[0].shape[1]:
        size = side, side
    dtype = np.uint8 if pixels else np.result_type(*Xs, np.float32)
    return [X.reshape(len(X), -1).astype(dtype, copy=False) for X in Xs], size


def _may_be_pixels(X: AnyArray) -> bool:
    if X.dtype == np.uint8:
        return True
    return bool(X.min() >= 0 and X.max() <= WHITE and not (X % 1).any())


def _real(part: Part) -> Array:
    """Return real targets (N, K)."""
    try:
        y = part.y.astype(float) if part.y.dtype.kind in "buifU" else None
    except ValueError:
        y = None
    if y is None:
        raise DataError(
            f"{part.name}: targets must be real numbers, got {part.y.ravel()[:3]}; classes are for "
            "softmax-regression or mlp"
        )
    return y[:, None] if y.ndim == 1 else y


def _classes(parts: list[Part]) -> tuple[list[AnyArray], tuple[str, ...]]:
    """Return the class indices of each part, and the names of the classes, sorted."""
    labels = [_labels(part) for part in parts]
    classes = tuple(map(str, np.unique(labels[0])))
    number = {name: k for k, name in enumerate(classes)}
    targets = []
    for part, of in zip(parts, labels, strict=True):
        unknown = sorted(set(map(str, np.unique(of))) - set(classes))
        if unknown:
            raise DataError(
                f"{part.name}: the class {unknown[0]!r} is not in the training part, "
                f"which has {', '.join(classes[:20])}"
            )
        targets.append(np.array([number[str(label)] for label in of], np.intp))
    return targets, classes


def _labels(part: Part) -> AnyArray:
    """Return the labels, as whole numbers where they are: 10 is then behind 9."""
    y = part.y[:, 0] if part.y.ndim == 2 and part.y.shape[1] == 1 else part.y
    if y.ndim == 1 and y.dtype.kind == "U":
        y = np.char.strip(y)
        if all(map(_is_number, y.tolist())):
            y = y.astype(float)
    if y.dtype.kind == "f" and np.isfinite(y).all() and not (y % 1).any():
        y = y.astype(np.int64)
    if y.ndim != 1 or y.dtype.kind not in "iubU":
        raise DataError(
            f"{part.name}: classes must be whole numbers or names, one per example, got "
            f"{y.ravel()[:3]} of shape {y.shape}; real targets are for linear-regression"
        )
    return y


def _like(train: Dataset, test: Dataset) -> Dataset:
    """Return the test images with the size and the numbers of the classes of those to train on."""
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise DataError(
            f"{test.name}: the class {unknown[0]!r} is not in the training part, "
            f"which has {', '.join(train.classes[:20])}"
        )
    number = np.array([train.classes.index(name) for name in test.classes])
    test = replace(test, target=number[test.target], classes=train.classes)
    size = train.images.shape[1:]
    return test if test.image_size == size else test.with_images(resize(test.images, size))


def _normalizing(train: Dataset) -> Normalize:
    """Return the transform that scales to mean 0 and standard deviation 1: images as a whole, other
    numbers by column.
    """
    X = train.transform(train.X, np.float64)
    if train.image_size:
        return Normalize(float(X.mean()), float(X.std()) or 1.0)
    mean, std = X.mean(axis=0), X.std(axis=0)
    return Normalize(tuple(mean.tolist()), tuple(np.where(std > 0, std, 1).tolist()))
