"""python -m parity train RECIPE: train in NumPy and in torch, and compare."""

import argparse
from typing import Any

from parity.commands import DTYPES, add_device_arguments
from parity.report import page
from scratchnn.arguments import add_recipe_arguments, positive_int
from scratchnn.extras import need

MODES = ("lockstep", "free-run", "accuracy")


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("train", help="train a recipe on both sides and compare")
    add_recipe_arguments(sub)
    sub.add_argument(
        "--mode", choices=MODES, default="lockstep",
        help="compare every step (default), the drift of freely trained parameters beside "
        "torch's own, or the final accuracies over several seeds",
    )  # fmt: skip
    add_device_arguments(sub)
    sub.add_argument("--dtype", choices=DTYPES, help="default: one after the other")
    sub.add_argument("--steps", type=positive_int, metavar="N", help="stop after N steps")
    sub.add_argument(
        "--seeds", type=positive_int, metavar="N", help="of --mode accuracy: default 5"
    )
    page.add_arguments(sub)
    sub.set_defaults(command=run, judged_as=None)  # None: not said, and ieee


def run(arguments: argparse.Namespace) -> int:
    """Train in the mode asked for, report, and return the exit status."""
    need("torch", "torch")
    if arguments.html and arguments.mode != "accuracy":
        need("matplotlib", "plots")  # before the training, and not after it
    from parity.training import modes

    return modes.run(arguments)
