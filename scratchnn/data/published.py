"""MNIST and Fashion-MNIST as they were published: where they are, and what their files hold.

The sums are of the files without compression, so they hold for files that were unpacked, or
compressed anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from scratchnn.data.idx import DataError, digest, read_idx
from scratchnn.data.layout import find, raw_folder
from scratchnn.ops.shared import AnyArray


class Published(NamedTuple):
    """A file of a data set, without compression.

    Parts    size     in bytes
             sha256   of its bytes
    """

    size: int
    sha256: str


MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
}

FILES = {
    "mnist": {
        "train-images-idx3-ubyte": Published(
            47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": Published(
            60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": Published(
            7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": Published(
            10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": Published(
            47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": Published(
            60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": Published(
            7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": Published(
            10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
}


class State(NamedTuple):
    """What is known of one file of a data set.

    Parts    stem      its name in torchvision's layout, without .gz
             path      where it is; None: nowhere
             problem   what is wrong with it; "": nothing
             whole     it can be read, be its contents the right ones or not
    """

    stem: str
    path: Path | None
    problem: str
    whole: bool


def check_labels(name: str, labels: AnyArray) -> None:
    """Raise for labels of the other data set: a folder may have got the wrong files.

    Options  name     "mnist" or "fashion-mnist"
             labels   of its training or test part, as the file has them
    Raises   DataError
    """
    found = digest(labels)
    for other, files in FILES.items():
        if other != name and any(found == file.sha256 for file in files.values()):
            raise DataError(f"the folder of {name} has the files of {other}: give another folder")


def verify(name: str, data_dir: str | Path | None = None) -> list[State]:
    """Compare the files of a data set with what was published, bit for bit.

    Options  name       "mnist" or "fashion-mnist"
             data_dir   the folder of the data; default: $SCRATCHNN_DATA
    Raises   FileNotFoundError for no folder
    """
    folder = raw_folder(name, data_dir)
    return [state(folder, stem, published) for stem, published in FILES[name].items()]


def state(folder: Path, stem: str, published: Published) -> State:
    """Compare one file with what was published.

    Options  folder      where it is looked for
             stem        its name in torchvision's layout, without .gz
             published   what it should hold
    """
    path = find(folder, stem)
    if path is None:
        return State(stem, None, f"{folder / stem}[.gz] is missing", whole=False)
    try:
        values = read_idx(path)
    except DataError as error:
        return State(stem, path, str(error), whole=False)
    if digest(values) == published.sha256:
        return State(stem, path, "", whole=True)
    return State(stem, path, f"{path} is not the file that was published", whole=True)
