"""IDX files: what was written is read back, and what is wrong is said."""

import gzip
import hashlib
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratchnn.data import DataError, map_idx, read_idx, write_idx
from scratchnn.data.idx import digest
from tests.helpers import C, D, N

ROOT = Path(__file__).parents[1]

# Type 0b (int16), 2 x 3 numbers, by hand: [[1, -2, 256], [-32768, 32767, 0]].
INT16 = bytes.fromhex("00000b02 00000002 00000003 0001fffe0100 80007fff0000")


def header(code, *shape):
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_read_idx_hand_written_bytes(tmp_path, compress):
    path = tmp_path / "values"
    path.write_bytes(compress(INT16))
    values = read_idx(path)
    assert values.tolist() == [[1, -2, 256], [-32768, 32767, 0]]
    assert values.dtype == np.int16
    assert values.dtype.isnative


def test_write_idx_hand_written_bytes(tmp_path):
    values = np.array([[1, -2, 256], [-32768, 32767, 0]], np.int16)
    write_idx(tmp_path / "plain", values)
    write_idx(tmp_path / "packed.gz", values)
    assert (tmp_path / "plain").read_bytes() == INT16
    assert gzip.decompress((tmp_path / "packed.gz").read_bytes()) == INT16


@pytest.mark.parametrize("name", ["values", "values.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(), (N,), (0, D), (N, D, C)])
def test_read_idx_returns_what_write_idx_wrote(tmp_path, shape, dtype, name):
    values = np.asarray(np.random.default_rng(1).integers(100, size=shape), dtype)
    write_idx(tmp_path / name, values)
    read = read_idx(str(tmp_path / name))
    np.testing.assert_array_equal(read, values, strict=True)
    assert read.flags.writeable


def test_write_idx_takes_views(tmp_path):
    values = np.random.default_rng(1).integers(256, size=(N, D, C), dtype=np.uint8).T[::2]
    write_idx(tmp_path / "view", values)
    np.testing.assert_array_equal(read_idx(tmp_path / "view"), values)


def test_write_idx_gz_is_reproducible(tmp_path):
    write_idx(tmp_path / "values.gz", np.arange(N, dtype=np.uint8))
    assert (tmp_path / "values.gz").read_bytes()[4:8] == bytes(4)  # no time of writing


@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool, complex])
def test_write_idx_refuses_other_dtypes(tmp_path, dtype):
    with pytest.raises(TypeError, match=f"IDX's dtypes, got {np.dtype(dtype)}"):
        write_idx(tmp_path / "values", np.zeros(N, dtype))
    assert not (tmp_path / "values").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "4 bytes of magic, got 0 bytes"),
        (b"\0\0\x08", "4 bytes of magic, got 3 bytes"),
        (b"\x89PNG\r\n", "magic number .* got 89 50 4e 47"),
        (b"\1" + header(0x08, N)[1:] + bytes(N), "magic number .* got 01 00 08 01"),
        (header(0x0A, N) + bytes(N), "magic number .* got 00 00 0a 01"),
        (header(0x08, N, D)[:-1], "2 dimensions need a header of 12 bytes, got 11"),
        (header(0x08, N, D) + bytes(N * D - 1), r"\(5, 3\) of uint8 needs 15 bytes .* got 14"),
        (header(0x08, N, D) + bytes(N * D + 1), r"\(5, 3\) of uint8 needs 15 bytes .* got 16"),
        (header(0x0E, N) + bytes(4 * N), r"\(5,\) of float64 needs 40 bytes .* got 20"),
        (header(0x0C, *[2**32 - 1] * 3), r"needs \d[\d,]+ bytes after the header, got 0"),
        (b"\x1f\x8b", "gzip file is damaged or cut short"),
        (b"\x1f\x8bnot gzip at all", "gzip file is damaged or cut short"),
        (gzip.compress(INT16) + b"more", "gzip file is damaged or cut short"),
        pytest.param(
            header(0x08, *[1] * 65) + b"x",
            "65 dimensions",
        ),
        pytest.param(
            header(0x08, 0, *[2**32 - 1] * 3),
            "4294967295",
        ),
    ],
)
def test_read_idx_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "values"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_read_idx_refuses_every_truncation(tmp_path, compress):
    path, content = tmp_path / "values", compress(INT16)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read_idx(path)


def test_read_idx_refuses_every_damaged_byte_of_gzip_data(tmp_path):
    path, content = tmp_path / "values", gzip.compress(INT16, mtime=0)
    for place in range(10, len(content)):  # behind the header: data, checksum, length
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        with pytest.raises(DataError):
            read_idx(path)


def test_read_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


# Hostile files


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts as it should on Linux")
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("bomb", r"shape \(12,\) of uint8 needs 12 bytes after the header, got more"),
        ("sparse", r"needs 12 bytes after the header, got 8,000,000,000"),
        ("greedy", r"needs 16,000,000,000 bytes after the header, got at most \d"),
        ("large", r"its 1,000,000,000 bytes do not fit in the memory"),
    ],
)
def test_read_idx_of_a_bomb_takes_little_memory(tmp_path, how, message):
    """In a process that may have 256 MB: a file that unpacks to 320 MB, and its like."""
    path, zeros = tmp_path / "values", bytes(2**20)
    with gzip.open(path, "wb", 1) if how in ("bomb", "large") else path.open("wb") as file:
        match how:
            case "bomb":
                file.write(header(0x08, 12) + zeros * 320)
            case "sparse":
                file.write(header(0x08, 12))
                file.truncate(8 + 8_000_000_000)
            case "greedy":
                file.write(gzip.compress(header(0x0E, 2_000_000_000) + zeros))
            case "large":
                file.write(header(0x08, 1_000_000_000) + zeros)
    if how == "large":  # enough bytes that it might be true
        path.write_bytes(path.read_bytes() + zeros)
    program = (
        "import resource, sys; from scratchnn.data import read_idx\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (2**28, 2**28))\n"
        "read_idx(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert re.search(f"DataError: {path}: .*{message}", done.stderr), done.stderr


def test_read_idx_of_more_than_the_memory_holds(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    write_idx(tmp_path / "values", np.zeros(N))
    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(DataError, match="values: its 40 bytes do not fit in the memory"):
        read_idx(tmp_path / "values")


@pytest.mark.parametrize("read", [read_idx, map_idx])
def test_what_is_no_file_is_refused_at_once(tmp_path, read):
    with pytest.raises(DataError, match=f"^{tmp_path}: expected a file, got a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"'a\\x00b': a file name cannot hold a NUL character"):
        read("a\0b")
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DataError, match=f"^{path}: expected a file, got a pipe or a device"):
            read(path)


def test_digest_is_the_sha256_of_the_file(tmp_path):
    values = np.array([[1, -2, 256], [-32768, 32767, 0]], np.int16)
    assert digest(values) == digest(np.asfortranarray(values)) == hashlib.sha256(INT16).hexdigest()


# Mapped files


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
@pytest.mark.parametrize("shape", [(N,), (N, D, C)])
def test_map_idx_reads_what_read_idx_does(tmp_path, dtype, shape):
    values = np.random.default_rng(1).integers(100, size=shape).astype(dtype)
    write_idx(tmp_path / "values", values)
    mapped = map_idx(tmp_path / "values")
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(mapped, read_idx(tmp_path / "values"))


def test_map_idx_refuses_compressed_files(tmp_path):
    write_idx(tmp_path / "values.gz", np.zeros(N, np.uint8))
    with pytest.raises(
        DataError, match=r"values\.gz: a compressed file cannot be mapped: gunzip it"
    ):
        map_idx(tmp_path / "values.gz")


def test_map_idx_refuses_every_truncation(tmp_path):
    for length in range(len(INT16)):
        (tmp_path / "values").write_bytes(INT16[:length])
        with pytest.raises(DataError):
            map_idx(tmp_path / "values")
