"""The `scratchnn` command: train, evaluate, recipes, data.

Exit status: 0 done, 1 training failed, 2 usage, 3 data, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from scratchnn import __version__, distributed, plots
from scratchnn import train as training
from scratchnn.data import DataError
from scratchnn.data.datasets import LINE_B, LINE_W, is_here
from scratchnn.distributed.launch import together, world
from scratchnn.extras import MissingExtraError, install, need
from scratchnn.run import checkpoint, recipes, watch
from scratchnn.run.arguments import (
    Parser,
    add_recipe_arguments,
    data_name,
    positive_int,
    recipe_for,
)
from scratchnn.run.data_command import add_data
from scratchnn.run.recipes import RECIPES, Recipe, Run
from scratchnn.train import History

Stop: TypeAlias = KeyboardInterrupt | FloatingPointError  # what may end a training too early


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, on every rank where mpiexec started it, and return its exit status.

    Options  argv   the arguments; default: those of the process
    """

    def command() -> int:
        arguments = _parser().parse_args(argv)
        return run_command(arguments.command, arguments, program="scratchnn")

    return together(command)


def run_command(command: Any, arguments: argparse.Namespace, *, program: str) -> int:
    """Run a command and return its exit status. Errors become one line on standard error.

    Options  command     a function of the arguments that returns an exit status
             arguments   as parsed; with .debug, errors are raised
             program     the name that the line begins with
    """
    try:
        return int(command(arguments))
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if arguments.debug:
            raise
        print(f"{program}: {_in_words(error)}", file=sys.stderr)
        return _status(error)


def _status(error: Exception) -> int:
    if isinstance(error, (DataError, OSError)):
        return 3
    return 2 if isinstance(error, (ValueError, TypeError, MissingExtraError)) else 1


def _in_words(error: Exception) -> str:
    expected = (DataError, OSError, ValueError, TypeError, MissingExtraError, FloatingPointError)
    if isinstance(error, expected):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


def train(arguments: argparse.Namespace) -> int:
    """Train a recipe, report each epoch, save the result."""
    recipe = recipe_for(arguments)
    note = sys.stderr if arguments.json else sys.stdout
    if arguments.live and not arguments.out:
        raise ValueError("--live goes with --out DIR: it draws DIR/curves.png after each epoch")
    ranks = world()
    if ranks.rank:  # the first alone writes
        arguments.out = arguments.live = arguments.tensorboard = None
    if arguments.out:
        Path(arguments.out).mkdir(parents=True, exist_ok=True)
        _check_plots()
    with threads(arguments.threads or ranks.threads()):
        run = recipes.prepare(
            recipe,
            data_dir=arguments.data_dir,
            seed=arguments.seed,
            dtype=arguments.dtype,
            streamed=arguments.stream,
        )
        history, stopped = _fit(run, arguments, note)
    return _end(run, arguments, history, stopped, note)


def _end(
    run: Run, arguments: argparse.Namespace, history: History, stopped: Stop | None, note: Any
) -> int:
    """Save and report the result, and return the exit status."""
    result = {
        **_settings(run, arguments),
        "interrupted": isinstance(stopped, KeyboardInterrupt),
        "diverged": isinstance(stopped, FloatingPointError),
        "history": history.as_dicts(),
    }
    if arguments.out:
        _save(arguments.out, run, history, result, note)
    if isinstance(stopped, FloatingPointError):
        raise stopped
    if stopped:
        whole = f"{len(history.epochs)} whole epochs; the parameters are those reached since"
        print(f"interrupted after {whole}", file=sys.stderr)
    if run.recipe.data == "line":
        print(_describe_line(run), file=note)
    if arguments.json:
        print(json.dumps(result, allow_nan=False))
    return 130 if stopped else 0


def evaluate_saved(arguments: argparse.Namespace) -> int:
    """Evaluate saved parameters on a data set's test part."""
    path = Path(arguments.parameters)
    parameters, saved = checkpoint.load(path / "parameters.npz" if path.is_dir() else path)
    if saved.get("recipe") not in RECIPES or not is_here(arguments.data or saved.get("data")):
        raise DataError(
            f"{path}: expected parameters saved by `scratchnn train`, on data that are here"
        )
    recipe = recipes.get(saved["recipe"]).on(arguments.data or saved["data"])
    train, test = recipes.load_data(recipe, arguments.data_dir)
    data = test or train
    score = distributed.evaluate(parameters, data, recipe.objective, ranks=world())
    if arguments.json:
        print(json.dumps({"data": data.name, "examples": len(data), **score._asdict()}))
    else:
        accuracy = "" if score.accuracy is None else f", accuracy {score.accuracy:.2%}"
        print(f"{recipe.name} on {data.name} ({len(data):,}): loss {score.loss:.4f}{accuracy}")
    return 0


def list_recipes(_: argparse.Namespace) -> int:
    """Print the recipes with their data and hyper-parameters."""
    for recipe in RECIPES.values():
        print(f"{recipe.name}\n    {recipe.summary}")
        print(f"    {recipe.data}: {_hyper_parameters(recipe)}")
        if recipe.digits:
            print(f"    digits: {_hyper_parameters(recipe.on('digits'))}")
    return 0


