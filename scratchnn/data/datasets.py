"""The data sets: bundled digits, MNIST and Fashion-MNIST from a folder, and a synthetic line."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratchnn.data.dataset import Dataset
from scratchnn.data.layout import read_pair, torchvision_layout
from scratchnn.data.own import load_own
from scratchnn.data.published import check_labels
from scratchnn.data.transforms import Normalize, ToTensor, Transform
from scratchnn.ops.shared import check_number, check_rates, check_whole, generator

FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
DIGIT_CLASSES = tuple("0123456789")
CLASSES = {"mnist": DIGIT_CLASSES, "fashion-mnist": FASHION_CLASSES}
LINE_W, LINE_B = (2.0, -3.4), 4.2


class Pixels(NamedTuple):
    """What the stored pixels mean.

    Parts    max_value   the value of a white pixel
             mean, std   of the training pixels, scaled to [0, 1]
    """

    max_value: int
    mean: float
    std: float

    def transform(self, normalize: bool) -> Transform:
        """Return the transform of these pixels: Normalize, or ToTensor, which is its first step.

        Options  normalize   scale to mean 0 and standard deviation 1, not to [0, 1]
        """
        return (
            Normalize(self.mean, self.std, self.max_value)
            if normalize
            else ToTensor(self.max_value)
        )


PIXELS = {
    "digits": Pixels(16, 0.3054, 0.3755),
    "mnist": Pixels(255, 0.1307, 0.3081),
    "fashion-mnist": Pixels(255, 0.2860, 0.3530),
}


def digits(*, normalize: bool = False) -> tuple[Dataset, Dataset]:
    """Return (train, test): 1,437 and 360 handwritten digits, which come with the package.

    Shapes   images of 8 x 8 pixels from 0 to 16
    Options  normalize   scale to mean 0 and standard deviation 1, not to [0, 1]
    Source   Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits (the test set),
             UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0
    """
    folder = Path(__file__).with_name("digits")
    images, labels = read_pair(
        folder / "digits-images-idx3-ubyte.gz", folder / "digits-labels-idx1-ubyte.gz"
    )
    target = labels.astype(np.intp)
    transform = PIXELS["digits"].transform(normalize)

    def part(name: str, rows: slice) -> Dataset:
        return Dataset.of_images(name, images[rows], target[rows], DIGIT_CLASSES, transform)

    split = 1437  # 80 %
    return part("digits train", slice(split)), part("digits test", slice(split, None))


def mnist(
    data_dir: str | Path | None = None, *, normalize: bool = False
) -> tuple[Dataset, Dataset]:
    """Return (train, test) of MNIST: 60,000 and 10,000 handwritten digits.

    Shapes   images of 28 x 28 pixels from 0 to 255
    Options  data_dir    the folder of the data, in torchvision's layout; default: $SCRATCHNN_DATA
             normalize   scale to mean 0 and standard deviation 1, not to [0, 1]
    Raises   FileNotFoundError, DataError
    Source   LeCun, Bottou, Bengio & Haffner 1998, doi:10.1109/5.726791
    """
    return _in_memory("mnist", data_dir, normalize)


def fashion_mnist(
    data_dir: str | Path | None = None, *, normalize: bool = False
) -> tuple[Dataset, Dataset]:
    """Return (train, test) of Fashion-MNIST: 60,000 and 10,000 pictures of clothes, in ten classes.

    Shapes   images of 28 x 28 pixels from 0 to 255
    Options  data_dir    the folder of the data, in torchvision's layout; default: $SCRATCHNN_DATA
             normalize   scale to mean 0 and standard deviation 1, not to [0, 1]
    Raises   FileNotFoundError, DataError
    Source   Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747
    """
    return _in_memory("fashion-mnist", data_dir, normalize)


def synthetic_line(
    w: Sequence[float] = LINE_W,
    b: float = LINE_B,
    *,
    examples: int = 10_000,
    noise: float = 0.1,
    rng: np.random.Generator | int | None = 0,
) -> Dataset:
    """Draw points of a line (or a plane, ...) with normal noise.

        y = X w + b + ε,   X ~ N(0, 1),   ε ~ N(0, noise²)

    Shapes   X (examples, len(w)), target (examples, 1), both float64
    Options  w, b       the slope along each feature, and the value at X = 0
             examples   how many points
             noise      the standard deviation of ε
             rng        a random generator, or the seed of one
    Raises   TypeError, ValueError
    """
    check_number(b=b)
    if not math.isfinite(b):
        raise ValueError(f"b must be finite, got {b}")
    check_rates(noise=noise)
    check_whole(1, examples=examples)
    rng = generator(rng)
    X = rng.normal(size=(examples, len(w)))
    y = X @ np.asarray(w, dtype=float) + b + rng.normal(0, noise, examples)
    return Dataset("line", X, y[:, None])


DATA = ("digits", "mnist", "fashion-mnist", "line")


def load(
    name: str, data_dir: str | Path | None = None, *, normalize: bool = False
) -> tuple[Dataset, Dataset | None]:
    """Return (train, test) of the data set of this name. The line has no test set: None.

    Options  name        "digits", "mnist", "fashion-mnist" or "line"; or the path of data of your
                         own: see `load_own`
             data_dir    the folder of the data, in torchvision's layout; default: $SCRATCHNN_DATA
             normalize   scale to mean 0 and standard deviation 1, not to [0, 1]
    Raises   ValueError for neither a name nor a path; FileNotFoundError, DataError
    """
    match name:
        case "digits":
            return digits(normalize=normalize)
        case "mnist":
            return mnist(data_dir, normalize=normalize)
        case "fashion-mnist":
            return fashion_mnist(data_dir, normalize=normalize)
        case "line":
            return synthetic_line(), None
    check_name(name)
    return load_own(name, normalize=normalize)


def check_name(name: str) -> None:
    """Raise for what is neither the name of a data set nor a path that is there.

    Raises   ValueError
    """
    if not is_here(name):
        raise ValueError(
            f"data must be one of {', '.join(DATA)}, or the path of your own images, arrays or "
            f"table; there is no {name!r}"
        )


def is_here(name: object) -> bool:
    """Tell whether this is the name of a data set, or a path that is there.

    Options  name   as read from a file: of any type
    """
    if not isinstance(name, str) or "\0" in name:
        return False
    return name in DATA or os.path.exists(os.path.expanduser(name))


def _in_memory(name: str, data_dir: str | Path | None, normalize: bool) -> tuple[Dataset, Dataset]:
    transform, parts = PIXELS[name].transform(normalize), []
    for part, images, labels in torchvision_layout(name, data_dir):
        check_labels(name, labels)
        target = labels.astype(np.intp)
        parts.append(Dataset.of_images(part, images, target, CLASSES[name], transform))
    train, test = parts
    return train, test
