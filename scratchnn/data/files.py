"""How a file takes its place whole, how a folder is proved writable, and how a file is locked.

Whatever ends a process, at any moment, the file of a name is the old one or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

PARTIAL = ".partial"  # ends the name of a file that is being written
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # of some file systems


def place(path: Path, write: Callable[[BinaryIO], object], *, previous: Path | None = None) -> None:
    """Write a file under a name of its own, bring it to the disk, and rename it to `path`.

    Options  write      writes the content to the open file
             previous   a second name for the file that is replaced, which stays under it
    Raises   OSError that names `path`; nothing is left behind
    """
    with naming(path), beside(path) as partial:
        with partial.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            place_link(path, previous)
        os.replace(partial, path)
        sync_folder(path.parent)


def make_folder_of(path: Path) -> None:
    """Make the folder that a file is to be written into.

    Raises   OSError that names what is in the way
    """
    check_place(path)
    with naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)


def place_text(path: Path, text: str) -> None:
    """Write a text file as `place` does."""
    place(path, lambda file: file.write(text.encode()))


def place_link(path: Path, name: Path) -> None:
    """Give a file a second name, also where another file has that name."""
    with beside(name) as second:
        give_name(path, second)
        os.replace(second, name)


def give_name(path: Path, name: Path) -> None:
    """Give a file a second name; where the file system has no links, copy it."""
    try:
        os.link(path, name)
    except OSError:
        copy(path, name)


def copy(path: Path, name: Path) -> None:
    """Copy a file, and bring the copy to the disk."""
    with name.open("xb") as file:
        file.write(path.read_bytes())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def beside(path: Path) -> Generator[Path]:
    """Give a name beside a file's, for this process alone; nothing has it after the block."""
    name = f".{path.name.lstrip('.')}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}"
    partial = path.with_name(name)
    try:
        yield partial
    finally:
        with contextlib.suppress(OSError):
            _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        import shutil  # takes a while, and is seldom needed

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def prove_writable(folder: Path) -> None:
    """Write a file into a folder and remove it.

    Raises   OSError that names the folder
    """
    with naming(folder), beside(folder / "probe") as probe:
        probe.write_bytes(b"probe")


def check_place(path: Path) -> None:
    """Raise where a file could not be written later. Folders that are missing are made then.

    Raises   OSError that names what is in the way
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file")
    if path.exists():
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Raise where a folder could not be made or written into later.

    Raises   OSError that names what is in the way
    """
    there = next(above for above in (folder, *folder.absolute().parents) if above.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file: name a folder")
    prove_writable(there)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written. The folder must be locked."""
    for path in folder.glob(f".*{PARTIAL}"):
        with naming(path):
            _remove(path)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can: a rename is then for good."""
    if os.name == "nt":
        return
    with naming(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system does it
                raise
        finally:
            os.close(descriptor)


@contextmanager
def naming(path: Path) -> Generator[None]:
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
    return _locked(file) is not False


def is_free(path: Path) -> bool:
    """Return whether no process has locked a file; False where files cannot be locked."""
    with path.open("rb") as file:
        return _locked(file, shared=True) is True


def _locked(file: IO[bytes], shared: bool = False) -> bool | None:
    """Try to lock a file; return whether it is locked now, None where files cannot be.

    Options  shared   let others have a shared lock at the same time; not on Windows
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # far behind the content, which others may read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in NO_LOCKS else False
    return True