def describe(run: Run) -> str:
    """Return a line that says what will be trained."""
    ranks = f", {world().size} ranks" if world().size > 1 else ""
    return f"{_title(run)}: {run.parameters}; {_hyper_parameters(run.recipe)}{ranks}"


def _parser() -> argparse.ArgumentParser:
    parser = Parser("scratchnn", description="Softmax to backpropagation, in NumPy.")
    parser.add_argument("--version", action="version", version=f"scratchnn {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_evaluate(commands)
    sub = commands.add_parser("recipes", help="list the reference models")
    sub.set_defaults(command=list_recipes, debug=False)
    add_data(commands)
    return parser


def _add_train(commands: Any) -> None:
    sub = commands.add_parser("train", help="train a reference model")
    add_recipe_arguments(sub)
    words = "the precision of parameters and inputs; default: float32"
    sub.add_argument("--dtype", choices=("float32", "float64"), default="float32", help=words)
    words = "show the mean loss of every K batches; default: only a line per epoch"
    sub.add_argument("--log-every", type=positive_int, metavar="K", help=words)
    sub.add_argument(
        "--live", action="store_true", help="draw the curves in --out's folder after each epoch"
    )
    sub.add_argument("--tensorboard", metavar="DIR", help="write scalars for TensorBoard into it")
    sub.add_argument(
        "--stream", action="store_true", help="read the data from their files, batch by batch"
    )
    sub.add_argument(
        "--json", action="store_true", help="print the result as JSON, and nothing else"
    )
    sub.set_defaults(command=train)


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


def _fit(run: Run, arguments: argparse.Namespace, note: Any) -> tuple[History, Stop | None]:
    """Train with a bar and a line per epoch; return the history, and what ended it too early."""
    live = watch.LivePlot(arguments.out, _title(run)) if arguments.live else None
    board = watch.TensorBoard(arguments.tensorboard) if arguments.tensorboard else None
    log = watch.BatchLog(arguments.log_every, note) if arguments.log_every else None
    bar, history = watch.progress_bar(), History()
    print(describe(run), watch.HEADER, sep="\n", file=note)
    ranks = world()
    fit = partial(distributed.fit, ranks=ranks) if ranks.size > 1 else training.fit
    try:
        fit(
            run.parameters,
            run.train,
            run.test,
            optimizer=run.optimizer,
            objective=run.recipe.objective,
            epochs=run.recipe.epochs,
            batch_size=run.recipe.batch_size,
            rng=run.rng,
            history=history,
            on_batch=watch.watchers(bar, log) if bar or log else None,
            on_epoch=watch.watchers(watch.epoch_log(note), live, board),
        )
    except (KeyboardInterrupt, FloatingPointError) as stopped:
        return history, stopped
    finally:
        for opened in (bar, board):
            if opened:
                opened.close()
    return history, None


def _title(run: Run) -> str:
    return f"{run.recipe.name} on {run.recipe.data}"


def _save(out: str, run: Run, history: History, result: dict[str, Any], note: Any) -> None:
    folder = Path(out)
    checkpoint.save(
        folder / "parameters.npz", run.parameters, recipe=run.recipe.name, data=run.recipe.data
    )
    (folder / "history.json").write_text(json.dumps(result, indent=1) + "\n")
    saved = ["parameters.npz", "history.json"]
    plots.remove(folder, "curves")  # of another run, if none are drawn now
    if history.epochs and _has_plots():
        figure = plots.curves(history, _title(run))
        saved += [path.name for path in plots.save(figure, folder, "curves")]
    print(f"saved in {folder}: {', '.join(saved)}", file=note)


def _settings(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    recipe = run.recipe
    return {
        "recipe": recipe.name,
        "data": recipe.data,
        "sizes": list(run.parameters.sizes),
        "activation": recipe.activation,
        "dtype": arguments.dtype,
        "seed": arguments.seed,
        "learning_rate": recipe.learning_rate,
        "momentum": recipe.momentum,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "ranks": world().size,
        "scratchnn": __version__,
        "numpy": np.__version__,
    }


def _hyper_parameters(recipe: Recipe) -> str:
    momentum = f", momentum {recipe.momentum}" if recipe.momentum else ""
    return (
        f"learning rate {recipe.learning_rate}{momentum}, "
        f"batch {recipe.batch_size}, {recipe.epochs} epochs"
    )


def _describe_line(run: Run) -> str:
    """Say how close the estimates of the line's w and b came."""
    ((W, b),) = run.parameters.views
    truth = (*LINE_W, LINE_B)
    return "\n".join(
        f"{name} = {estimate:.4f} (true {true}, error {estimate - true:+.4f})"
        for name, estimate, true in zip(("w_1", "w_2", "b"), [*W[:, 0], b[0]], truth, strict=True)
    )


def threads(number: int | None) -> AbstractContextManager[Any]:
    """Limit NumPy's threads in a block.

    Options  number   how many; None: no limit
    """
    if number is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = need("threadpoolctl", "cli").threadpool_limits(number)
    return limits


def _has_plots() -> bool:
    try:
        need("matplotlib", "plots")
    except MissingExtraError:
        return False
    return True


def _check_plots() -> None:
    if not _has_plots():
        print(
            f"scratchnn: no curves will be drawn, matplotlib is missing: {install('plots')}",
            file=sys.stderr,
        )
