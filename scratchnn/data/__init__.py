"""Data: IDX files, data sets, transforms and minibatches."""

from scratchnn.data.batches import minibatches
from scratchnn.data.datasets import (
    Dataset,
    digits,
    fashion_mnist,
    load,
    mnist,
    synthetic_line,
)
from scratchnn.data.idx import DataError, read_idx, write_idx
from scratchnn.data.transforms import Normalize, ToTensor, as_float

__all__ = [
    "DataError",
    "Dataset",
    "Normalize",
    "ToTensor",
    "as_float",
    "digits",
    "fashion_mnist",
    "load",
    "minibatches",
    "mnist",
    "read_idx",
    "synthetic_line",
    "write_idx",
]
