"""A server on this machine with a tiny MNIST, which can be told to behave badly."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from scratchnn.data.idx import digest, write_idx
from scratchnn.data.layout import STEMS
from scratchnn.data.published import Published

SHAPES = dict(zip(STEMS, [(7, 3, 4), (7,), (5, 3, 4), (5,)], strict=True))
MIRRORS = ("good", "other")


class Server(ThreadingHTTPServer):
    """Serves the files under /good/ and /other/; `behaviour` replaces the answer of one of them.

    Parts    files       the compressed files by name
             published   what they hold, as scratchnn.data.published has it
             requested   the paths that were asked for, in order
             behaviour   by mirror: a function of the handler and the file's content
    """

    daemon_threads = True

    def __init__(self, folder) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        rng = np.random.default_rng(1)
        self.files: dict[str, bytes] = {}
        self.published: dict[str, Published] = {}
        for stem, shape in SHAPES.items():
            values = rng.integers(10, size=shape, dtype=np.uint8)
            write_idx(folder / "served.gz", values)
            content = (folder / "served.gz").read_bytes()
            (folder / "served.gz").unlink()
            self.files[f"{stem}.gz"] = content
            self.published[stem] = Published(len(gzip.decompress(content)) + 100, digest(values))
        self.requested: list[str] = []
        self.behaviour: dict[str, Callable[[Handler, bytes], None]] = {}

    def mirror(self, name: str) -> str:
        """Return the address of a mirror."""
        return f"http://127.0.0.1:{self.server_port}/{name}/"

    @property
    def mirrors(self) -> tuple[str, ...]:
        """The addresses of all mirrors."""
        return tuple(map(self.mirror, MIRRORS))


class Handler(BaseHTTPRequestHandler):
    """Answers with a file, or as the server's `behaviour` wants."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.server.requested.append(self.path)
        self.close_connection = True
        _, mirror, file = self.path.split("/")
        self.server.behaviour.get(mirror, send)(self, self.server.files[file])


def send(handler: Handler, content: bytes, length: int | None = None, pause: float = 0) -> None:
    """Send a file, with another length than it has, or a byte at a time."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    try:
        if not pause:
            handler.wfile.write(content)
        for k in range(len(content) if pause else 0):
            handler.wfile.write(content[k : k + 1])
            handler.wfile.flush()
            time.sleep(pause)
    except OSError:  # the other side has seen enough
        pass


def status(code: int) -> Callable[[Handler, bytes], None]:
    """Return a behaviour: an error."""
    return lambda handler, _: handler.send_error(code)


def redirect(address: str) -> Callable[[Handler, bytes], None]:
    """Return a behaviour: the file is said to be elsewhere; {file} stands for its name."""

    def behave(handler: Handler, _: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", address.format(file=handler.path.rpartition("/")[2]))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


def silent(handler: Handler, content: bytes) -> None:
    """Send the head of an answer, and then nothing for two seconds."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:10])
    handler.wfile.flush()
    time.sleep(2)


def endless(handler: Handler, content: bytes) -> None:
    """Send for as long as anyone listens, without saying how much."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(2**16))
    except OSError:
        pass


PROGRAM = """
import json, sys
from scratchnn.data import published
from scratchnn.run.cli import main
published.MIRRORS["mnist"], files = json.loads(sys.argv.pop(1))
published.FILES["mnist"] = {stem: published.Published(*of) for stem, of in files.items()}
sys.exit(main())
"""


def fetching(server: Server, data_dir) -> subprocess.Popen[str]:
    """Start `scratchnn data fetch mnist`, which takes the server's files for MNIST's."""
    settings = json.dumps([server.mirrors, server.published])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignore"
    try:
        return subprocess.Popen(
            [
                sys.executable, "-c", PROGRAM, settings,
                "data", "fetch", "mnist", "--data-dir", str(data_dir),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def serving(folder) -> Iterator[Server]:
    """Serve in a thread while the block runs."""
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
