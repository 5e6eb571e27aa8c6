"""How a file takes its place whole, and how a folder is taken by one process.

Whatever ends a process, at any moment, the file of a name is the old one or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

PARTIAL = ".partial"  # ends the name of a file that is being written
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # of some file systems


def place(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file under a name of its own, bring it to the disk, and rename it to `path`.

    Options  write   writes the content to the open file
    Raises   OSError that names `path`; nothing is left behind
    """
    partial = _beside(path)
    with naming(path):
        try:
            with partial.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def place_text(path: Path, text: str) -> None:
    """Write a text file as `place` does."""

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    place(path, write)


def keep_as(path: Path, other: Path) -> None:
    """Give a file that is in its place a second name, which may have been another file's."""
    partial = _beside(other)
    with naming(other):
        try:
            try:
                os.link(path, partial)
            except OSError:  # a file system without links
                shutil.copyfile(path, partial)
            os.replace(partial, other)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def prove_writable(folder: Path) -> None:
    """Write a file into a folder and remove it.

    Raises   OSError that names the folder
    """
    probe = _beside(folder / "probe")
    with naming(folder):
        try:
            probe.write_bytes(b"probe")
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written. The folder must be locked."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can: a rename is then for good."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system does it
            raise
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError that names no file, or one that the user has not heard of, name this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed or the process ends; return False if another has it.

    Where files cannot be locked, every process gets it.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # far behind the content, which others may read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in NO_LOCKS
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
