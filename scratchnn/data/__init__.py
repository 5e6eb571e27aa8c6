"""Data: IDX files, image folders, data sets, transforms of images and minibatches."""

from scratchnn.data.augmentation import random_crop, random_hflip, random_vflip
from scratchnn.data.batches import minibatches
from scratchnn.data.dataset import Dataset
from scratchnn.data.datasets import digits, fashion_mnist, load, mnist, synthetic_line
from scratchnn.data.folder import image_folder
from scratchnn.data.geometry import center_crop, crop, hflip, pad, vflip
from scratchnn.data.idx import DataError, map_idx, read_idx, write_idx
from scratchnn.data.resampling import resize
from scratchnn.data.streaming import Stream, read_ahead, stream
from scratchnn.data.transforms import Normalize, ToTensor, as_float

__all__ = [
    "DataError",
    "Dataset",
    "Normalize",
    "Stream",
    "ToTensor",
    "as_float",
    "center_crop",
    "crop",
    "digits",
    "fashion_mnist",
    "hflip",
    "image_folder",
    "load",
    "map_idx",
    "minibatches",
    "mnist",
    "pad",
    "random_crop",
    "random_hflip",
    "random_vflip",
    "read_ahead",
    "read_idx",
    "resize",
    "stream",
    "synthetic_line",
    "vflip",
    "write_idx",
]
