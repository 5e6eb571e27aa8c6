"""How a picture of any size and colour becomes the pixels that a network learned from.

Most networks of this package learned from images whose background is 0: MNIST is white on black. A
picture is usually dark on light, larger, and not centred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError, resize
from scratchnn.data.folder import FORMATS, MOST_PIXELS
from scratchnn.extras import need
from scratchnn.ops.shared import AnyArray, Array

FAINT = 0.25  # of the range: what is fainter is background, where the drawing is looked for


@dataclass(frozen=True)
class Framing:
    """How a data set's images lie in their frame.

    Options  share     of the frame that the longer side of the drawing takes
             by_mass   whether the centre of mass is in the middle, and not that of the box
             strokes   whether it is drawn in strokes, which are white; otherwise it has greys
    """

    share: float
    by_mass: bool = False
    strokes: bool = True


# MNIST: LeCun et al. scaled each digit to 20 x 20 pixels, and centred it in 28 x 28 by its mass
FRAMINGS = {
    "mnist": Framing(20 / 28, by_mass=True),
    "digits": Framing(1.0),
    "fashion-mnist": Framing(1.0, strokes=False),
}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture at the network's size.

    Parts    pixels     (height, width), from 0 to 1; the background is as in the training
             inverted   whether dark became light, and light dark
             how        what was done to it, in words
    """

    pixels: Array
    inverted: bool
    how: str

    @property
    def is_empty(self) -> bool:
        """Whether all pixels are the same."""
        return bool(self.pixels.min() == self.pixels.max())


def read(
    path: Path,
    size: tuple[int, int],
    framing: Framing | None,
    *,
    invert: bool | None = None,
    light: bool = False,
) -> Prepared:
    """Read a picture and bring it to a network's size.

    Options  path      of the picture
             size      (height, width) of the network's images
             framing   of those; None: the whole picture is resized, as images of a folder are
             invert    whether dark becomes light; default: where the picture's border is not as
                       light or dark as those of the network's images
             light     whether the network's images have light borders
    Raises   MissingExtraError; DataError for what is no picture
    """
    grey, words = _grey(path)
    background, middle = _border(grey), float(grey.min() + grey.max()) / 2
    edge = background > (middle if grey.min() < grey.max() else 0.5)
    inverted = edge != light if invert is None else invert
    asked = "" if invert is None else ", as asked"
    said = [words, "inverted" if inverted else "not inverted"]
    said[1] += f" (its border is {'light' if edge else 'dark'}{asked})"
    if inverted:
        grey, background = 1 - grey, 1 - background
    if grey.shape == size:
        pixels, words = grey, "of the network's size already"
    elif framing is None:
        pixels, words = resize(grey, size), f"all of it resized to {size[1]} x {size[0]}"
    else:
        ink = 1 - grey if light else grey
        paper = 1 - background if light else background
        reach = float(ink.max()) - paper
        pixels, words = _framed(((ink - paper) / (reach or 1.0)).clip(0, 1), size, framing)
        pixels = 1 - pixels if light else pixels
        colours = "white, the rest to black" if light else "black, the rest to white"
        said.append(f"the background made {colours}")
    return Prepared(pixels, inverted, ", ".join([*said, words]))


def has_light_border(images: AnyArray) -> bool:
    """Tell whether the borders of images are lighter than their middle value.

    Shapes   images (N, height, width)
    """
    lightest, darkest = float(images.max()), float(images.min())
    return float(np.median([_border(image) for image in images])) > (lightest + darkest) / 2


def _border(grey: AnyArray) -> float:
    """Return the median of the outermost pixels."""
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def _grey(path: Path) -> tuple[Array, str]:
    """Return the greys of a picture, 0 black and 1 white, upright; and what it was."""
    pillow, operations = need("PIL.Image", "data"), need("PIL.ImageOps", "data")
    try:
        with pillow.open(path, formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(f"{path}: more than {MOST_PIXELS:,} pixels: make it smaller first")
            image = operations.exif_transpose(opened)  # as a phone was held
            words = f"{image.width} x {image.height} {image.mode}"
            if image.mode[0] in "IF":
                greys = np.asarray(image).astype(np.float64)
                return greys / (greys.max() or 1.0), words
            if "A" in image.mode or "transparency" in image.info:
                return _without_alpha(image), f"{words}, made opaque"
            return np.asarray(image.convert("RGB").convert("L")) / 255, words
    except DataError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds on bytes that are not an image
        said = str(error).removesuffix(f" {str(path)!r}")
        raise DataError(f"{path} cannot be read as an image: {said}") from error


def _without_alpha(image: Any) -> Array:
    """Put a picture with transparent parts on white, or on black if it is drawn in light."""
    greys, alpha = np.moveaxis(np.asarray(image.convert("RGBA").convert("LA")) / 255, 2, 0)
    drawn = float((greys * alpha).sum() / (alpha.sum() or 1.0))
    paper = 0.0 if drawn > 0.5 else 1.0
    blended: Array = greys * alpha + paper * (1 - alpha)
    return blended


def _framed(ink: Array, size: tuple[int, int], framing: Framing) -> tuple[Array, str]:
    """Crop to the drawing, scale it to its share of the frame, and put it into the middle."""
    if ink.max() <= FAINT:
        return np.zeros(size), "nothing is drawn on it"
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis=axis)) for axis in (1, 0))
    drawing = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    H, W = drawing.shape
    scale = framing.share * min(size[0] / H, size[1] / W)
    height, width = max(round(H * scale), 1), max(round(W * scale), 1)
    small = resize(drawing, (height, width))
    if framing.strokes:  # they paled where the picture became smaller, thin ones below FAINT
        small = (small / np.median(small[small > FAINT * small.max()])).clip(0, 1)
    centre = _centre_of_mass(small) if framing.by_mass else ((height - 1) / 2, (width - 1) / 2)
    top, left = (
        min(max(round((whole - 1) / 2 - at), 0), whole - length)
        for whole, at, length in zip(size, centre, small.shape, strict=True)
    )
    pixels = np.zeros(size)
    pixels[top : top + height, left : left + width] = small
    middle = "its centre of mass in the middle" if framing.by_mass else "in the middle"
    return pixels, (
        f"the drawing ({W} x {H}) scaled to {width} x {height} of {size[1]} x {size[0]}, {middle}"
    )


def _centre_of_mass(pixels: Array) -> tuple[float, float]:
    total = float(pixels.sum()) or 1.0
    by_row, by_column = pixels.sum(axis=1), pixels.sum(axis=0)
    return (
        float(by_row @ np.arange(len(by_row))) / total,
        float(by_column @ np.arange(len(by_column))) / total,
    )


def rows_of(array: AnyArray, features: int, path: Path) -> AnyArray:
    """Return an array's examples in rows.

    Shapes   array (D,), (N, D), (height, width) or (N, height, width) → (N, D)
    Options  features   D
             path       what messages call it
    Raises   DataError for another shape, or values that are not finite numbers
    """
    shapes: Sequence[tuple[int, ...]] = (array.shape, array.shape[1:])
    fits = any(int(np.prod(shape)) == features for shape in shapes if shape)
    if array.dtype.kind not in "buif" or not fits or array.ndim > 3 or not array.size:
        raise DataError(
            f"{path}: expected numbers of shape ({features},) or (N, {features}), or images of "
            f"{features} pixels, got {array.dtype} of shape {array.shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{path}: expected finite numbers, got NaN or infinity")
    return array.reshape(-1, features)
