"""Images in folders, one folder per class, read by Pillow into memory as grey values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scratchnn.data.dataset import Dataset
from scratchnn.data.idx import DataError, check_file
from scratchnn.data.layout import expanded
from scratchnn.data.resampling import resize
from scratchnn.data.transforms import ToTensor
from scratchnn.extras import need

FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")  # others may start other programs
MOST_PIXELS = 2**26  # of an image: it takes eight bytes for each while it is read
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def image_folder(
    folder: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    mixed: tuple[int, int] | None = None,
) -> Dataset:
    """Read folder/CLASS/.../IMAGE as grey values in uint8, in alphabetical order.

    Names that begin with a dot are left out.

    Options  folder   has one folder per class
             size     every image is resized to it, as by `resize`; default: they stay as they are
             mixed    (height, width) that images of different sizes are then resized to; default:
                      all must have one size
    Raises   MissingExtraError; FileNotFoundError for no class, or a class without images; DataError
             for a file that is not an image, one of more than 67 million pixels, or images of
             different sizes
    Torch    torchvision.datasets.ImageFolder with transforms.Grayscale (and Resize)
    """
    root = expanded(folder)
    classes = class_names(root)
    if not classes:
        raise FileNotFoundError(f"{root} must have a folder per class, got none")
    paths = [_images_in(root / name) for name in classes]
    images = [_read(path, size) for of_class in paths for path in of_class]
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1 and mixed:
        images = [resize(image, mixed) for image in images]
    elif len(shapes) > 1:
        (height, width), (other_height, other_width), *more = shapes
        got = f"{height} x {width}, {other_height} x {other_width}{', ...' if more else ''}"
        given = f", not {size}, which is for the shorter side" if size else ""
        raise DataError(
            f"{root}: all images must have the same height and width, got {got}: "
            f"give size=(height, width){given}"
        )
    target = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in paths])
    return Dataset.of_images(root.name, np.stack(images), target, tuple(classes), ToTensor())


def class_names(root: Path) -> list[str]:
    """Return the names of the folders in a folder, in alphabetical order.

    Options  root   the folder
    Raises   FileNotFoundError
    """
    return sorted(entry.name for entry in root.iterdir() if _visible(entry) and entry.is_dir())


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _images_in(folder: Path) -> list[Path]:
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS and _visible(path) and not path.is_dir()
    )
    paths = sorted(found, key=lambda path: (str(path.parent), path.name))
    if not paths:
        raise FileNotFoundError(f"{folder} must have an image, one of {', '.join(EXTENSIONS)}")
    return paths


def _read(path: Path, size: int | tuple[int, int] | None) -> NDArray[np.uint8]:
    pillow = need("PIL.Image", "data")
    try:
        with pillow.open(check_file(path), formats=FORMATS) as image:
            if image.mode[0] in "IF":
                raise DataError(
                    f"{path}: pixels must have 8 bits, got Pillow's mode {image.mode}: convert it "
                    "first"
                )
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{path}: {image.width} x {image.height} pixels are more than "
                    f"{MOST_PIXELS:,}: make it smaller first"
                )
            colours = image if image.mode in ("L", "RGB") else image.convert("RGB")
            pixels = np.array(colours.convert("L"))  # as ImageFolder, then Grayscale
    except DataError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds on bytes that are not an image
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{path} cannot be read as an image: {reason}: remove it, or replace it"
        ) from error
    return pixels if size is None else resize(pixels, size)
