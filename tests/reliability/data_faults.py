"""What may befall data files and downloads: each fault returns what was wrong, in words.

A damaged file must be an error that names it, or give the right data. A server that misbehaves, or
a process that is killed, must leave whole files alone.
"""

from __future__ import annotations

import gzip
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from scratchnn.data import DataError, image_folder, load_own, map_idx, published, write_idx
from scratchnn.data.download import fetch
from scratchnn.data.files import PARTIAL
from scratchnn.data.idx import digest, read_idx_from
from tests import serving
from tests.reliability.damage import damaged

IDX_FILES = {
    "images": np.random.default_rng(1).integers(256, size=(12, 5, 4), dtype=np.uint8),
    "labels": np.arange(12, dtype=np.uint8) % 10,
    "numbers": np.random.default_rng(1).normal(size=(3, 4)),
}
HEADER = {"images": 16, "labels": 8, "numbers": 12}  # bytes
FORMATS = {"png": "L", "jpg": "RGB", "ppm": "RGB", "pgm": "L", "bmp": "P", "tif": "RGB"}


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a block."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def tried(read: Callable[[Any], Any], file: Any, name: object, wrong: list[str]) -> Any:
    """Return what is read, or None where it is refused by a DataError that begins with the name."""
    try:
        return read(file)
    except DataError as error:
        if not str(error).startswith(str(name)):
            wrong.append(f"{name}: the message is {error}")
    except Exception as error:
        wrong.append(f"{name}: {type(error).__name__}: {error}")
    return None


def idx(content: bytes, wrong: list[str]) -> Any:
    """Read an IDX file from its content, or return None where it is refused."""
    return tried(lambda file: read_idx_from(file, "a file"), BytesIO(content), "a file: ", wrong)


def idx_contents() -> dict[str, bytes]:
    """Return the content of each IDX file, not compressed."""
    contents = {}
    with folder() as path:
        for name, values in IDX_FILES.items():
            write_idx(path / name, values)
            contents[name] = (path / name).read_bytes()
    return contents


def damaged_idx(cases: int) -> list[str]:
    """IDX files. Of one that is not compressed, a SHA-256 alone shows damage behind the header."""
    rng, wrong, plain = np.random.default_rng(1), [], idx_contents()
    with folder() as path:
        for case in range(cases):
            name = list(plain)[case % len(plain)]
            content, right = damaged(plain[name], rng), plain[name]
            values = idx(content, wrong)
            (path / "values").write_bytes(content)
            mapped = tried(map_idx, path / "values", path / "values", wrong)
            if (values is None) != (mapped is None) and content[:2] != b"\x1f\x8b":
                wrong.append(f"case {case}: read {values is not None}, mapped {mapped is not None}")
            if values is None:
                continue
            if (digest(values) == digest(IDX_FILES[name])) != (content == right):
                wrong.append(f"case {case}: the digest does not tell")
            whole_header = content[: HEADER[name]] == right[: HEADER[name]]
            if whole_header and values.shape != IDX_FILES[name].shape:
                wrong.append(f"case {case}: shape {values.shape}")
    return wrong


def damaged_gzip(cases: int) -> list[str]:
    """Compressed IDX files: all but the time and the system in the head is checked by a CRC."""
    rng, wrong = np.random.default_rng(2), []
    packed = {name: gzip.compress(plain, mtime=0) for name, plain in idx_contents().items()}
    for case in range(cases):
        name = list(packed)[case % len(packed)]
        values = idx(damaged(packed[name], rng), wrong)
        if values is not None and not np.array_equal(values, IDX_FILES[name]):
            wrong.append(f"case {case}: other values")
    return wrong


def compressed_damage(cases: int) -> list[str]:
    """Files that were damaged before they were compressed: both are read alike."""
    rng, wrong, plain = np.random.default_rng(3), [], idx_contents()
    for case in range(cases):
        content = damaged(plain[list(plain)[case % len(plain)]], rng)
        one, other = idx(content, wrong), idx(gzip.compress(content, 1), wrong)
        if (one is None) != (other is None) or (one is not None and digest(one) != digest(other)):
            wrong.append(f"case {case}: compressed it is another")
    return wrong


def damaged_images(cases: int) -> list[str]:
    """Images in a folder, in six formats."""
    from PIL import Image

    rng, wrong, contents = np.random.default_rng(4), [], {}
    pixels = rng.integers(256, size=(9, 7, 3), dtype=np.uint8)
    with folder() as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of some damage
        (path / "class").mkdir()
        for suffix, mode in FORMATS.items():
            file = path / f"class/picture.{suffix}"
            Image.fromarray(pixels).convert(mode).save(file)
            contents[file] = file.read_bytes()
            file.unlink()
        for case in range(cases):
            file = list(contents)[case % len(contents)]
            file.write_bytes(damaged(contents[file], rng))
            found = tried(image_folder, path, file, wrong)
            if found is not None and found.images.dtype != np.uint8:
                wrong.append(f"case {case}: pixels of {found.images.dtype}")
            file.unlink()
    return wrong


def damaged_arrays(cases: int) -> list[str]:
    """Arrays and tables of one's own."""
    rng, wrong = np.random.default_rng(5), []
    with folder() as path:
        arrays, table = path / "arrays", path / "table.csv"
        arrays.mkdir()
        np.save(arrays / "X.npy", rng.normal(size=(12, 4)))
        np.save(arrays / "y.npy", np.arange(12) % 3)
        table.write_text("".join(f"{k / 7:.3f},{k * k},{k % 3}\n" for k in range(12)))
        contents = {file: file.read_bytes() for file in (*arrays.iterdir(), table)}
        for case in range(cases):
            file = list(contents)[case % len(contents)]
            file.write_bytes(damaged(contents[file], rng))
            found = tried(load_own, table if file == table else arrays, "", wrong)
            if found is not None and not np.isfinite(found[0].X).all():
                wrong.append(f"case {case}: {found[0].X}")
            file.write_bytes(contents[file])
    return wrong


