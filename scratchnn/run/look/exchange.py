"""`scratchnn export` and `scratchnn import`: a network to torch and others, and back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratchnn import __version__
from scratchnn.data import files
from scratchnn.data.datasets import PIXELS
from scratchnn.interchange import load_safetensors, save_onnx, save_safetensors
from scratchnn.layers import ACTIVATIONS, Kronecker
from scratchnn.mlp import Parameters
from scratchnn.run import checkpoint, recipes
from scratchnn.run.arguments import data_name
from scratchnn.run.folder import RunFolder
from scratchnn.run.keeping import CHECKPOINT
from scratchnn.run.look import saved
from scratchnn.run.recipes import RECIPES
from scratchnn.run.terminal import escaped

FORMATS: dict[str, Callable[..., None]] = {".safetensors": save_safetensors, ".onnx": save_onnx}
SAID = ("recipe", "data", "activation")  # of a run's settings, in an exported file


def add_export(commands: Any) -> None:
    """Add the command `export`.

    Options  commands   the parsers of all commands
    """
    words = "write a network as .safetensors (torch's names and shapes) or .onnx"
    sub = commands.add_parser("export", help=words)
    sub.add_argument("run", metavar="RUN", help="a folder of `train --out`, or its .npz")
    words = f"the file to write; its name ends in {' or '.join(FORMATS)}"
    sub.add_argument("file", metavar="FILE", help=words)
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=export)


def add_import(commands: Any) -> None:
    """Add the command `import`.

    Options  commands   the parsers of all commands
    """
    words = "make a run of a .safetensors file, as of torch's nn.Sequential"
    sub = commands.add_parser("import", help=words)
    sub.add_argument("file", metavar="FILE", help="a .safetensors file")
    sub.add_argument("run", metavar="RUN", help="the folder to write")
    words = "what the network was trained by: it says loss and transform; default: the file says it"
    sub.add_argument("--recipe", choices=RECIPES, metavar="RECIPE", help=words)
    words = "what it was trained on; default: the file says it"
    sub.add_argument("--data", type=data_name, metavar="DATA", help=words)
    words = "between the layers; default: the file says it, or relu"
    sub.add_argument("--activation", choices=ACTIVATIONS, help=words)
    sub.add_argument("--overwrite", action="store_true", help="replace the run that RUN holds")
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=import_)


def export(arguments: argparse.Namespace) -> int:
    """Write the file."""
    path = Path(arguments.file)
    if path.suffix not in FORMATS:
        raise ValueError(f"FILE must end in {' or '.join(FORMATS)}, got {path.name!r}")
    run = saved.read(arguments.run)
    description = {name: run.settings[name] for name in SAID if run.settings.get(name)}
    if run.transform:
        description["transform"] = run.transform
    files.make_folder_of(path)
    FORMATS[path.suffix](path, run.network, scratchnn=__version__, **description)
    print(escaped(f"saved {path}: {run.network}"))
    if any(isinstance(layer, Kronecker) for layer in run.network.layers):
        print("its Kronecker layers are written as the dense layers that they equal")
    return 0


def import_(arguments: argparse.Namespace) -> int:
    """Write the run."""
    network, description = load_safetensors(arguments.file, activation=arguments.activation)
    if arguments.recipe or arguments.data:
        description.pop("transform", None)  # is now theirs
    for name in ("recipe", "data", "activation"):
        if value := getattr(arguments, name):
            description[name] = value
    if description.get("recipe") and description.get("data"):
        recipe = recipes.get(description["recipe"]).on(description["data"])  # or raises
        if recipe.data in PIXELS:
            description.setdefault("transform", PIXELS[recipe.data].transform(recipe.normalize))
    description["imported"] = Path(arguments.file).name
    try:
        folder = RunFolder(arguments.run, overwrite=arguments.overwrite)
        with folder.taken() as history, folder.replaced():
            history.truncate(0)
            checkpoint.save(folder.file(CHECKPOINT), network, **description)
    except FileExistsError as error:
        words = f"{arguments.run} holds a run: replace it by --overwrite, or name another folder"
        raise FileExistsError(words) from error
    path = folder.file(CHECKPOINT)
    print(escaped(f"saved {path}: {network}{_next_step(description, network)}"))
    return 0


def _next_step(description: dict[str, Any], network: Parameters) -> str:
    """Say what is missing for pictures, or nothing."""
    if description.get("recipe") and description.get("data"):
        return ""
    return (
        "\nThe file does not say what the network was trained on. With --recipe and --data, "
        "`scratchnn evaluate`, `show` and `predict` know loss, transform and classes; without "
        f"them, predict takes arrays of {network.sizes[0]} floats a row"
    )
