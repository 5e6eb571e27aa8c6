"""Downloading MNIST and Fashion-MNIST into a folder, in torchvision's layout."""

from __future__ import annotations

from pathlib import Path

from scratchnn.data.datasets import data_folder
from scratchnn.data.idx import DataError
from scratchnn.extras import need

# Folder, address, and the MD5 sum of each file, as in torchvision.datasets.
SOURCES = {
    "mnist": (
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": (
        "FashionMNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}


def download(name: str, data_dir: str | Path | None = None) -> Path:
    """Download the files of a data set that are missing, check their sums, return their folder.

    Options  name       "mnist" or "fashion-mnist"
             data_dir   the folder of the data; default: $SCRATCHNN_DATA
    Raises   MissingExtraError; DataError when a file cannot be fetched or is not the right one
    """
    folder, address, sums = SOURCES[name]
    pooch = need("pooch", "data")
    raw = data_folder(data_dir) / folder / "raw"
    for file, md5 in sums.items():
        if (raw / file).exists() or (raw / file).with_suffix("").exists():  # loading checks it
            continue
        try:
            pooch.retrieve(address + file, f"md5:{md5}", fname=file, path=raw)
        except (OSError, ValueError) as error:  # no connection; a wrong sum
            raise DataError(f"{address}{file} could not be fetched: {error}") from error
    return raw
