"""Fetching MNIST and Fashion-MNIST from their mirrors, in torchvision's layout.

A file is received in memory, compared with its SHA-256, and then put in its place in one step. So
the files in the folder are whole at every moment. The standard library does it: the usual packages
for downloads limit neither the size of what comes, nor how slowly it may come.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from scratchnn.data import files, published
from scratchnn.data.idx import DataError, digest, read_idx_from
from scratchnn.data.layout import raw_folder
from scratchnn.data.printable import printable
from scratchnn.data.published import Published, State

PATIENCE = 30.0  # seconds without a byte; and in all, before the pace counts
SLOWEST = 1000  # bytes per second, from then on
PIECE = 2**16  # bytes that are received at a time, at most

# Is called with the name of a file, the bytes that came, and the bytes that will come; 0: unknown.
Progress: TypeAlias = Callable[[str, int, int], None]


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda *_: None,
    patience: float = PATIENCE,
) -> Path:
    """Fetch the files of a data set that are missing or damaged, and return their folder.

    The mirrors are tried in turn. A file that is whole, but holds something else than what was
    published, may be somebody's own: it is kept as NAME.old.

    Options  name       "mnist" or "fashion-mnist"
             data_dir   the folder of the data; default: $SCRATCHNN_DATA
             say        is called with a line for each file that was fetched
             progress   is called while a file comes
             patience   seconds to wait for a server that sends nothing
    Raises   FileNotFoundError for no folder; OSError where it cannot be written; DataError where no
             mirror has a file: it says what was tried
    """
    folder = raw_folder(name, data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, say):
        for stem, right in published.FILES[name].items():
            found = published.state(folder, stem, right)
            if found.problem:
                files.prove_writable(folder)
                urls = [f"{mirror}{stem}.gz" for mirror in published.MIRRORS[name]]
                content = _from_a_mirror(urls, right, folder, progress, patience)
                say(_put(found, folder, content))
    return folder


def _from_a_mirror(
    urls: list[str], right: Published, folder: Path, progress: Progress, patience: float
) -> bytes:
    """Return the compressed file, from the first address that has the right one."""
    tried = []
    for url in urls:
        try:
            content = _receive(url, right.size, progress, patience)
            if digest(read_idx_from(BytesIO(content), "what came")) != right.sha256:
                raise DataError("what came is not the file that was published")
        except (OSError, HTTPException, DataError) as error:
            reason = str(getattr(error, "reason", None) or error)
            tried.append(f"{url} ({printable(reason.strip())})")
        else:
            return content
    file = urls[0].rpartition("/")[2]
    raise DataError(
        f"{file} could not be fetched: tried {' and '.join(tried)}. "
        f"A copy from elsewhere can be put into {folder}, compressed or not"
    )


def _receive(url: str, most: int, progress: Progress, patience: float) -> bytes:
    """Return what is at an address, up to a number of bytes.

    Raises   OSError, HTTPException for all that can go wrong with a server
    """
    file, content, start = url.rpartition("/")[2], bytearray(), time.monotonic()
    opener = build_opener(_SafeRedirects)
    with opener.open(url, timeout=patience) as response:
        length = response.length or 0  # as the server says
        while piece := response.read1(PIECE):
            content += piece
            if max(len(content), length) > most:
                raise OSError(f"it is larger than {most:,} bytes")
            seconds = time.monotonic() - start
            if seconds > patience + len(content) / SLOWEST:
                raise OSError(f"it is too slow: {len(content):,} bytes in {seconds:.0f} s")
            progress(file, len(content), length)
    if len(content) < length:
        raise OSError(f"it ended after {len(content):,} of {length:,} bytes")
    return bytes(content)


class _SafeRedirects(HTTPRedirectHandler):
    """Follows a server to another address, but from https to https alone."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("https", req.type):
            raise HTTPError(newurl, code, f"redirected from {req.type} to {scheme}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _put(found: State, folder: Path, content: bytes) -> str:
    """Put the file in its place, compressed as the one before it; return what was done."""
    if found.path is None:
        path, done = folder / f"{found.stem}.gz", "fetched"
    elif found.whole:
        path, old = found.path, found.path.with_name(f"{found.path.name}.old")
        os.replace(path, old)
        done = f"fetched; what was there is not what was published, and is now {old.name}"
    else:
        path, done = found.path, "fetched anew, it was damaged"
    content = content if path.suffix == ".gz" else gzip.decompress(content)
    files.place(path, lambda file: file.write(content))
    return f"{path}: {done}"


@contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from fetching into this folder; remove what a killed one left.

    The lock is on the folder itself, and ends with the process. Where a system has no such lock,
    two processes may fetch the same files: each takes its place whole.
    """
    try:
        import fcntl

        lock = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows
        yield
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder}: another process is fetching; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        files.sweep(folder)
        yield
    finally:
        os.close(lock)
