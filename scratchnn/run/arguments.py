"""The command line's arguments: what both `scratchnn` and `python -m parity` understand."""

from __future__ import annotations

import argparse
import io
import itertools
import re
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from scratchnn.data.datasets import DATA, check_name
from scratchnn.data.layout import FOLDERS
from scratchnn.layers import ACTIVATIONS
from scratchnn.optim import OPTIMIZERS
from scratchnn.run import optimizers, recipes
from scratchnn.run.optimizers import OF_OPTIMIZER
from scratchnn.run.recipes import RECIPES, Recipe
from scratchnn.run.terminal import escaped

CHANGES = (
    *("epochs", "batch_size", "hidden", "activation", "optimizer", *OF_OPTIMIZER),
    *("label_smoothing", "schedule", "warm_up"),
)  # what the arguments change of a recipe


OTHER_NAMES = {"--lr": "--learning-rate", "--wd": "--weight-decay"}  # by which some know options
OPTION = re.compile("--?[A-Za-z]")


class Form(argparse.RawDescriptionHelpFormatter):
    """The form of --help: names with hyphens stay whole."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and name the command whose --help has the answer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": Form, **options})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; what a command does not know is its own error.

        An unknown option is looked for first: else its value would be taken for something else.
        """
        if self._subparsers:
            return super().parse_known_args(args, namespace)
        given = sys.argv[1:] if args is None else list(args)
        names = (text.partition("=")[0] for text in itertools.takewhile("--".__ne__, given))
        options = tuple(self._option_string_actions)
        for name in names:
            if OPTION.match(name) and not any(option.startswith(name) for option in options):
                self._refuse(name, options)
        found, left = super().parse_known_args(args, namespace)
        if left:
            hint = ""
            if getattr(found, "hidden", None) and all(map(str.isdecimal, left)):
                hint = f": --hidden takes {','.join(map(str, (*found.hidden, *left)))}"
            self.error(f"unrecognized arguments: {' '.join(left)}{hint}")
        return found, left

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse arguments that were not typed, but read from a file.

        Raises   ValueError, where typed ones end the process
        """
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                return self.parse_args(arguments)
        except SystemExit as end:
            words = said.getvalue().removeprefix(f"{self.prog}: ").rpartition(" (see ")[0]
            raise ValueError(words) from end

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise for a word that is none of the choices, and name the one that is meant."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _meant(str(value), [str(word) for word in action.choices or ()])
            raise

    def _refuse(self, name: str, options: Sequence[str]) -> NoReturn:
        self.error(f"unrecognized option: {name}{_meant(OTHER_NAMES.get(name, name), options)}")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with exit status 2."""
        self.exit(2, escaped(f"{self.prog}: {message} (see {self.prog} --help)\n"))


def _meant(word: str, words: Sequence[str]) -> str:
    """Return a question for the word that is meant, or ""."""
    import difflib  # takes a while

    names = {name.lstrip("-"): name for name in words}
    near = difflib.get_close_matches(word.lstrip("-"), names, 1, cutoff=0.65)
    return f", did you mean {names[near[0]]}?" if near else ""


class Groups(NamedTuple):
    """The groups of options of a command that trains, as its --help shows them."""

    data: argparse._ArgumentGroup
    network: argparse._ArgumentGroup
    optimizer: argparse._ArgumentGroup
    folder: argparse._ArgumentGroup
    output: argparse._ArgumentGroup


def add_recipe_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> Groups:
    """Add the arguments that `recipe_for` and `recipes.prepare` need; return their groups.

    Options  parser     of the command that gets them
             required   whether the recipe must be named
    """
    number = None if required else "?"
    parser.add_argument(
        "recipe", choices=RECIPES, metavar="RECIPE", nargs=number, help=", ".join(RECIPES)
    )
    titles = ("data", "network", "optimizer and schedule", "run folder", "output")
    groups = Groups(*map(parser.add_argument_group, titles))
    words = f"{', '.join(DATA)}, or the path of your own images, arrays or table; default: the "
    words += "bundled digits (the line, for linear regression)"
    groups.data.add_argument("--data", type=data_name, metavar="DATA", help=words)
    words = "the folder of the data; default: the variable SCRATCHNN_DATA"
    groups.data.add_argument("--data-dir", metavar="DIR", help=words)
    _add_network(groups.network)
    _add_optimizer(groups.optimizer)
    words = "save the results in this folder; default: do not save them"
    groups.folder.add_argument("--out", metavar="DIR", help=words)
    words = "threads for matrix products; default: 1 in a small network, for few examples or on a "
    words += "busy machine, where more would be slower or bring little, else what NumPy takes"
    groups.output.add_argument("--threads", type=positive_int, metavar="N", help=words)
    groups.output.add_argument("--debug", action="store_true", help="show tracebacks")
    return groups


