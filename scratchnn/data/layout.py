"""Where the four files of MNIST or Fashion-MNIST lie, and whether they fit each other.

torchvision's layout is DIR/MNIST/raw/train-images-idx3-ubyte.gz. Unpackers and Kaggle leave other
names and folders: those are found, too.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scratchnn.data.idx import DataError, read_idx
from scratchnn.ops.shared import AnyArray

FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
PARTS = {"train": "train", "test": "t10k"}  # what the names of their files begin with
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
STEMS = tuple(f"{prefix}-{kind}" for prefix in PARTS.values() for kind in KINDS)


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return the folder of the data: the one given, or that of the variable SCRATCHNN_DATA.

    Options  data_dir   the folder; default: the variable
    Raises   FileNotFoundError where there is neither, or no such user; DataError for a NUL in it
    """
    folder = data_dir or os.environ.get("SCRATCHNN_DATA")
    if not folder:
        raise FileNotFoundError(
            "no data folder: give --data-dir (data_dir) or set SCRATCHNN_DATA, "
            "or train on the bundled digits"
        )
    return expanded(folder)


def expanded(path: str | Path) -> Path:
    """Return the path with ~ and ~user replaced by their folder.

    Raises   FileNotFoundError for an unknown user; DataError for a NUL in the name
    """
    if "\0" in str(path):
        raise DataError(f"{str(path)!r}: a file name cannot hold a NUL character")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(f"{path}: {error}") from error


def raw_folder(name: str, data_dir: str | Path | None = None) -> Path:
    """Return the folder that holds the files of a data set, or that is to hold them.

    It is the first of DIR/MNIST/raw, DIR/MNIST, DIR/raw and DIR that has one of them. The last two
    are not looked into where DIR belongs to the other data set. Without any file, it is the one of
    torchvision's layout.

    Options  name       "mnist" or "fashion-mnist"
             data_dir   DIR; default: $SCRATCHNN_DATA
    Raises   ValueError for another name; FileNotFoundError; DataError
    """
    if name not in FOLDERS:
        raise ValueError(f"name must be {' or '.join(FOLDERS)}, got {name!r}")
    root, own = data_folder(data_dir), FOLDERS[name]
    last = root.parent.name if root.name == "raw" else root.name
    folders = [root / own / "raw", root / own]
    if last not in set(FOLDERS.values()) - {own}:
        folders += [root / "raw", root]
    for folder in folders:
        if count(folder):
            return folder
    if last == own:
        return root if root.name == "raw" else root / "raw"
    return folders[0]


def count(folder: Path) -> int:
    """Return how many of the four files are in a folder.

    Options  folder   where to look
    """
    return sum(find(folder, stem) is not None for stem in STEMS)


def find(folder: Path, stem: str) -> Path | None:
    """Return the file of this name, compressed or not, or None.

    train-images-idx3-ubyte may be spelled train-images.idx3-ubyte, and lie in a folder that is
    called the same.

    Options  folder   where to look
             stem     the name in torchvision's layout, without .gz
    """
    spellings = (stem, stem.replace("-idx", ".idx"))
    names = [f"{spelled}{packed}" for spelled in spellings for packed in ("", ".gz")]
    places = [folder, *(folder / spelled for spelled in spellings)]
    paths = (place / name for place in places for name in names)
    return next((path for path in paths if path.exists() and not path.is_dir()), None)


def torchvision_layout(
    name: str, data_dir: str | Path | None, read: Callable[[Path], AnyArray] = read_idx
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield name, images and labels of the two parts of a data set in torchvision's layout.

    Options  name        "mnist" or "fashion-mnist"
             data_dir    the folder of the data; default: $SCRATCHNN_DATA
             read        reads one file: `read_idx`, or `map_idx`
    Raises   FileNotFoundError; DataError, also for test images of another size than those to train
             on
    """
    folder, size = raw_folder(name, data_dir), None
    for part, prefix in PARTS.items():
        image_path, label_path = (
            _present(folder, f"{prefix}-{kind}", name, data_dir) for kind in KINDS
        )
        try:
            images, labels = read_pair(image_path, label_path, read)
        except DataError as error:
            if read is not read_idx:  # a file to map is also refused for being compressed
                raise
            raise DataError(f"{error}; {fetch_command(name, data_dir)} fetches it anew") from error
        size = size or images.shape[1:]
        if images.shape[1:] != size:
            raise DataError(
                f"{image_path}: images to test on must be as large as those to train on, "
                f"{size[0]} x {size[1]}, got {images.shape[1]} x {images.shape[2]}; "
                f"{fetch_command(name, data_dir)} fetches them anew"
            )
        yield f"{name} {part}", images, labels


def read_pair(
    images_path: Path, labels_path: Path, read: Callable[[Path], AnyArray] = read_idx
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (N, height, width) and their labels (N,), both checked.

    Options  images_path, labels_path   the files
             read                       reads one of them
    Raises   FileNotFoundError; DataError for other types and shapes, and lengths that differ
    """
    images, labels = read(images_path), read(labels_path)
    for path, array, ndim in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise DataError(
                f"{path}: expected uint8 with {ndim} dimension(s), "
                f"got {array.dtype} of shape {array.shape}"
            )
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: expected {len(images):,} labels, one per image, got {len(labels):,}"
        )
    return images, labels


def _present(folder: Path, stem: str, name: str, data_dir: str | Path | None) -> Path:
    path = find(folder, stem)
    if path is None:
        raise FileNotFoundError(
            f"{folder / stem}[.gz] is missing: {fetch_command(name, data_dir)} fetches it"
        )
    return path


def fetch_command(name: str, data_dir: str | Path | None) -> str:
    """Return the command that fetches the files of a data set which are missing or damaged.

    Options  name       "mnist" or "fashion-mnist"
             data_dir   the folder of the data; None: $SCRATCHNN_DATA
    Raises   FileNotFoundError for no folder
    """
    return f"`scratchnn data fetch {name} --data-dir {shlex.quote(str(data_folder(data_dir)))}`"
