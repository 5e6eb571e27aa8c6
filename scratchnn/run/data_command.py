"""`scratchnn data`: list the data sets, fetch them, verify them, show some examples."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnn import plots
from scratchnn.data import DataError, Dataset, files, load, published, resize
from scratchnn.data.datasets import DATA
from scratchnn.data.layout import STEMS, count, data_folder, fetch_command, raw_folder
from scratchnn.data.printable import printable
from scratchnn.extras import MissingExtraError, need

if TYPE_CHECKING:
    from scratchnn.data.download import Progress

SHADES = " .:-=+*#%@"  # from black to white
ABOUT = {
    "digits": "handwritten digits, 8 x 8, in the package",
    "mnist": "handwritten digits, 28 x 28",
    "fashion-mnist": "pictures of clothes, 28 x 28",
    "line": "drawn: a plane with noise, for linear regression",
}
SHOWN, PER_LINE, HEIGHT = 6, 3, 12  # images; images side by side; lines of an image


def add_data(commands: Any) -> None:
    """Add the command to the parser of `scratchnn`.

    Options  commands   the parser's commands
    """
    parser = commands.add_parser("data", help="list, fetch, verify and show data sets")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add(actions, list_all, "list", "which data sets there are, and which are here")
    sub = _add(actions, fetch_one, "fetch", "fetch what is missing or damaged from a mirror")
    sub.add_argument("data", choices=published.FILES, metavar="DATA", help="which data set")
    sub = _add(actions, verify, "verify", "compare the files with what was published, bit for bit")
    words = "which data set; default: all that are here"
    sub.add_argument("data", choices=published.FILES, nargs="?", metavar="DATA", help=words)
    sub = _add(actions, show, "show", "draw some examples, and count those of each class")
    words = f"{', '.join(DATA)}, or a path of your own data"
    sub.add_argument("data", metavar="DATA", help=words)
    words = "save a picture in this folder; default: draw with characters"
    sub.add_argument("--out", metavar="DIR", help=words)


def _add(actions: Any, command: Any, name: str, words: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = actions.add_parser(name, help=words)
    words = "the folder of the data; default: the variable SCRATCHNN_DATA"
    sub.add_argument("--data-dir", metavar="DIR", help=words)
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=command)
    return sub


def list_all(arguments: argparse.Namespace) -> int:
    """Print a line for each data set."""
    for name in DATA:
        print(f"{name:<14}  {_there(name, arguments.data_dir):<11}  {ABOUT[name]}")
    print("list looks for files and does not read them: `scratchnn data verify` does")
    return 0


def _there(name: str, data_dir: str | None) -> str:
    if name not in published.FILES:
        return "here"
    try:
        folder = raw_folder(name, data_dir)
    except FileNotFoundError:  # none was named
        return "no folder"
    found = count(folder)
    return "here" if found == len(STEMS) else f"{found} of {len(STEMS)} files"


def fetch_one(arguments: argparse.Namespace) -> int:
    """Fetch a data set, with a bar where standard error is a terminal."""
    from scratchnn.data.download import fetch  # takes a while, and few commands fetch anything

    with _cleaning_up(), _bar() as progress:
        folder = fetch(arguments.data, arguments.data_dir, say=print, progress=progress)
    print(f"{arguments.data}: all {len(published.FILES[arguments.data])} files are in {folder}")
    return 0


@contextmanager
def _cleaning_up() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an exception does, so that nothing is left behind."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signals = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar() -> Iterator[Progress]:
    """Yield what draws a bar per file on standard error, or nothing where that is no terminal."""
    try:
        tqdm: Any = need("tqdm", "cli").tqdm if sys.stderr and sys.stderr.isatty() else None
    except MissingExtraError:
        tqdm = None
    bars: dict[str, Any] = {}

    def draw(file: str, received: int, length: int) -> None:
        if file not in bars:
            close()
            bars[file] = tqdm(
                desc=file, total=length or None, unit="B", unit_scale=True, leave=False
            )
        bars[file].update(received - bars[file].n)

    def close() -> None:
        for bar in bars.values():
            bar.close()

    try:
        yield draw if tqdm else lambda *_: None
    finally:
        close()


def verify(arguments: argparse.Namespace) -> int:
    """Print what is wrong with the files of a data set, or of all that are here."""
    names = [arguments.data] if arguments.data else list(published.FILES)
    states = {name: published.verify(name, arguments.data_dir) for name in names}
    here = {name: of for name, of in states.items() if arguments.data or any(s.path for s in of)}
    if not here:
        folder = data_folder(arguments.data_dir)
        raise DataError(f"{folder} has no data set: `scratchnn data fetch DATA` fetches one")
    for name, found in here.items():
        wrong = [file.problem for file in found if file.problem]
        for problem in wrong:
            print(f"{name}: {problem}")
        if wrong:
            print(f"{name}: {fetch_command(name, arguments.data_dir)} fetches what differs anew")
        else:
            print(f"{name}: all {len(found)} files are those that were published")
    return 3 if any(file.problem for found in here.values() for file in found) else 0


def show(arguments: argparse.Namespace) -> int:
    """Print how many examples there are of each class, and draw a few of the images."""
    if arguments.out:
        files.check_folder(Path(arguments.out))
    train, test = load(arguments.data, arguments.data_dir)
    print(_counted(train, test))
    if train.image_size is None:
        for row in range(min(SHOWN, len(train))):
            print(f"X {train.X[row]}, target {_target(train, row)}")
    elif arguments.out:
        titles = [_target(train, row) for row in range(min(18, len(train)))]
        figure = plots.show_images(train.images[:18], 2, 9, titles)
        paths = plots.save(figure, arguments.out, "examples")
        print(f"saved in {arguments.out}: {', '.join(path.name for path in paths)}")
    else:
        print(_drawn(train))
    return 0


def _counted(train: Dataset, test: Dataset | None) -> str:
    """Say how many examples there are, and how many of each class."""
    parts = [train, test] if test else [train]
    lines = [str(data) for data in parts]
    if train.classes:
        counts = [np.bincount(data.target, minlength=len(train.classes)) for data in parts]
        lines.append("".join(f"{name:>9}" for name in ("train", "test")[: len(parts)]) + "  class")
        for number, *of in zip(train.classes, *counts, strict=True):
            lines.append("".join(f"{count:>9,}" for count in of) + f"  {printable(number)}")
    return "\n".join(lines)


def _target(data: Dataset, row: int) -> str:
    return printable(data.classes[data.target[row]]) if data.classes else str(data.target[row])


def _drawn(data: Dataset) -> str:
    """Draw the first images side by side, with characters, which are twice as high as wide."""
    greys = resize(data.images[:SHOWN], (HEIGHT, 2 * HEIGHT)).astype(float)
    shades = np.array(list(SHADES))[(greys / max(data.X.max(), 1) * (len(SHADES) - 1)).astype(int)]
    lines = []
    for start in range(0, len(shades), PER_LINE):
        block = shades[start : start + PER_LINE]
        titles = [_target(data, start + k)[: 2 * HEIGHT] for k in range(len(block))]
        lines.append(" ".join(title.center(2 * HEIGHT) for title in titles))
        lines += [" ".join("".join(image[y]) for image in block) for y in range(HEIGHT)]
    return "\n".join(line.rstrip() for line in lines)
