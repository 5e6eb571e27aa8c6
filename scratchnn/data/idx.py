"""The IDX file format of MNIST: a header with a magic number and the sizes, then the numbers.

All of it is big-endian.

Source   http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from scratchnn.ops.shared import AnyArray

# The third byte of the magic number says the type, the fourth the number of dimensions.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_HEADER_BYTES = 4 + 4 * 255  # at most
_GZIP = b"\x1f\x8b"


class DataError(ValueError):
    """Data that are missing, damaged or not what was expected. The message says which."""


def read_idx(path: str | Path) -> AnyArray:
    """Read an IDX file, compressed by gzip or not, into a new array.

    Options  path   the file
    Raises   FileNotFoundError; DataError for a wrong magic number, type or length
    """
    content = _read_bytes(Path(path))
    dtype, shape, header = _parse_header(path, content, len(content))
    values = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return values.astype(dtype.newbyteorder("="))  # a copy: frombuffer's array is read-only


def map_idx(path: str | Path) -> AnyArray:
    """Map an IDX file that is not compressed, read-only: the system reads what is used of it.

    Options  path   the file
    Raises   FileNotFoundError; DataError as `read_idx`, and for a compressed file
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if start[:2] == _GZIP:
        raise DataError(f"{path}: a compressed file cannot be mapped: gunzip it first")
    dtype, shape, header = _parse_header(path, start, path.stat().st_size)
    return np.memmap(path, dtype, "r", offset=header, shape=shape)


def write_idx(path: str | Path, values: AnyArray) -> None:
    """Write an array as an IDX file, compressed where the name ends in .gz.

    Options  path     the file
             values   the array
    Raises   TypeError for a dtype that IDX does not have
    """
    codes = {np.dtype(name).newbyteorder("="): code for code, name in _DTYPES.items()}
    if values.dtype not in codes:
        raise TypeError(f"values must have one of IDX's dtypes, got {values.dtype}")
    code = codes[values.dtype]
    header = struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)
    content = header + values.astype(_DTYPES[code]).tobytes()
    compress = str(path).endswith(".gz")
    Path(path).write_bytes(gzip.compress(content, mtime=0) if compress else content)


def _read_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] != _GZIP:
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut short ({error})") from error


def _parse_header(
    path: str | Path, content: bytes, length: int
) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    """Return dtype, shape and size of the header of a file of this length, from its first bytes."""
    if len(content) < 4:
        raise DataError(
            f"{path}: an IDX file starts with 4 bytes of magic, got {len(content)} bytes"
        )
    zeros, code, ndim = struct.unpack_from(">HBB", content)
    if zeros != 0 or code not in _DTYPES:
        raise DataError(
            f"{path}: the magic number of an IDX file is 00 00 type dimensions, "
            f"with type 08, 09 or 0b to 0e; got {content[:4].hex(' ')}"
        )
    header = 4 + 4 * ndim
    if length < header:
        raise DataError(f"{path}: {ndim} dimensions need a header of {header} bytes, got {length}")
    shape = struct.unpack_from(f">{ndim}I", content, 4)
    dtype = np.dtype(_DTYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    if length - header != expected:
        raise DataError(
            f"{path}: shape {shape} of {dtype.name} needs {expected:,} bytes after the "
            f"header, got {length - header:,}"
        )
    try:
        np.broadcast_to(np.zeros((), dtype), shape)
    except ValueError as error:  # more dimensions, or larger ones, than NumPy has
        raise DataError(f"{path}: no array can have {ndim} dimensions {shape}") from error
    return dtype, shape, header
