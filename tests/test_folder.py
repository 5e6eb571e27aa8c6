"""Image folders: what is read, in which order, and what is refused."""

import os
import sys

import numpy as np
import pytest

from scratchnn.data import DataError, image_folder, resize
from scratchnn.extras import MissingExtraError

Image = pytest.importorskip("PIL.Image")


def write(path, *shape, seed=1):
    """Write a random image, grey or in colour, and return its pixels."""
    pixels = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path):
    """Three images of 4 x 3 pixels: two dogs, one of them in a folder of its own, and a cat."""
    write(tmp_path / "dog" / "b.png", 4, 3, seed=2)
    write(tmp_path / "dog" / "a" / "puppy.PNG", 4, 3, seed=3)
    write(tmp_path / "cat" / "c.png", 4, 3, seed=1)
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / "README").write_text("not a class")
    return tmp_path


def test_image_folder_reads_classes_and_files_in_order(folder):
    dataset = image_folder(folder)
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels() == ["cat", "dog", "dog"]
    assert dataset.images.dtype == np.uint8
    for image, seed in zip(dataset.images, (1, 2, 3), strict=True):
        expected = np.random.default_rng(seed).integers(256, size=(4, 3), dtype=np.uint8)
        np.testing.assert_array_equal(image, expected)
    X, target = dataset.batch(slice(None), np.float32)
    np.testing.assert_array_equal(X, dataset.X / np.float32(255), strict=True)
    assert target.tolist() == [0, 1, 1]


def test_image_folder_turns_colours_to_grey(tmp_path):
    colours = write(tmp_path / "cat" / "a.png", 4, 3, 3)
    grey = image_folder(tmp_path).images[0]
    luma = colours @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert abs(grey - luma).max() <= 0.5 + 255 * 3 / 2**17  # its rounding, and the weights'


def test_image_folder_resizes_images_of_different_sizes(folder):
    large = write(folder / "cat" / "z.png", 9, 9)
    with pytest.raises(DataError, match=r"got 4 x 3, 9 x 9: give size=\(height, width\)$"):
        image_folder(folder)
    with pytest.raises(DataError, match=r"\), not 28, which is for the shorter side$"):
        image_folder(folder, size=28)
    write(folder / "cat" / "w.png", 5, 9)
    with pytest.raises(DataError, match=r"got 4 x 3, 5 x 9, \.\.\.: give size="):
        image_folder(folder)
    (folder / "cat" / "w.png").unlink()
    dataset = image_folder(folder, size=(5, 6))
    assert dataset.image_size == (5, 6)
    np.testing.assert_array_equal(dataset.images[1], resize(large, (5, 6)))
    np.testing.assert_array_equal(image_folder(folder, mixed=(5, 6)).images, dataset.images)
    (folder / "cat" / "z.png").unlink()
    assert image_folder(folder, mixed=(5, 6)).image_size == (4, 3)


def test_image_folder_refuses_folders_without_images(tmp_path, folder):
    (folder / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"bird must have an image, one of \.jpg"):
        image_folder(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="must have a folder per class, got none"):
        image_folder(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        image_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", [lambda file: b"not an image", lambda file: file[:-30]])
def test_image_folder_names_a_damaged_file(folder, damage):
    path = folder / "dog" / "b.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"b\.png cannot be read as an image"):
        image_folder(folder)


def test_image_folder_leaves_hidden_names_and_folders_out(folder):
    """What notebooks and unpackers leave; a folder may be called like an image."""
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "dog" / "._b.png").write_bytes(b"not an image")
    (folder / "dog" / "x.png").mkdir()
    assert image_folder(folder).labels() == ["cat", "dog", "dog"]


@pytest.mark.parametrize(
    "error", [ValueError, MemoryError, SyntaxError, IndexError, Image.DecompressionBombError]
)
def test_image_folder_names_the_file_whatever_pillow_raises(folder, monkeypatch, error):
    def fail(*_, **__):
        raise error("from inside")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(DataError, match=r"c\.png cannot be read as an image: from inside"):
        image_folder(folder)


def test_image_folder_refuses_bombs_by_their_header(folder):
    """A PPM that says 9000 x 9000 pixels, and has none."""
    (folder / "dog" / "b.ppm").write_bytes(b"P6 9000 9000 255\n")
    with pytest.raises(DataError, match=r"b\.ppm: 9000 x 9000 pixels are more than 67,108,864"):
        image_folder(folder)


def test_image_folder_refuses_formats_that_start_programs(folder):
    """Pillow gives PostScript to Ghostscript, whatever the file is called."""
    (folder / "dog" / "b.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 3\n%%EOF"
    )
    with pytest.raises(DataError, match=r"b\.png cannot be read as an image"):
        image_folder(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_image_folder_refuses_pipes(folder):
    os.mkfifo(folder / "dog" / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png: expected a file, got a pipe"):
        image_folder(folder)


def test_image_folder_of_names_that_cannot_be(tmp_path):
    with pytest.raises(DataError, match="NUL"):
        image_folder("a\0b")
    with pytest.raises(FileNotFoundError, match="nobody-of-this-name"):
        image_folder("~nobody-of-this-name/x")


def test_image_folder_refuses_pixels_of_16_bits(folder):
    Image.fromarray(np.full((4, 3), 300, np.uint16)).save(folder / "dog" / "b.png")
    with pytest.raises(DataError, match=r"b\.png: pixels must have 8 bits, got Pillow's mode I"):
        image_folder(folder)


def test_image_folder_needs_pillow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"needs Pillow.*'\.\[data\]'"):
        image_folder(folder)