# Downloads


@contextmanager
def served() -> Iterator[tuple[serving.Server, Path]]:
    """Serve tiny files that are taken for MNIST's, and make a folder to fetch them into."""
    with (
        folder() as path,
        serving.serving(path) as server,
        mock.patch.dict(published.MIRRORS, mnist=server.mirrors),
        mock.patch.dict(published.FILES, mnist=server.published),
        mock.patch.dict("os.environ", NO_PROXY="127.0.0.1"),
    ):
        yield server, path


def contents_of(path: Path) -> dict[str, bytes]:
    """Return what is in the folder of the files, by name."""
    raw = path / "MNIST/raw"
    return {file.name: file.read_bytes() for file in raw.iterdir()} if raw.exists() else {}


def not_right(path: Path) -> list[str]:
    """Return what is wrong with the files that are there; compressed otherwise they are right."""
    states = published.verify("mnist", path)
    known = {state.path.name for state in states if state.path}
    problems = [state.problem for state in states if state.path and state.problem]
    return problems + sorted(set(contents_of(path)) - known)


def misbehaving_servers(cases: int) -> list[str]:
    """Half of the answers are errors, cut, damaged, slow, endless, silent, or elsewhere."""
    rng, wrong = np.random.default_rng(6), []
    bad = (
        *map(serving.status, (403, 404, 500, 503)),
        lambda handler, content: serving.send(handler, content[: len(content) // 2], len(content)),
        lambda handler, content: serving.send(handler, damaged(content, rng)),
        lambda handler, content: serving.send(handler, content, pause=0.01),
        lambda handler, content: None,
        serving.redirect("/other/{file}"),
        serving.redirect("http://127.0.0.1:1/{file}"),
        serving.endless,
        serving.silent,
    )

    def behave(handler: serving.Handler, content: bytes) -> None:
        good = rng.random() < 0.5
        (serving.send if good else bad[rng.integers(len(bad))])(handler, content)

    with served() as (server, path):
        for case in range(cases):
            server.behaviour = dict.fromkeys(serving.MIRRORS, behave)
            into = path / str(case)
            tried(lambda into: fetch("mnist", into, patience=0.2), into, "t", wrong)
            wrong += [f"case {case}: {words}" for words in not_right(into)]
            server.behaviour = {}
            fetch("mnist", into)
            wrong += [f"case {case}, fetched again: {words}" for words in not_right(into)]
            if len(contents_of(into)) != len(server.files):
                wrong.append(f"case {case}, fetched again: {sorted(contents_of(into))}")
    return wrong


def killed_fetches(cases: int) -> list[str]:
    """At a random moment, by a random signal; what SIGKILL may leave, the next one sweeps."""
    rng, wrong = np.random.default_rng(7), []
    with served() as (server, path):
        server.behaviour = {
            "good": lambda handler, content: serving.send(handler, content, pause=2e-4)
        }
        start = time.monotonic()
        with serving.fetching(server, path / "whole") as process:
            process.communicate()
        seconds = time.monotonic() - start
        for case in range(cases):
            number = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)[case % 4]
            with serving.fetching(server, path / str(case)) as process:
                time.sleep(rng.random() * seconds)
                process.send_signal(number)
                process.communicate()
            found = contents_of(path / str(case))
            if number == signal.SIGKILL:
                found = {name: of for name, of in found.items() if not name.endswith(PARTIAL)}
            if not found.items() <= server.files.items():
                wrong.append(f"case {case}, {number.name}: {sorted(found)}")
            fetch("mnist", path / str(case))
            if contents_of(path / str(case)) != server.files:
                wrong.append(f"case {case}, {number.name}: not fetched")
    return wrong


def side_by_side(cases: int) -> list[str]:
    """Processes that fetch into one folder at once: each file is fetched by one of them."""
    wrong = []
    with served() as (server, path):
        processes = [serving.fetching(server, path / "data") for _ in range(cases)]
        for process in processes:
            with process:
                out, err = process.communicate()
                if process.returncode or err or "all 4 files are in" not in out:
                    wrong.append(f"exit status {process.returncode}: {out}{err}")
        if contents_of(path / "data") != server.files:
            wrong.append(f"there are {sorted(contents_of(path / 'data'))}")
        if len(server.requested) != len(server.files):
            wrong.append(f"{len(server.requested)} requests for {len(server.files)} files")
    return wrong


# The fault, how many cases within `make test`, and how many in the long form.
FAULTS: dict[str, tuple[Callable[[int], list[str]], int, int]] = {
    "damaged IDX files": (damaged_idx, 1_000, 100_000),
    "damaged gzip files": (damaged_gzip, 1_000, 100_000),
    "files damaged before they were compressed": (compressed_damage, 300, 20_000),
    "damaged images in a folder": (damaged_images, 500, 20_000),
    "damaged arrays and tables": (damaged_arrays, 150, 20_000),
    "servers that misbehave": (misbehaving_servers, 12, 200),
    "fetching that is killed": (killed_fetches, 12, 200),
    "fetching side by side": (side_by_side, 4, 20),
}
if find_spec("PIL") is None:
    del FAULTS["damaged images in a folder"]
