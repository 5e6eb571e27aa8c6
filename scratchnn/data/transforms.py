"""From stored pixels to the inputs of a network, bit for bit as torchvision does.

A data set applies its transform to one batch at a time.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.ops.shared import AnyArray, Array

# Takes stored values and the precision to compute in.
Transform: TypeAlias = Callable[[AnyArray, DTypeLike], Array]


@dataclass(frozen=True)
class ToTensor:
    """Scale pixels that are whole numbers to [0, 1].

        x = pixel / max_value

    Floats are taken to be scaled already: they are only converted.

    Shapes   pixels (...) → x, the same shape
    Options  max_value   the value of a white pixel
    Torch    torchvision.transforms.ToTensor, for max_value = 255 and pixels of uint8 or floats
    """

    max_value: int = 255

    def __call__(self, pixels: AnyArray, dtype: DTypeLike = np.float32) -> Array:
        x = pixels.astype(dtype)
        if pixels.dtype.kind != "f":
            x /= self.max_value
        return x


@dataclass(frozen=True)
class Normalize:
    """Scale to [0, 1] as ToTensor, then to mean 0 and standard deviation 1.

        x = (ToTensor(pixel) - mean) / std

    The range is not [-1, 1]: for MNIST (0.1307, 0.3081) it is -0.424 to 2.821.

    Shapes   pixels (...) → x, the same shape
    Options  mean, std   of the pixels of the training images, scaled to [0, 1]; or of each column,
                         where the data are no images
             max_value   the value of a white pixel
    Torch    torchvision.transforms.Normalize((mean,), (std,)) after ToTensor
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]
    max_value: int = 255

    def __call__(self, pixels: AnyArray, dtype: DTypeLike = np.float32) -> Array:
        x = ToTensor(self.max_value)(pixels, dtype)
        x -= np.asarray(self.mean, x.dtype)
        x /= np.asarray(self.std, x.dtype)
        return x


def as_float(values: AnyArray, dtype: DTypeLike = np.float32) -> Array:
    """Convert to a precision, and change nothing else.

    Shapes   values (...) → the same
    Options  dtype   the precision
    """
    return values.astype(dtype, copy=False)


KINDS = {"ToTensor": ToTensor, "Normalize": Normalize}


def describe(transform: Transform) -> str:
    """Return a transform in words, for a file: "ToTensor(max_value=16)"; a function by its name.

    Raises   TypeError for what cannot be called
    """
    if not callable(transform):
        raise TypeError(f"transform must be a function such as ToTensor(), got {transform!r}")
    return getattr(transform, "__name__", None) or repr(transform)


def from_description(text: str) -> Transform:
    """Return the transform that `describe` described. The text is read, and not run.

    Raises   ValueError for another text, as of a function of your own
    """
    if text == as_float.__name__:
        return as_float
    try:
        call = ast.parse(text, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
            raise ValueError("no transform with its options")
        options = {str(part.arg): ast.literal_eval(part.value) for part in call.keywords}
        return KINDS[call.func.id](**options)
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"transform must be as_float, or {' or '.join(KINDS)} with its options, got {text!r}"
        ) from error
