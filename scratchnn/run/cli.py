"""The `scratchnn` command: train, evaluate, show, report, predict, export, data and more.

Exit status: 0 done, 1 training failed, 2 usage, 3 data or files; after a signal 128 + its number:
130 for Ctrl-C, 143 for SIGTERM, 129 for a closed terminal, 152 for a limit of processor time; 141
where nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import errno
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from scratchnn import __version__, distributed
from scratchnn.data import DataError, files
from scratchnn.distributed.launch import together, world
from scratchnn.extras import MissingExtraError
from scratchnn.run import terminal
from scratchnn.run.arguments import Form, Parser, data_name
from scratchnn.run.data_command import add_data
from scratchnn.run.look import saved
from scratchnn.run.look.compare import add_compare
from scratchnn.run.look.exchange import add_export, add_import
from scratchnn.run.look.predict import add_predict
from scratchnn.run.look.report import add_report
from scratchnn.run.look.show import add_show
from scratchnn.run.recipes import RECIPES
from scratchnn.run.settings import hyper_parameters
from scratchnn.run.train_command import add_train

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # errors of writing


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, on every rank where mpiexec started it, and return its exit status.

    Options  argv   the arguments; default: those of the process
    """

    terminal.prepare()

    def command() -> int:
        arguments = _parser().parse_args(argv)
        return run_command(arguments.command, arguments, program="scratchnn")

    try:
        return together(command)
    except KeyboardInterrupt:
        return 130


def run_command(command: Any, arguments: argparse.Namespace, *, program: str) -> int:
    """Run a command and return its exit status. Errors become one line on standard error.

    Options  command     a function of the arguments that returns an exit status
             arguments   as parsed; with .debug, errors are raised
             program     the name that the line begins with
    """
    try:
        status = int(command(arguments))
        with files.naming(Path("standard output")):
            print(end="", flush=True)
        return status
    except KeyboardInterrupt as stopped:
        terminal.warn("interrupted", program)
        return getattr(stopped, "status", 130)
    except BrokenPipeError:  # whoever read our output has seen enough
        return 141
    except Exception as error:
        if arguments.debug:
            raise
        terminal.warn(_in_words(error), program)
        return _status(error)
    finally:
        terminal.let_out()


def _status(error: Exception) -> int:
    if isinstance(error, (DataError, OSError)):
        return 3
    return 2 if isinstance(error, (ValueError, TypeError, MissingExtraError)) else 1


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        limited = error.errno == errno.EFBIG
        advice = ": raise the limit of file sizes, `ulimit -f`" if limited else ""
        return f"{error.filename}: {error.strerror}{advice}"
    expected = (DataError, OSError, ValueError, TypeError, MissingExtraError, FloatingPointError)
    if isinstance(error, OSError) and error.errno in NO_ROOM and not error.filename:
        return f"standard output: {error.strerror}"  # a file would be named
    if isinstance(error, expected):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


def evaluate_saved(arguments: argparse.Namespace) -> int:
    """Evaluate saved parameters on a data set's test part."""
    run = saved.read(arguments.parameters)
    recipe, data = run.recipe(arguments.data), run.data(arguments.data, arguments.data_dir)
    score = distributed.evaluate(run.network, data, recipe.objective, ranks=world())
    if arguments.json:
        print(json.dumps({"data": data.name, "examples": len(data), **score._asdict()}))
    else:
        accuracy = "" if score.accuracy is None else f", accuracy {score.accuracy:.2%}"
        loss = f"loss {score.loss:.4f}{run.smoothing}"
        print(f"{recipe.name} on {data.name} ({len(data):,}): {loss}{accuracy}")
    return 0


def list_recipes(_: argparse.Namespace) -> int:
    """Print the recipes with their data and hyper-parameters."""
    for recipe in RECIPES.values():
        print(f"{recipe.name}\n    {recipe.summary}")
        print(f"    {recipe.data}: {hyper_parameters(recipe)}")
        if recipe.digits:
            print(f"    digits: {hyper_parameters(recipe.on('digits'))}")
    return 0


class _Commands(Form):
    """The form of `scratchnn --help`: above the first command of each group stands a title."""

    titles: ClassVar = {
        "train": "train and evaluate:",
        "show": "look at what was learned:",
        "export": "to other libraries, and back:",
        "recipes": "models and data:",
    }

    def _format_action(self, action: argparse.Action) -> str:
        title = self.titles.get(action.dest)
        text = super()._format_action(action)
        return f"\n  {title}\n{text}" if title else text


EXAMPLES = """examples:
  scratchnn train mlp --out runs/mlp
  scratchnn show runs/mlp
  scratchnn predict runs/mlp picture.png

`scratchnn COMMAND --help` has the options of a command.
"""


def _parser() -> argparse.ArgumentParser:
    words = "Train and look at neural networks made from scratch, in NumPy."
    parser = Parser("scratchnn", description=words, epilog=EXAMPLES, formatter_class=_Commands)
    parser.add_argument("--version", action="version", version=f"scratchnn {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_train(commands)
    _add_evaluate(commands)
    add_show(commands)
    add_report(commands)
    add_compare(commands)
    add_predict(commands)
    add_export(commands)
    add_import(commands)
    sub = commands.add_parser("recipes", help="list the reference models")
    sub.set_defaults(command=list_recipes, debug=False)
    add_data(commands)
    return parser


def _add_evaluate(commands: Any) -> None:
    sub = commands.add_parser("evaluate", help="evaluate saved parameters on test data")
    sub.add_argument("parameters", metavar="PATH", help="a folder of `train --out`, or its .npz")
    words = "default: what they were trained on"
    sub.add_argument("--data", type=data_name, metavar="DATA", help=words)
    words = "the folder of the data; default: the variable SCRATCHNN_DATA"
    sub.add_argument("--data-dir", metavar="DIR", help=words)
    sub.add_argument("--json", action="store_true", help="print the result as JSON")
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=evaluate_saved)
