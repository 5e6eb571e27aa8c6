"""Images in folders, one folder per class, read by Pillow into memory as grey values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scratchnn.data.dataset import Dataset
from scratchnn.data.idx import DataError
from scratchnn.data.resampling import resize
from scratchnn.data.transforms import ToTensor
from scratchnn.extras import need

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def image_folder(folder: str | Path, *, size: int | tuple[int, int] | None = None) -> Dataset:
    """Read folder/CLASS/.../IMAGE as grey values in uint8, in alphabetical order.

    Options  folder   has one folder per class
             size     every image is resized to it, as by `resize`; without it, all must have the
                      same size
    Raises   MissingExtraError; FileNotFoundError for no class, or a class without images; DataError
             for a file that is not an image, or images of different sizes
    Torch    torchvision.datasets.ImageFolder with transforms.Grayscale (and Resize)
    """
    root = Path(folder).expanduser()
    classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"{root} must have a folder per class, got none")
    paths = [_images_in(root / name) for name in classes]
    images = [_read(path, size) for of_class in paths for path in of_class]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DataError(
            f"{root}: all images must have the same size, or be given one by size=, "
            f"got {', '.join(f'{width} x {height}' for height, width in sorted(shapes))}"
        )
    target = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in paths])
    return Dataset.of_images(root.name, np.stack(images), target, tuple(classes), ToTensor())


def _images_in(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    paths = sorted(found, key=lambda path: (str(path.parent), path.name))
    if not paths:
        raise FileNotFoundError(f"{folder} must have an image, one of {', '.join(EXTENSIONS)}")
    return paths


def _read(path: Path, size: int | tuple[int, int] | None) -> NDArray[np.uint8]:
    pillow = need("PIL.Image", "data")
    try:
        with pillow.open(path) as image:
            if image.mode[0] in "IF":
                raise DataError(f"{path}: pixels must have 8 bits, got Pillow's mode {image.mode}")
            pixels = np.array(image.convert("RGB").convert("L"))  # as ImageFolder, then Grayscale
    except (OSError, SyntaxError) as error:  # Pillow's for damaged files
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    return pixels if size is None else resize(pixels, size)
