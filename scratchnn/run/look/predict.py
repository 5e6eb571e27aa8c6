"""`scratchnn predict`: what a network says to pictures or an array of one's own."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError
from scratchnn.data.folder import EXTENSIONS
from scratchnn.data.idx import check_file
from scratchnn.examine import probabilities
from scratchnn.mlp import forward
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run.look import images, saved, text
from scratchnn.run.look.saved import Expected, Saved
from scratchnn.run.terminal import escaped, warn

SAID_EACH = 5  # pictures of which each is told how it was prepared
AS_THEY_ARE = "floats, taken as the network's inputs, as they are"
AS_STORED = "whole numbers, taken as the data set stores them, and scaled as in the training"


@dataclass(frozen=True)
class Prediction:
    """What a network says to one example.

    Parts    example       the picture's path, or the array's with the row
             answer        the likeliest class
             probability   of it
             runner_up     the class that is next
             runner_up_probability   of that one
             prepared      what was done to the example before
    """

    example: str
    answer: str
    probability: float
    runner_up: str
    runner_up_probability: float
    prepared: str


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Examples as the network takes them, their names, what was done to each, and for what."""

    X: Array
    names: list[str]
    prepared: list[str]
    expected: Expected | None


def add_predict(commands: Any) -> None:
    """Add the command.

    Options  commands   the parsers of all commands
    """
    words = "the class of pictures of your own, its probability, and the runner-up"
    sub = commands.add_parser("predict", help=words)
    sub.add_argument("run", metavar="RUN", help="a folder of `train --out`, or its .npz")
    words = "a picture, a folder of pictures, or an array (.npy)"
    sub.add_argument("examples", metavar="IMAGE|FOLDER|ARRAY.npy", help=words)
    words = "dark becomes light; default: where the border of a picture is light"
    choice = sub.add_mutually_exclusive_group()
    choice.add_argument("--invert", action="store_true", default=None, help=words)
    words = "the picture is light on dark already"
    choice.add_argument("--no-invert", dest="invert", action="store_false", help=words)
    sub.add_argument("--json", action="store_true", help="print the result as JSON")
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=predict)


def predict(arguments: argparse.Namespace) -> int:
    """Print what the network says."""
    run, path = saved.read(arguments.run), Path(arguments.examples)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: it must be a picture, a folder or an array")
    if not path.is_dir():
        check_file(path)  # a pipe would keep us waiting
    damaged = 0
    if path.suffix == ".npy":
        inputs = _from_array(run, path)
    else:
        inputs, damaged = _from_pictures(run, path, arguments.invert)
    outputs = forward(run.network, inputs.X)[-1]
    classes = inputs.expected.classes if inputs.expected else None
    if classes == ():
        _print_values(outputs, inputs, as_json=arguments.json)
    else:
        objective = run.recipe().objective if inputs.expected else "cross_entropy"
        p = probabilities(outputs, objective)
        names = classes or [str(c) for c in range(p.shape[1])]
        _print(list(_predictions(p, names, inputs)), as_json=arguments.json)
    return 3 if damaged else 0


def _from_array(run: Saved, path: Path) -> _Inputs:
    try:  # mapped first, so that a file which says too much is found out
        array: AnyArray = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, OverflowError) as error:
        got = "Python objects, or another kind of file" if "pickle" in str(error) else error
        raise DataError(f"{path}: expected an array saved by np.save, got {got}") from error
    rows = images.rows_of(array, run.network.sizes[0], path)
    names, dtype = [f"{path} row {row}" for row in range(len(rows))], run.network.theta.dtype
    said = run.settings.get("recipe") and run.settings.get("data")
    expected = run.expected() if said or rows.dtype.kind != "f" else None
    if expected is None or rows.dtype.kind == "f":
        return _Inputs(rows.astype(dtype), names, [AS_THEY_ARE] * len(rows), expected)
    low, high = int(rows.min()), int(rows.max())
    if expected.image_size and (low < 0 or high > expected.white):
        raise DataError(
            f"{path}: the pixels of {run.settings['data']} are whole numbers from 0 to "
            f"{expected.white:g}, got {low} to {high}: scale them, or save the network's inputs "
            "as floats"
        )
    return _Inputs(expected.transform(rows, dtype), names, [AS_STORED] * len(rows), expected)


