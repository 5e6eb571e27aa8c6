"""Data sets, the files they are read from, transforms of images, and minibatches.

dataset        Dataset: examples in rows, and the transform that makes network inputs of them
datasets       digits, mnist, fashion_mnist, synthetic_line; load takes them by name
idx, layout    files of MNIST's format, and where they lie
given          arrays in place of a data set
folder, own    a folder of images per class; arrays and tables of your own
transforms     ToTensor, Normalize: from pixels to network inputs
geometry       pad, crop, flip
resampling     resize
augmentation   random crops and flips, for each training batch anew
batches        minibatches: which examples a batch holds
streaming      Stream: data that stay in their files
published      MNIST and Fashion-MNIST: their checksums, and where to get them
download       fetching them
files          how a file takes its place whole; locks
printable      text from elsewhere, made safe for a terminal
"""

from scratchnn.data.augmentation import random_crop, random_hflip, random_vflip
from scratchnn.data.batches import minibatches
from scratchnn.data.dataset import Dataset
from scratchnn.data.datasets import digits, fashion_mnist, load, mnist, synthetic_line
from scratchnn.data.folder import image_folder
from scratchnn.data.geometry import center_crop, crop, hflip, pad, vflip
from scratchnn.data.idx import DataError, map_idx, read_idx, write_idx
from scratchnn.data.own import load_own
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
    "load_own",
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
