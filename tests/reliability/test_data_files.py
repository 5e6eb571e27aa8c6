"""Damaged and hostile data files: an error that names the file, or the right data; never others."""

import gzip
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from scratchnn.data import DataError, image_folder, load_own, map_idx, read_idx, write_idx
from scratchnn.data.idx import digest, read_idx_from
from tests.reliability.damage import damaged

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(1)
IDX_FILES = {
    "images": RNG.integers(256, size=(12, 5, 4), dtype=np.uint8),
    "labels": np.arange(12, dtype=np.uint8) % 10,
    "numbers": RNG.normal(size=(3, 4)),
}
HEADER = {"images": 16, "labels": 8, "numbers": 12}  # bytes


def cases(short, long):
    """Let a test run with a few cases, or with many where it may take minutes."""
    return pytest.mark.parametrize("cases", [short, pytest.param(long, marks=pytest.mark.long)])


def tried(read, file, name):
    """Return what is read, or None where it is refused by an error that begins with the name."""
    try:
        return read(file)
    except DataError as error:
        if not str(error).startswith(str(name)):
            raise
        return None


def idx(content):
    """Read an IDX file from its content, or return None."""
    return tried(lambda file: read_idx_from(file, "a file"), BytesIO(content), "a file: ")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The content of each IDX file, not compressed."""
    path = tmp_path_factory.mktemp("plain") / "values"
    contents = {}
    for name, values in IDX_FILES.items():
        write_idx(path, values)
        contents[name] = path.read_bytes()
    return contents


@cases(1_000, 100_000)
def test_damaged_idx_files_are_errors_or_right(plain, tmp_path, cases):
    """Of a file that is not compressed, a SHA-256 alone shows damage behind the header."""
    rng, path, refused = np.random.default_rng(cases), tmp_path / "values", 0
    for case in range(cases):
        name = list(plain)[case % len(plain)]
        content, right = damaged(plain[name], rng), plain[name]
        values = idx(content)
        path.write_bytes(content)
        mapped = tried(map_idx, path, path)
        if values is None:
            refused += 1
            assert mapped is None or content[:2] == b"\x1f\x8b"
            continue
        np.testing.assert_array_equal(mapped, values)
        assert (digest(values) == digest(IDX_FILES[name])) == (content == right)
        if content[: HEADER[name]] == right[: HEADER[name]]:
            assert values.shape == IDX_FILES[name].shape
    print(f"{cases:,} damaged, {refused:,} refused")  # pytest -rP shows it
    assert refused > cases / 3


@cases(1_000, 100_000)
def test_damaged_gzip_files_are_errors_or_right(plain, cases):
    """All that is compressed is checked by the CRC of the format."""
    rng, refused = np.random.default_rng(cases), 0
    packed = {name: gzip.compress(content, mtime=0) for name, content in plain.items()}
    for case in range(cases):
        name = list(plain)[case % len(plain)]
        values = idx(damaged(packed[name], rng))
        if values is None:
            refused += 1
        else:  # damage to the time or the system in the head of the file
            np.testing.assert_array_equal(values, IDX_FILES[name], strict=True)
    print(f"{cases:,} damaged, {refused:,} refused")  # pytest -rP shows it
    assert refused > cases / 2


@cases(300, 20_000)
def test_compression_hides_no_damage(plain, cases):
    rng = np.random.default_rng(cases)
    for case in range(cases):
        content = damaged(plain[list(plain)[case % len(plain)]], rng)
        one, other = idx(content), idx(gzip.compress(content, 1))
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other, strict=True)


# Images

FORMATS = {"png": "L", "jpg": "RGB", "ppm": "RGB", "pgm": "L", "bmp": "P", "tif": "RGB"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The content of an image file in each format."""
    image = pytest.importorskip("PIL.Image")
    folder, contents = tmp_path_factory.mktemp("pictures"), {}
    pixels = RNG.integers(256, size=(9, 7, 3), dtype=np.uint8)
    for suffix, mode in FORMATS.items():
        path = folder / f"picture.{suffix}"
        image.fromarray(pixels).convert(mode).save(path)
        contents[suffix] = path.read_bytes()
    return contents


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage
@cases(500, 20_000)
def test_damaged_images_are_errors_or_images(pictures, tmp_path, cases):
    rng, refused = np.random.default_rng(cases), 0
    (tmp_path / "class").mkdir()
    for case in range(cases):
        suffix = list(pictures)[case % len(pictures)]
        path = tmp_path / "class" / f"picture.{suffix}"
        path.write_bytes(damaged(pictures[suffix], rng))
        found = tried(image_folder, tmp_path, path)
        refused += found is None
        assert found is None or found.images.dtype == np.uint8
        path.unlink()
    print(f"{cases:,} damaged, {refused:,} refused")  # pytest -rP shows it
    assert refused > cases / 3


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts as it should on Linux")
def test_large_images_take_a_bounded_memory(tmp_path):
    """One that is allowed is read within 600 MB; a larger one is refused by its header."""
    pytest.importorskip("PIL.Image")
    program = (
        "import resource, sys; from PIL import Image; from scratchnn.data import image_folder\n"
        "side = int(sys.argv[1]); path = sys.argv[2] + '/class/picture.png'\n"
        "Image.new('1', (side, side)).save(path, compress_level=1)\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (600 * 2**20, 600 * 2**20))\n"
        "print(image_folder(sys.argv[2], size=28).images.shape)"
    )
    (tmp_path / "class").mkdir()
    said = []
    for side in (8192, 9000):
        command = [sys.executable, "-c", program, str(side), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        said.append((done.stdout + done.stderr).splitlines()[-1])
    assert said[0] == "(1, 28, 28)"
    assert "DataError" in said[1]
    assert "pixels are more than 67,108,864: make it smaller first" in said[1]


# Arrays and tables


@cases(150, 20_000)
def test_damaged_arrays_and_tables_are_errors_or_data(tmp_path, cases):
    rng, refused = np.random.default_rng(cases), 0
    arrays, table = tmp_path / "arrays", tmp_path / "table.csv"
    arrays.mkdir()
    np.save(arrays / "X.npy", RNG.normal(size=(12, 4)))
    np.save(arrays / "y.npy", np.arange(12) % 3)
    table.write_text("".join(f"{k / 7:.3f},{k * k},{k % 3}\n" for k in range(12)))
    contents = {path: path.read_bytes() for path in (*arrays.iterdir(), table)}
    for case in range(cases):
        path = list(contents)[case % len(contents)]
        path.write_bytes(damaged(contents[path], rng))
        found = tried(load_own, table if path == table else arrays, "")
        refused += found is None
        assert found is None or np.isfinite(found[0].X).all()
        path.write_bytes(contents[path])
    print(f"{cases:,} damaged, {refused:,} refused")  # pytest -rP shows it
    assert refused > cases / 3


# What is no file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("read", [read_idx, map_idx, load_own])
def test_pipes_devices_and_names_are_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero"), "a\0b"):
        with pytest.raises(DataError, match=r"a pipe or a device|NUL"):
            read(path)