def _from_pictures(run: Saved, path: Path, invert: bool | None) -> tuple[_Inputs, int]:
    """Read the pictures; return them, and how many of a folder's could not be read."""
    expected = run.expected()
    if expected.image_size is None:
        raise ValueError(
            f"{run.path} was trained on no images: predict takes an array (.npy) with "
            f"{run.network.sizes[0]} numbers a row"
        )
    paths = _pictures_in(path) if path.is_dir() else [path]
    read = partial(
        images.read,
        size=expected.image_size,
        framing=expected.framing,
        invert=invert,
        light=expected.light,
    )
    found = {}
    for picture in paths:
        try:
            found[str(picture)] = read(picture)
        except DataError as error:
            if path.is_file():
                words = "give a picture, a folder of pictures, or an array (.npy)"
                raise DataError(f"{error}: {words}") from error
            warn(str(error))
    for name, one in found.items():
        if one.is_empty:
            warn(f"{name}: nothing is drawn on it: the answer is that to an empty page")
    if not found:
        raise DataError(f"{path}: none of its {len(paths)} pictures can be read")
    pixels = expected.stored(np.stack([one.pixels.ravel() for one in found.values()]))
    X = expected.transform(pixels, run.network.theta.dtype)
    inputs = _Inputs(X, list(found), [one.how for one in found.values()], expected)
    return inputs, len(paths) - len(found)


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise FileNotFoundError(f"{folder} must have a picture, one of {', '.join(EXTENSIONS)}")
    return found


def _predictions(p: Array, names: Sequence[str], inputs: _Inputs) -> Iterator[Prediction]:
    order = np.argsort(-p, axis=1, kind="stable")[:, :2]
    for row, (first, *others) in enumerate(order.tolist()):
        second = others[0] if others else first
        yield Prediction(
            inputs.names[row],
            names[first],
            float(p[row, first]),
            names[second],
            float(p[row, second]),
            inputs.prepared[row],
        )


def _print(found: list[Prediction], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    rows = [
        [
            one.example,
            one.answer,
            f"{one.probability:.1%}",
            one.runner_up,
            f"{one.runner_up_probability:.1%}",
        ]
        for one in found
    ]
    header = ["example", "class", "probability", "runner-up", "probability"]
    print(text.table(header, rows, (0, 1, 3)))
    _say_how([(one.example, one.prepared) for one in found])


def _say_how(prepared: Sequence[tuple[str, str]]) -> None:
    """Say what was done to each example, or to how many the same kind of thing."""
    kinds = Counter(how for _, how in prepared)
    if len(kinds) == 1 and len(prepared) > 1:
        print(escaped(f"\nall: {next(iter(kinds))}"))
    elif len(prepared) <= SAID_EACH:
        for name, how in prepared:
            print(escaped(f"\n{name}: {how}"))
    else:
        inverted = sum("not inverted" not in how for _, how in prepared)
        print(f"\n{inverted} of {len(prepared)} inverted; --json says what was done to each")


def _print_values(z: Array, inputs: _Inputs, *, as_json: bool) -> None:
    """Print the outputs of a regression."""
    if as_json:
        print(
            json.dumps(
                [
                    {"example": name, "output": row, "prepared": how}
                    for name, row, how in zip(
                        inputs.names, z.tolist(), inputs.prepared, strict=True
                    )
                ]
            )
        )
        return
    rows = [
        [name, *(f"{value:.4f}" for value in row)]
        for name, row in zip(inputs.names, z.tolist(), strict=True)
    ]
    header = ["example", *(f"output {k + 1}" for k in range(z.shape[1]))]
    print(text.table(header, rows))
    _say_how(list(zip(inputs.names, inputs.prepared, strict=True)))
