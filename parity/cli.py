"""NumPy compared with the others, from the command line.

    python -m parity ops             every operation and its gradients, on generated inputs
    python -m parity train RECIPE    train in NumPy and in torch, and compare each step
    python -m parity record          record trainings of torch
    python -m parity replay          check scratchnn against recordings, without torch
    python -m parity accuracy        errors in ulps, compared with other libraries'
    python -m parity check FILE.py:FUNCTION --op OP    is an implementation of your own right?
    python -m parity mutants         plant bugs, and see which check finds which

Exit status: 0 parity, or the criterion of accuracy, holds, 1 it fails, 2 usage, 3 data,
130 interrupted. What the commands do is in commands.py.
"""

from __future__ import annotations

import argparse
from ast import literal_eval
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from parity import commands, report
from scratchnn.run.arguments import Parser, add_recipe_arguments, positive_int, seed
from scratchnn.run.cli import run_command
from scratchnn.run.recipes import RECIPES

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Parser]

DEVICES = ("cpu", "cuda")
PRECISIONS = ("ieee", "tf32")
MODES = ("lockstep", "free-run", "accuracy")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(arguments.command, arguments, program="parity")


def _parser() -> Parser:
    parser = Parser("python -m parity", description="NumPy against PyTorch, step by step.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_ops(subparsers)
    _add_train(subparsers)
    _add_record(subparsers)
    _add_replay(subparsers)
    _add_accuracy(subparsers)
    _add_check(subparsers)
    _add_mutants(subparsers)
    return parser


def _add(
    subparsers: Subparsers, name: str, command: Callable[[argparse.Namespace], int], words: str
) -> Parser:
    parser = subparsers.add_parser(name, help=words)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(command=command)
    return parser


def _add_ops(subparsers: Subparsers) -> None:
    words = "every operation and its gradients, on generated inputs"
    sub = _add(subparsers, "ops", commands.ops, words)
    sub.add_argument(
        "--device",
        choices=(*DEVICES, "all"),
        default="all",
        help="torch's; default: all that are here",
    )
    sub.add_argument(
        "--dtype",
        choices=(*commands.DTYPES, "tf32", "all"),
        default="all",
        help="tf32: torch's matrix products in TF32; default: all",
    )
    sub.add_argument("--op", nargs="+", metavar="NAME", help="default: every row of the table")
    sub.add_argument(
        "--examples",
        type=positive_int,
        default=100,
        metavar="N",
        help="generated cases of each operation; default: 100",
    )
    sub.add_argument(
        "--bounds",
        choices=("mixed", "worst-case", "probabilistic"),
        default="mixed",
        help="default: worst case for sums, probabilistic for products",
    )
    sub.add_argument("--seed", type=seed, default=0)
    sub.add_argument("--threads", type=positive_int, default=1, help="default: 1, cases are small")
    report.add_arguments(sub)


def _add_train(subparsers: Subparsers) -> None:
    sub = subparsers.add_parser("train", help="train a recipe on both sides and compare")
    sub.set_defaults(command=commands.train)
    add_recipe_arguments(sub)
    sub.add_argument(
        "--mode",
        choices=MODES,
        default="lockstep",
        help="compare every step (default), the drift of freely trained parameters with torch's "
        "own, or the final accuracies over several seeds",
    )
    sub.add_argument("--device", choices=DEVICES, help="default: CUDA where there is one")
    sub.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="ieee",
        help="of torch's products of float32 matrices; tf32 is simulated on a CPU",
    )
    sub.add_argument(
        "--judged-as",
        choices=PRECISIONS,
        help="the bounds that judge float32: those of ieee, which refuse tf32, or of tf32; "
        "default: ieee",
    )
    sub.add_argument("--dtype", choices=commands.DTYPES, help="default: one after the other")
    sub.add_argument("--steps", type=positive_int, metavar="N", help="stop after N steps")
    words = "of --mode accuracy: default 5"
    sub.add_argument("--seeds", type=positive_int, metavar="N", help=words)
    report.add_arguments(sub)


def _add_record(subparsers: Subparsers) -> None:
    sub = _add(subparsers, "record", commands.record, "record trainings of torch, for `replay`")
    sub.add_argument(
        "--recipe",
        nargs="+",
        choices=RECIPES,
        metavar="RECIPE",
        default=list(RECIPES),
        help="default: all",
    )
    sub.add_argument("--device", choices=DEVICES, help="default: CUDA where there is one")
    sub.add_argument("--dtype", choices=commands.DTYPES, help="default: both")
    sub.add_argument("--precision", choices=PRECISIONS, help="of float32; default: both")
    sub.add_argument("--steps", type=positive_int, default=100)
    sub.add_argument("--seed", type=seed, default=1)
    sub.add_argument("--out", metavar="DIR", help="default: the package's own recordings")


def _add_replay(subparsers: Subparsers) -> None:
    words = "check scratchnn against recordings, without torch"
    sub = _add(subparsers, "replay", commands.replay, words)
    sub.add_argument("files", nargs="*", metavar="FILE", help="default: the package's own")
    sub.add_argument(
        "--judged-as", choices=PRECISIONS, help="the bounds of float32; default: as recorded"
    )


def _add_accuracy(subparsers: Subparsers) -> None:
    words = "measure errors in ulps, compared with other libraries'"
    sub = _add(subparsers, "accuracy", commands.accuracy, words)
    sub.add_argument("--quick", action="store_true", help="fewer rows: half a minute")
    sub.add_argument("--json", metavar="FILE", help="save every cell as JSON")


def _add_check(subparsers: Subparsers) -> None:
    sub = _add(subparsers, "check", commands.check, "check an implementation of your own")
    sub.add_argument("function", metavar="FILE.py:FUNCTION")
    sub.add_argument("--op", required=True, help="softmax, cross_entropy, ...: what it should be")
    sub.add_argument("--backward", metavar="FILE.py:FUNCTION", help="its gradient")
    sub.add_argument(
        "--set",
        metavar="OPTION=VALUE",
        action="append",
        default=[],
        type=_setting,
        help="what an option is in your function: reduction=none",
    )
    sub.add_argument("--any-shape", action="store_true", help="other than two dimensions, too")
    sub.add_argument("--skip", metavar="CHECK", action="append", default=[])
    report.add_arguments(sub)


def _setting(text: str) -> tuple[str, object]:
    option, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be OPTION=VALUE, got {text!r}")
    try:
        return option, literal_eval(value)
    except (SyntaxError, ValueError):
        return option, value


def _add_mutants(subparsers: Subparsers) -> None:
    words = "plant bugs, and see which check finds which"
    sub = _add(subparsers, "mutants", commands.mutants, words)
    sub.add_argument("--json", metavar="FILE", help="save the matrix")