def _add_network(group: argparse._ArgumentGroup) -> None:
    words = "widths of the hidden layers, as 300,100, or none; default: the recipe's"
    group.add_argument("--hidden", type=hidden_sizes, metavar="H,H", help=words)
    words = f"after each hidden layer: {', '.join(ACTIVATIONS)}; default: the recipe's"
    group.add_argument("--activation", choices=ACTIVATIONS, metavar="NAME", help=words)
    words = "of the initial parameters and the order of the examples; default: 1"
    group.add_argument("--seed", type=seed, default=1, metavar="N", help=words)


def _add_optimizer(group: argparse._ArgumentGroup) -> None:
    words = "how often to go through the training data; default: the recipe's"
    group.add_argument("--epochs", type=positive_int, metavar="N", help=words)
    words = "examples per step; default: the recipe's"
    group.add_argument("--batch-size", type=positive_int, metavar="N", help=words)
    words = f"{', '.join(OPTIMIZERS)}; default: sgd"
    group.add_argument("--optimizer", choices=OPTIMIZERS, metavar="NAME", help=words)
    words = "the size of a step; default: the recipe's, or 0.001 for adam and adamw"
    group.add_argument("--learning-rate", type=float, metavar="X", help=words)
    words = "of sgd; default: the recipe's"
    group.add_argument("--momentum", type=float, metavar="X", help=words)
    words = "look one step of momentum ahead, with sgd; default: no"
    group.add_argument("--nesterov", action=argparse.BooleanOptionalAction, help=words)
    words = "leave out this share of the gradient in sgd's momentum; default: 0"
    group.add_argument("--dampening", type=float, metavar="X", help=words)
    words = "how much the parameters shrink; default: 0, or 0.01 for adamw"
    group.add_argument("--weight-decay", type=float, metavar="X", help=words)
    words = "spread this share of the target over all classes, as 0.1; default: 0"
    group.add_argument("--label-smoothing", type=float, metavar="X", help=words)
    words = "constant; cosine: falls to 0 by the last epoch; step:10,0.1: a tenth after every 10 "
    words += "epochs; default: constant"
    group.add_argument("--schedule", type=schedule, metavar="NAME", help=words)
    words = "let the learning rate rise over the first N epochs, as 1 or 0.5; default: 0"
    group.add_argument("--warm-up", type=float, metavar="N", help=words)


def hidden_sizes(text: str) -> tuple[int, ...]:
    """Parse widths as 300,100, or none, for argparse."""
    return () if text == "none" else tuple(map(positive_int, text.split(",")))


def schedule(text: str) -> str:
    """Return the words of a schedule that there is, for argparse."""
    try:
        optimizers.check_schedule(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def as_options(values: Mapping[str, object]) -> str:
    """Return options as one types them: "--hidden 300,100 --nesterov"; None is left out."""
    found = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value is True or value is False:
            found.append(option if value else f"--no-{option[2:]}")
        elif value is not None:
            if isinstance(value, (tuple, list)):
                value = ",".join(map(str, value)) or "none"
            found.append(f"{option} {shlex.quote(str(value))}")
    return " ".join(found)


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


def check_activation(typed: str | None, recipe: Recipe) -> None:
    """Raise for an activation that was typed, but stands between no layers.

    Options  typed    what --activation was given; None: nothing
             recipe   with the hidden layers that were asked for
    Raises   ValueError
    """
    if typed and not recipe.hidden:
        raise ValueError(
            f"--activation goes with hidden layers, and {recipe.name} has none here: leave it out, "
            "or give --hidden H,H"
        )


def recipe_for(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the arguments name, with the hyper-parameters that they give."""
    recipe = recipes.get(arguments.recipe)
    data = arguments.data or recipe.default_data
    if arguments.data_dir and data not in FOLDERS:
        raise ValueError(f"--data-dir goes with --data {' or '.join(FOLDERS)}, got --data {data}")
    return recipe.on(data, **{name: getattr(arguments, name) for name in CHANGES})
