"""`scratchnn predict`: what a network says to pictures or an array of one's own."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError
from scratchnn.data.datasets import CLASSES, DIGIT_CLASSES, PIXELS
from scratchnn.data.folder import EXTENSIONS
from scratchnn.examine import image_size_of, probabilities
from scratchnn.mlp import forward
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run.look import images, saved, text
from scratchnn.run.look.saved import Saved
from scratchnn.run.recipes import Recipe
from scratchnn.run.terminal import escaped, warn

NAMES = {**CLASSES, "digits": DIGIT_CLASSES}
SAID_EACH = 5  # pictures of which each is told how it was prepared
AS_THEY_ARE = "floats: taken as the network's inputs, as they are"
AS_PIXELS = "whole numbers: taken as pixels, scaled as in the training"


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
    """Examples as the network takes them, their names, and what was done to each."""

    X: Array
    names: list[str]
    prepared: list[str]


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
    damaged = 0
    if path.suffix == ".npy":
        inputs = _from_array(run, path)
    else:
        inputs, damaged = _from_pictures(run, path, arguments.invert)
    recipe = run.recipe() if run.settings.get("recipe") else None
    z = forward(run.network, inputs.X)[-1]
    if recipe is not None and recipe.data == "line":
        _print_values(z, inputs, as_json=arguments.json)
    else:
        found = list(_predictions(recipe, z, inputs))
        _print(found, as_json=arguments.json)
    return 3 if damaged else 0


def _from_array(run: Saved, path: Path) -> _Inputs:
    try:
        array: AnyArray = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: expected an array saved by np.save, got {error}") from error
    rows = images.rows_of(array, run.network.sizes[0], path)
    dtype = run.network.theta.dtype
    if rows.dtype.kind == "f":
        X, how = rows.astype(dtype), AS_THEY_ARE
    else:
        X, how = _transformed(run, rows), AS_PIXELS
    names = [f"{path} row {row}" for row in range(len(X))]
    return _Inputs(X, names, [how] * len(X))


def _transformed(run: Saved, pixels: AnyArray) -> Array:
    """Return pixels, whole numbers, as the network takes them."""
    recipe = run.recipe()
    if recipe.data not in PIXELS:
        return pixels.astype(run.network.theta.dtype)
    return PIXELS[recipe.data].transform(recipe.normalize)(pixels, run.network.theta.dtype)


def _from_pictures(run: Saved, path: Path, invert: bool | None) -> tuple[_Inputs, int]:
    """Read the pictures; return them, and how many of a folder's could not be read."""
    recipe, size = run.recipe(), image_size_of(run.network)
    if recipe.data not in PIXELS:
        raise ValueError(f"{run.path} was trained on no images: predict takes an array (.npy)")
    paths = _pictures_in(path) if path.is_dir() else [path]
    framing, prepared, names = images.FRAMINGS.get(recipe.data), [], []
    for picture in paths:
        try:
            prepared.append(images.read(picture, size, framing, invert=invert))
            names.append(str(picture))
        except DataError as error:
            if len(paths) == 1:
                raise
            warn(str(error))
    if not prepared:
        raise DataError(f"{path}: none of its {len(paths)} pictures can be read")
    white = PIXELS[recipe.data].max_value
    pixels = np.rint(white * np.stack([one.pixels.ravel() for one in prepared])).astype(np.uint8)
    inputs = _Inputs(_transformed(run, pixels), names, [one.how for one in prepared])
    return inputs, len(paths) - len(prepared)


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise FileNotFoundError(f"{folder} must have a picture, one of {', '.join(EXTENSIONS)}")
    return found


def _predictions(recipe: Recipe | None, z: Array, inputs: _Inputs) -> Iterator[Prediction]:
    p = probabilities(z, recipe.objective if recipe else "cross_entropy")
    names = _class_names(recipe, p.shape[1])
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


def _class_names(recipe: Recipe | None, count: int) -> Sequence[str]:
    names = NAMES.get(recipe.data, ()) if recipe else ()
    if recipe and recipe.classes:
        names = tuple(names[c] for c in recipe.classes)
    return names if len(names) == count else [str(c) for c in range(count)]


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
