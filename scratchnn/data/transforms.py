"""From stored pixels to the inputs of a network, bit for bit as torchvision does.

A data set applies its transform to one batch at a time.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.ops.shared import AnyArray, Array, check_array, check_dtype, check_number

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_value", _positive("max_value", self.max_value))

    def __call__(self, pixels: AnyArray, dtype: DTypeLike = np.float32) -> Array:
        _check_values(dtype, pixels=pixels)
        x = pixels.astype(dtype)
        if pixels.dtype.kind != "f":
            x /= self.max_value
        return x


@dataclass(frozen=True)
class Normalize:
    """Scale to [0, 1] as ToTensor, then to mean 0 and standard deviation 1.

        x = (ToTensor(pixel) - mean) / std

    The range is not [-1, 1]: for MNIST (0.1307, 0.3081) it is -0.424 to 2.821.
    An array of means or deviations is kept as a tuple of floats.

    Shapes   pixels (...) → x, the same shape
    Options  mean, std   of the pixels of the training images, scaled to [0, 1]; or of each column,
                         where the data are no images
             max_value   the value of a white pixel
    Torch    torchvision.transforms.Normalize((mean,), (std,)) after ToTensor
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]
    max_value: int = 255

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_value", _positive("max_value", self.max_value))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _as_python(name, getattr(self, name)))
        if not (np.asarray(self.std, float) > 0).all():
            raise ValueError(f"std must be positive, got {self.std}")

    def __call__(self, pixels: AnyArray, dtype: DTypeLike = np.float32) -> Array:
        x = ToTensor(self.max_value)(pixels, dtype)
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if np.ndim(numbers) and x.shape[-1:] != np.shape(numbers):
                raise ValueError(
                    f"{name} must be one number, or one per column {x.shape[-1:]}, "
                    f"got {np.shape(numbers)}"
                )
        x -= np.asarray(self.mean, x.dtype)
        x /= np.asarray(self.std, x.dtype)
        return x


def as_float(values: AnyArray, dtype: DTypeLike = np.float32) -> Array:
    """Convert to a precision, and change nothing else.

    Shapes   values (...) → the same
    Options  dtype   the precision
    """
    _check_values(dtype, values=values)
    return values.astype(dtype, copy=False)


SCALING = (ToTensor, Normalize)  # know the value of a white pixel
KINDS = {kind.__name__: kind for kind in SCALING}


def describe(transform: Transform) -> str:
    """Return a transform in words, for a file: "ToTensor(max_value=16)", or "as_float".

    A transform of your own gets the name of its module in front: `from_description` reads it as
    none of this package's.

    Raises   TypeError for what cannot be called
    """
    check_transform(transform)
    if transform is as_float:
        return as_float.__name__
    if type(transform) in SCALING:
        return repr(transform)
    name = getattr(transform, "__qualname__", None) or repr(transform)
    return f"{getattr(transform, '__module__', None)}.{name}"


def description_as_json(description: Mapping[str, Any]) -> str:
    """Return what a file says of a network, as JSON: NumPy's numbers as Python's.

    Options  description   values by name; of these, `transform` may be a transform, or its words
    Raises   TypeError that names the value which JSON cannot hold
    """
    said = dict(description)
    if callable(said.get("transform")):
        said["transform"] = describe(said["transform"])
    for name, value in said.items():
        try:
            json.dumps(value, default=_as_json)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name} must be a number, a text, or a list or dictionary of them, as JSON has "
                f"them: {error}"
            ) from error
    return json.dumps(said, default=_as_json)


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


def check_transform(transform: object) -> None:
    """Raise for what is no function.

    Raises   TypeError
    """
    if not callable(transform):
        raise TypeError(f"transform must be a function such as ToTensor(), got {transform!r}")


def _as_json(value: object) -> object:
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    raise TypeError(f"got {type(value).__name__}")


def _check_values(dtype: DTypeLike, **values: AnyArray) -> None:
    check_array(**values)
    check_dtype(dtype)
    for name, array in values.items():
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold real numbers, got {array.dtype}")


def _positive(name: str, number: float) -> float:
    """Return a positive and finite number as one of Python's."""
    check_number(**{name: number})
    if not 0 < number < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {number}")
    return number.item() if isinstance(number, np.generic) else number


def _as_python(name: str, numbers: float | Sequence[float]) -> float | tuple[float, ...]:
    """Return a finite number as a float, or a row of them as a tuple."""
    several = isinstance(numbers, (tuple, list)) or np.ndim(numbers) == 1
    row: Sequence[float] = numbers if several else [numbers]  # type: ignore[assignment,list-item]
    for number in row:
        check_number(**{name: number})
        if not np.isfinite(number):
            raise ValueError(f"{name} must be finite, got {numbers}")
    return tuple(map(float, row)) if several else float(row[0])
