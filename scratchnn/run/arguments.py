"""The command line's arguments: what both `scratchnn` and `python -m parity` understand."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from scratchnn.data.datasets import DATA, check_name
from scratchnn.data.layout import FOLDERS
from scratchnn.layers import ACTIVATIONS
from scratchnn.run import recipes
from scratchnn.run.recipes import RECIPES, Recipe
from scratchnn.run.terminal import escaped


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with exit status 2."""
        command = f"{self.prog} COMMAND" if message.startswith("unrecognized") else self.prog
        self.exit(2, escaped(f"{self.prog}: {message} (see {command} --help)\n"))


def add_recipe_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the arguments that `recipe_for` and `recipes.prepare` need.

    Options  parser     of the command that gets them
             required   whether the recipe must be named
    """
    names = ", ".join(RECIPES)
    number = None if required else "?"
    parser.add_argument("recipe", choices=RECIPES, metavar="RECIPE", nargs=number, help=names)
    parser.add_argument(
        "--data",
        type=data_name,
        metavar="DATA",
        help=f"{', '.join(DATA)}, or the path of your own images, arrays or table; "
        "default: the bundled digits (the line, for linear regression)",
    )
    words = "the folder of the data; default: the variable SCRATCHNN_DATA"
    parser.add_argument("--data-dir", metavar="DIR", help=words)
    words = "how often to go through the training data; default: the recipe's"
    parser.add_argument("--epochs", type=positive_int, metavar="N", help=words)
    words = "examples per step; default: the recipe's"
    parser.add_argument("--batch-size", type=positive_int, metavar="N", help=words)
    words = "the step size; default: the recipe's"
    parser.add_argument("--learning-rate", type=float, metavar="X", help=words)
    words = "of SGD; default: the recipe's"
    parser.add_argument("--momentum", type=float, metavar="X", help=words)
    parser.add_argument(
        "--activation", choices=ACTIVATIONS, help="after each hidden layer; default: the recipe's"
    )
    words = "threads for matrix products; default: 1 for a small network, else what NumPy takes"
    parser.add_argument("--threads", type=positive_int, metavar="N", help=words)
    words = "of the initial parameters and the order of the examples; default: 1"
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help=words)
    words = "save the results in this folder; default: do not save them"
    parser.add_argument("--out", metavar="DIR", help=words)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def data_name(text: str) -> str:
    """Return the name of a data set, or the whole path of what is there, for argparse."""
    try:
        check_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text if text in DATA else str(Path(text).expanduser().resolve())


def steps_or_epoch(text: str) -> int | str:
    """Parse a whole number from 1 up, or "epoch", for argparse."""
    return text if text == "epoch" else positive_int(text)


def share(text: str) -> float:
    """Parse a number between 0 and 1, for argparse."""
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"the share must be between 0 and 1, got {number}")
    return number


def positive_int(text: str) -> int:
    """Parse a whole number from 1 up, for argparse."""
    return _whole_number(text, 1)


def seed(text: str) -> int:
    """Parse a whole number from 0 up, for argparse."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} up, got {text!r}")
    return int(text)


def recipe_for(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the arguments name, with the hyper-parameters that they give."""
    recipe = recipes.get(arguments.recipe)
    data = arguments.data or recipe.default_data
    if arguments.data_dir and data not in FOLDERS:
        raise ValueError(f"--data-dir goes with --data {' or '.join(FOLDERS)}, got --data {data}")
    return recipe.on(
        data,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        momentum=arguments.momentum,
        activation=arguments.activation,
    )
