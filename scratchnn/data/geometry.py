"""Moving whole pixels of images (..., height, width): pad, crop, flip, as torchvision does.

Source   torchvision.transforms.functional, whose names, arguments and defaults these have
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]


def pad(
    images: NDArray[Any],
    padding: int | Sequence[int],
    fill: float = 0,
    padding_mode: PaddingMode = "constant",
) -> NDArray[Any]:
    """Widen images by pixels of value `fill`, or by what stands at their edge.

    Two numbers of padding are for left and right, top and bottom; four for left, top, right,
    bottom.

    Shapes   images (..., H, W) → (..., top + H + bottom, left + W + right)
    Raises   ValueError for another count of numbers, or negative ones
    Torch    torchvision.transforms.functional.pad
    """
    left, top, right, bottom = _four_sides(padding)
    widths = [(0, 0)] * (images.ndim - 2) + [(top, bottom), (left, right)]
    if padding_mode == "constant":
        return np.pad(images, widths, constant_values=fill)
    return np.pad(images, widths, mode=padding_mode)


def crop(images: NDArray[Any], top: int, left: int, height: int, width: int) -> NDArray[Any]:
    """Cut out the window whose first pixel is (top, left); outside the image it is 0.

    Shapes   images (..., H, W) → (..., height, width), a view where nothing is outside
    Raises   ValueError for a window without pixels
    Torch    torchvision.transforms.functional.crop
    """
    check_size(height, width)
    H, W = images.shape[-2:]
    before = max(-left, 0), max(-top, 0)
    outside = *before, max(left + width - W, 0), max(top + height - H, 0)
    if any(outside):
        images, left, top = pad(images, outside), left + before[0], top + before[1]
    return images[..., top : top + height, left : left + width]


def center_crop(images: NDArray[Any], size: int | tuple[int, int]) -> NDArray[Any]:
    """Cut out the middle, a square for one number; what lies outside a smaller image is 0.

    Where an odd number of pixels goes, the half is rounded to even, as Python rounds.

    Shapes   images (..., H, W) → (..., height, width)
    Torch    torchvision.transforms.functional.center_crop
    """
    height, width = square(size)
    H, W = images.shape[-2:]
    return crop(images, _middle(H, height), _middle(W, width), height, width)


def hflip(images: NDArray[Any]) -> NDArray[Any]:
    """Mirror left and right; a view."""
    return images[..., ::-1]


def vflip(images: NDArray[Any]) -> NDArray[Any]:
    """Turn top to bottom; a view."""
    return images[..., ::-1, :]


def square(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width), the same twice for one number."""
    return (size, size) if isinstance(size, int) else size


def check_size(height: int, width: int) -> None:
    """Refuse images without pixels: slicing would return them.

    Raises   ValueError
    """
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be at least 1, got {height} and {width}")


def _middle(length: int, window: int) -> int:
    return round((length - window) / 2) if window <= length else -((window - length) // 2)


def _four_sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    sides = [padding] if isinstance(padding, int) else list(padding)
    if len(sides) not in (1, 2, 4) or min(sides) < 0:
        raise ValueError(f"padding must be 1, 2 or 4 numbers from 0 up, got {padding}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom
