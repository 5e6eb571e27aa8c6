"""Padding, cropping and flipping images (..., height, width), as torchvision does.

Names, arguments and defaults are those of torchvision.transforms.functional.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from scratchnn.ops.shared import AnyArray, check_array, check_choice, check_number, check_whole

PaddingMode: TypeAlias = Literal["constant", "edge", "reflect", "symmetric"]


def pad(
    images: AnyArray,
    padding: int | Sequence[int],
    fill: float = 0,
    padding_mode: PaddingMode = "constant",
) -> AnyArray:
    """Add pixels on each side of the images.

    Shapes   images (..., H, W) → (..., top + H + bottom, left + W + right)
    Options  padding        how many pixels: one number for all sides; two for left and right, top
                            and bottom; four for left, top, right, bottom
             fill           their value
             padding_mode   "constant" takes `fill`; "edge" repeats the outermost pixel; "reflect"
                            mirrors the image without it, "symmetric" with it
    Raises   TypeError, ValueError for another count of numbers, negative ones, or a fill that the
             pixels cannot have
    Torch    torchvision.transforms.functional.pad
    """
    check_images(images)
    check_number(fill=fill)
    check_choice(("constant", "edge", "reflect", "symmetric"), padding_mode=padding_mode)
    left, top, right, bottom = _four_sides(padding)
    if padding_mode == "constant":
        _check_fits(fill, images.dtype)
    elif 0 in images.shape[-2:]:
        raise ValueError(f"images must have pixels to repeat, got shape {images.shape}")
    widths = [(0, 0)] * (images.ndim - 2) + [(top, bottom), (left, right)]
    if padding_mode == "constant":
        return np.pad(images, widths, constant_values=fill)
    return np.pad(images, widths, mode=padding_mode)


def crop(images: AnyArray, top: int, left: int, height: int, width: int) -> AnyArray:
    """Cut out a window. Where it lies outside the image, it is 0.

    Shapes   images (..., H, W) → (..., height, width), a view where nothing is outside
    Options  top, left       the window's first pixel
             height, width   its size
    Raises   ValueError for a window without pixels
    Torch    torchvision.transforms.functional.crop
    """
    check_images(images)
    check_whole(top=top, left=left, height=height, width=width)
    top, left, height, width = map(int, (top, left, height, width))  # -np.uint8(1) is 255
    check_size(height, width)
    H, W = images.shape[-2:]
    before = max(-left, 0), max(-top, 0)
    outside = *before, max(left + width - W, 0), max(top + height - H, 0)
    if any(outside):
        images, left, top = pad(images, outside), left + before[0], top + before[1]
    return images[..., top : top + height, left : left + width]


def center_crop(images: AnyArray, size: int | tuple[int, int]) -> AnyArray:
    """Cut out the middle. Where it lies outside a smaller image, it is 0.

    Where an odd number of pixels is removed, half of it is rounded to even, as
    Python's round does.

    Shapes   images (..., H, W) → (..., height, width)
    Options  size   (height, width), or one number for a square
    Torch    torchvision.transforms.functional.center_crop
    """
    check_images(images)
    height, width = square(size)
    H, W = images.shape[-2:]
    return crop(images, _middle(H, height), _middle(W, width), height, width)


def hflip(images: AnyArray) -> AnyArray:
    """Swap left and right. The result is a view."""
    check_images(images)
    return images[..., ::-1]


def vflip(images: AnyArray) -> AnyArray:
    """Swap top and bottom. The result is a view."""
    check_images(images)
    return images[..., ::-1, :]


def square(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width): of one number, the same twice."""
    height, *rest = whole_numbers("size", size, (1, 2))
    return height, rest[0] if rest else height


def whole_numbers(name: str, value: int | Sequence[int], counts: tuple[int, ...]) -> list[int]:
    """Return a number, or several, as a list.

    Options  name     what messages call it
             counts   how many there may be
    Raises   TypeError for what is no whole number; ValueError for another count
    """
    several = isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim)
    given: Any = value if several else [value]
    try:
        numbers = [operator.index(number) for number in given]
    except TypeError as error:
        raise TypeError(f"{name} must be whole numbers, got {value!r}") from error
    if len(numbers) not in counts:
        allowed = " or ".join(map(str, counts))
        raise ValueError(f"{name} must be {allowed} numbers, got {value!r}")
    return numbers


def check_images(images: AnyArray) -> None:
    """Raise for what is no array (..., height, width).

    Raises   TypeError, ValueError
    """
    check_array(images=images)
    if images.ndim < 2:
        raise ValueError(f"images must have shape (..., H, W), got {images.shape}")
    if images.dtype.kind not in "biuf":
        raise TypeError(f"images must hold real numbers, got {images.dtype}")


def check_images_in_rows(images: AnyArray) -> None:
    """Raise for what is no array (N, height, width): one image for each example.

    Raises   TypeError, ValueError
    """
    check_images(images)
    if images.ndim != 3:
        raise ValueError(f"images must have shape (N, H, W), got {images.shape}")


def check_size(height: int, width: int) -> None:
    """Raise for an image without pixels: slicing would return an empty one.

    Raises   ValueError
    """
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be at least 1, got {height} and {width}")


def _check_fits(fill: float, dtype: np.dtype[Any]) -> None:
    """Raise for a value that whole-number pixels cannot have: NumPy would cut it off."""
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not (low <= fill <= high and fill == int(fill)):
            raise ValueError(f"fill must be a whole number in [{low}, {high}], got {fill}")


def _middle(length: int, window: int) -> int:
    return round((length - window) / 2) if window <= length else -((window - length) // 2)


def _four_sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    sides = whole_numbers("padding", padding, (1, 2, 4))
    if min(sides) < 0:
        raise ValueError(f"padding must be numbers from 0 up, got {padding}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom
