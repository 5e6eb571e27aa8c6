"""The IDX file format of MNIST: a header with a magic number and the sizes, then the numbers.

All of it is big-endian.

Source   http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import math
import stat
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scratchnn.ops.shared import AnyArray, check_array

# The third byte of the magic number says the type, the fourth the number of dimensions.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _DTYPES.items()}
_GZIP = b"\x1f\x8b"
_MOST_PACKED = 1032  # bytes that one byte of a gzip file can stand for, at most
_PIECE = 2**20  # bytes that are read at a time
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


class DataError(ValueError):
    """Data that are missing, damaged or not what was expected. The message says which."""


def read_idx(path: str | Path) -> AnyArray:
    """Read an IDX file, compressed by gzip or not, into a new array.

    No more is read than the header says, and one byte, so a file that unpacks to gigabytes does
    no harm.

    Options  path   the file
    Raises   FileNotFoundError; DataError for a wrong magic number, type or length
    """
    path = check_file(path)
    with path.open("rb") as file:
        return read_idx_from(file, path)


def read_idx_from(file: BinaryIO, name: str | Path) -> AnyArray:
    """Read an IDX file that is open; the rest is as of `read_idx`.

    Options  file   is at its beginning
             name   what messages call it
    Raises   DataError
    """
    packed = file.read(2) == _GZIP
    length = file.seek(0, 2)
    file.seek(0)
    if not packed:
        return _read(file, name, length)
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            return _read(unpacked, name, length, packed=True)
    except _DAMAGED as error:
        raise DataError(f"{name}: the gzip file is damaged or cut short ({error})") from error


def map_idx(path: str | Path) -> AnyArray:
    """Map an IDX file that is not compressed, read-only: the system reads what is used of it.

    Options  path   the file
    Raises   FileNotFoundError; DataError as `read_idx`, and for a compressed file
    """
    path = check_file(path)
    with path.open("rb") as file:
        if file.read(2) == _GZIP:
            raise DataError(f"{path}: a compressed file cannot be mapped: gunzip it first")
        length = file.seek(0, 2)
        file.seek(0)
        dtype, shape, header = _read_header(file, path)
    _check_length(path, dtype, shape, length - header)
    _check_shape(path, dtype, shape)
    return np.memmap(path, dtype, "r", offset=header, shape=shape)


def write_idx(path: str | Path, values: AnyArray) -> None:
    """Write an array as an IDX file, compressed where the name ends in .gz.

    Options  path     the file
             values   the array
    Raises   TypeError for a dtype that IDX does not have
    """
    check_array(values=values)
    values = np.asarray(values)  # a NumPy number would be written in its own byte order
    content = _header(values) + values.astype(_DTYPES[_CODES[values.dtype]]).tobytes()
    compress = str(path).endswith(".gz")
    Path(path).write_bytes(gzip.compress(content, mtime=0) if compress else content)


def digest(values: AnyArray) -> str:
    """Return the SHA-256 of the IDX file that holds these values and is not compressed.

    Raises   TypeError for a dtype that IDX does not have
    """
    import hashlib  # takes a while, and few programs compare anything

    content = hashlib.sha256(_header(values))
    content.update(np.ascontiguousarray(values, _DTYPES[_CODES[values.dtype]]).data)
    return content.hexdigest()


def check_file(path: str | Path) -> Path:
    """Return the path of a file that can be read to its end.

    A pipe would keep the reader waiting, and a device such as /dev/zero has no end.

    Raises   FileNotFoundError; DataError for a name with a NUL, and for what is no file
    """
    path = Path(path)
    if "\0" in str(path):
        raise DataError(f"{str(path)!r}: a file name cannot hold a NUL character")
    if not stat.S_ISREG(path.stat().st_mode):
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise DataError(f"{path}: expected a file, got {kind}")
    return path


def _header(values: AnyArray) -> bytes:
    if values.dtype not in _CODES:
        raise TypeError(f"values must have one of IDX's dtypes, got {values.dtype}")
    return struct.pack(f">HBB{values.ndim}I", 0, _CODES[values.dtype], values.ndim, *values.shape)


def _read(
    file: BinaryIO | gzip.GzipFile, name: str | Path, length: int, *, packed: bool = False
) -> AnyArray:
    """Read header and numbers of a file of this length, or what a packed one of it unpacks to."""
    dtype, shape, header = _read_header(file, name)
    if not packed:
        _check_length(name, dtype, shape, length - header)
    elif _size(dtype, shape) > length * _MOST_PACKED:
        raise _wrong_length(name, dtype, shape, f"at most {length * _MOST_PACKED:,}")
    _check_shape(name, dtype, shape)
    try:
        values = np.empty(shape, dtype)
    except MemoryError as error:
        size = _size(dtype, shape)
        raise DataError(f"{name}: its {size:,} bytes do not fit in the memory") from error
    _check_length(name, dtype, shape, _fill(file, values))
    if file.read(1):
        raise _wrong_length(name, dtype, shape, "more")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _fill(file: BinaryIO | gzip.GzipFile, values: AnyArray) -> int:
    """Read into the array, a piece at a time, and return how many bytes came."""
    content = values.reshape(-1).view(np.uint8).data
    filled = 0
    while piece := file.read(min(_PIECE, len(content) - filled)):
        content[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


def _read_header(
    file: BinaryIO | gzip.GzipFile, name: str | Path
) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    """Return dtype, shape and the size of the header."""
    magic = file.read(4)
    if len(magic) < 4:
        raise DataError(f"{name}: an IDX file starts with 4 bytes of magic, got {len(magic)} bytes")
    zeros, code, ndim = struct.unpack(">HBB", magic)
    if zeros != 0 or code not in _DTYPES:
        raise DataError(
            f"{name}: the magic number of an IDX file is 00 00 type dimensions, "
            f"with type 08, 09 or 0b to 0e; got {magic.hex(' ')}"
        )
    sizes, header = file.read(4 * ndim), 4 + 4 * ndim
    if len(sizes) < 4 * ndim:
        got = 4 + len(sizes)
        raise DataError(f"{name}: {ndim} dimensions need a header of {header} bytes, got {got}")
    return np.dtype(_DTYPES[code]), struct.unpack(f">{ndim}I", sizes), header


def _check_shape(name: str | Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    try:
        np.broadcast_to(np.zeros((), dtype), shape)
    except ValueError as error:  # more dimensions, or larger ones, than NumPy has
        raise DataError(f"{name}: no array can have {len(shape)} dimensions {shape}") from error


def _check_length(
    name: str | Path, dtype: np.dtype[np.generic], shape: tuple[int, ...], got: int
) -> None:
    if got != _size(dtype, shape):
        raise _wrong_length(name, dtype, shape, f"{got:,}")


def _wrong_length(
    name: str | Path, dtype: np.dtype[np.generic], shape: tuple[int, ...], got: str
) -> DataError:
    needed = f"shape {shape} of {dtype.name} needs {_size(dtype, shape):,} bytes"
    return DataError(f"{name}: {needed} after the header, got {got}")


def _size(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> int:
    return math.prod(shape) * dtype.itemsize
