"""From stored pixels to network inputs, a batch at a time, bit for bit as torchvision does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from scratchnn.arrays import Array

# Takes stored values and the precision to compute in.
Transform: TypeAlias = Callable[[NDArray[Any], DTypeLike], Array]


@dataclass(frozen=True)
class ToTensor:
    """Scale whole-number pixels to [0, 1].

        x = pixel / max_value

    Shapes   pixels (...) → x, the same shape
    Torch    torchvision.transforms.ToTensor, for max_value = 255
    """

    max_value: int = 255

    def __call__(self, pixels: NDArray[Any], dtype: DTypeLike = np.float32) -> Array:
        x: Array = pixels.astype(dtype)
        x /= self.max_value
        return x


@dataclass(frozen=True)
class Normalize:
    """Scale to [0, 1] as ToTensor, then shift and scale to mean 0 and standard deviation 1.

        x = (pixel / max_value - mean) / std

    The range is not [-1, 1]: for MNIST (0.1307, 0.3081) it is -0.424 to 2.821.

    Shapes   pixels (...) → x, the same shape
    Torch    torchvision.transforms.Normalize((mean,), (std,)) after ToTensor
    """

    mean: float
    std: float
    max_value: int = 255

    def __call__(self, pixels: NDArray[Any], dtype: DTypeLike = np.float32) -> Array:
        x = ToTensor(self.max_value)(pixels, dtype)
        x -= self.mean
        x /= self.std
        return x


def as_float(values: NDArray[Any], dtype: DTypeLike = np.float32) -> Array:
    """Change nothing but the precision."""
    return values.astype(dtype, copy=False)
