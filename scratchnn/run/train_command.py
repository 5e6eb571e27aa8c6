"""`scratchnn train`: train a recipe, keep the run in a folder, go on with it, or repeat it."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn import __version__, distributed, plots
from scratchnn import train as training
from scratchnn.data.datasets import LINE_B, LINE_W
from scratchnn.distributed.launch import world
from scratchnn.extras import MissingExtraError, install, need, need_all
from scratchnn.history import Epoch, History
from scratchnn.run import files, recipes, record, signals, terminal, watch
from scratchnn.run.arguments import (
    add_recipe_arguments,
    positive_int,
    recipe_for,
    share,
    steps_or_epoch,
)
from scratchnn.run.folder import RunFolder
from scratchnn.run.history import deciding_loss, of_epoch
from scratchnn.run.keeping import BEST
from scratchnn.run.recipes import Recipe, Run
from scratchnn.run.terminal import Writer, warn
from scratchnn.threads import fitting
from scratchnn.train import Checkpoint

# What decides the numbers of a run: run.json has these, and --config and --resume take them.
SETTINGS = (
    *("recipe", "data", "data_dir", "epochs", "batch_size", "learning_rate", "momentum"),
    *("activation", "seed", "dtype", "stream", "threads", "validation"),
)
DEFAULTS = {"seed": 1, "dtype": "float32", "stream": False}
FREE = ("epochs", "data_dir", "threads")  # what --resume lets be changed


def add_train(commands: Any) -> None:
    """Add the command `train`.

    Options  commands   the parsers of all commands
    """
    sub = commands.add_parser("train", help="train a reference model")
    add_recipe_arguments(sub, required=False)
    words = "the precision of parameters and inputs; default: float32"
    sub.add_argument("--dtype", choices=("float32", "float64"), help=words)
    words = "split this share of the training data off, as 0.1, to choose the best epoch by"
    sub.add_argument("--validation", type=share, metavar="X", help=words)
    words = "go on with the run in this folder where it stopped, bit for bit"
    sub.add_argument("--resume", metavar="RUN", help=words)
    words = "repeat a run: take the settings of its run.json, but for those given here"
    sub.add_argument("--config", metavar="RUN/run.json", help=words)
    sub.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    words = "save a checkpoint every N steps, or after each epoch; default: after an epoch, "
    words += "at most once a second"
    sub.add_argument("--checkpoint-every", type=steps_or_epoch, metavar="N|epoch", help=words)
    words = "show the mean loss of every K batches; default: only a line per epoch"
    sub.add_argument("--log-every", type=positive_int, metavar="K", help=words)
    words = "draw the curves in the run's folder after each epoch"
    sub.add_argument("--live", action="store_true", help=words)
    words = "keep the norm of each layer's gradient after every epoch, for `scratchnn report`"
    sub.add_argument("--gradients", action="store_true", help=words)
    sub.add_argument("--tensorboard", metavar="DIR", help="write scalars for TensorBoard into it")
    words = "read the data from their files, batch by batch"
    sub.add_argument("--stream", action="store_true", help=words)
    words = "print the result as JSON, and nothing else"
    sub.add_argument("--json", action="store_true", help=words)
    sub.set_defaults(command=train, usage_error=sub.error, seed=None, stream=None)


def train(arguments: argparse.Namespace) -> int:
    """Train a recipe, report each epoch, keep the run."""
    ranks = world()
    _check_usage(arguments)
    _settle(arguments)
    _check_extras(arguments)
    recipe = recipe_for(arguments)
    note = terminal.Lines(sys.stderr if arguments.json else sys.stdout)
    out = arguments.resume or arguments.out
    if ranks.rank:  # the first alone writes
        out = arguments.live = arguments.tensorboard = None
    folder = _folder(out, arguments) if out else None
    try:
        run = recipes.prepare(
            recipe,
            data_dir=arguments.data_dir,
            seed=arguments.seed,
            dtype=arguments.dtype,
            streamed=arguments.stream,
            validation=arguments.validation,
        )
        if folder:
            _describe_in(folder, run, arguments)
        history, stopped = _fit(run, arguments, note, folder)
    finally:
        if folder:
            folder.discard()
    return _end(run, arguments, history, stopped, note, folder)


def _check_usage(arguments: argparse.Namespace) -> None:
    """Raise where options do not go together."""
    if not (arguments.recipe or arguments.resume or arguments.config):
        arguments.usage_error("the following arguments are required: RECIPE, --resume or --config")
    if arguments.live and not (arguments.out or arguments.resume):
        raise ValueError("--live goes with --out DIR: it draws DIR/curves.png after each epoch")
    if arguments.gradients and not (arguments.out or arguments.resume):
        raise ValueError("--gradients goes with --out DIR: it writes DIR/gradients.jsonl")
    for name in ("out", "resume", "config"):
        if getattr(arguments, name) == "":
            raise ValueError(f"--{name} must name a folder, got ''")
    if not arguments.resume:
        return
    if Path(arguments.resume).name == record.RUN:  # its run.json
        arguments.resume = str(Path(arguments.resume).parent)
    fixed = [name for name in SETTINGS if name not in FREE] + ["config", "out", "overwrite"]
    unset = (None, False)  # and not 0, which is equal to False
    given = [name for name in fixed if not any(getattr(arguments, name) is x for x in unset)]
    if given:
        names = ", ".join("RECIPE" if name == "recipe" else _option(name) for name in given)
        raise ValueError(
            f"--resume goes on with the run as it was: {names} cannot be given "
            f"(but {', '.join(map(_option, FREE))}, and what is shown)"
        )


def _check_extras(arguments: argparse.Namespace) -> None:
    """Raise one error for all packages that the options need and that are not installed."""
    wanted = {
        "tensorboardX": ("tensorboard", arguments.tensorboard),
        "matplotlib": ("plots", arguments.live),
    }
    need_all({package: extra for package, (extra, given) in wanted.items() if given})


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _settle(arguments: argparse.Namespace) -> None:
    """Fill in the settings that were not given: those of a run that goes on, or is repeated.

    Raises   ValueError for fewer epochs than the run has by now
    """
    source = arguments.resume or arguments.config
    settings: dict[str, Any] = dict(DEFAULTS)
    if source:
        ranks = world()  # the first has the folder
        settings = ranks.same(_settings_of(Path(source), arguments) if not ranks.rank else {})
    for name in SETTINGS:
        if getattr(arguments, name) is None:
            setattr(arguments, name, settings.get(name))
    reached = settings.get("reached", 0)
    if arguments.resume and arguments.epochs < reached:
        raise ValueError(
            f"--epochs must be at least {reached}, which {source} has by now, "
            f"got {arguments.epochs}"
        )


def _settings_of(source: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a run; of one that goes on, how many epochs it reached, too."""
    settings = record.settings(source, SETTINGS)
    if arguments.resume:
        settings["reached"] = len(record.read(source)["history"])
    return settings


def _folder(out: str, arguments: argparse.Namespace) -> RunFolder:
    """Return the run's folder, found writable and free, before any work is done."""
    _check_plots()
    return RunFolder(
        out,
        every=arguments.checkpoint_every,
        log_every=arguments.log_every,
        overwrite=arguments.overwrite,
        goes_on=bool(arguments.resume),
    )


def _describe_in(folder: RunFolder, run: Run, arguments: argparse.Namespace) -> None:
    """Give the folder what its files say of the run.

    Raises   DataError for other data than those of the run that goes on
    """
    data = {"train": record.fingerprint(run.train), "test": record.fingerprint(run.test)}
    if run.validation:
        data["validation"] = record.fingerprint(run.validation)
    if folder.goes_on:
        record.check_data(folder.path, data)
    settings = _settings(run, arguments)
    folder.facts = {"settings": settings, "data": data}
    names = ("recipe", "data", "activation")
    said = {name: settings[name] for name in names}
    folder.description = {**said, "transform": run.train.transform}


def _fit(
    run: Run, arguments: argparse.Namespace, note: Writer, folder: RunFolder | None
) -> tuple[History, Exception | signals.Stopped | None]:
    """Train with a bar and a line per epoch; return the history, and what ended it too early."""
    history = History()
    live = watch.LivePlot(folder.path, _title(run), history) if arguments.live and folder else None
    board = watch.TensorBoard(arguments.tensorboard) if arguments.tensorboard else None
    log = watch.BatchLog(arguments.log_every, note) if arguments.log_every else None
    bar = watch.progress_bar()
    ranks = world()
    threads = arguments.threads or ranks.threads()
    header = watch.VALIDATION_HEADER if run.validation else watch.HEADER
    print(describe(run, threads), header, sep="\n", file=note, flush=True)
    fit = partial(distributed.fit, ranks=ranks) if ranks.size > 1 else training.fit
    keep: Checkpoint = folder or signals.stops
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
            validation=run.validation,
            history=history,
            on_batch=watch.watchers(watch.tolerant(bar), log) if bar or log else None,
            on_epoch=watch.watchers(
                watch.epoch_log(note),
                watch.tolerant(live),
                watch.tolerant(board),
                watch.tolerant(_norms(run, folder) if arguments.gradients else None),
                watch.check_learned(run),
            ),
            checkpoint=keep,
            threads=threads,
        )
    except (signals.Stopped, Exception) as stopped:
        return history, stopped
    finally:
        for opened in (bar, board):
            if opened:
                watch.close(opened)
    return history, None


def _norms(run: Run, folder: RunFolder | None) -> watch.GradientNorms | None:
    """Return what keeps the norms of the gradients in a run's folder."""
    if folder is None:
        return None
    return watch.GradientNorms(run.parameters, run.train, run.recipe.objective, folder.path)


def _end(
    run: Run,
    arguments: argparse.Namespace,
    history: History,
    stopped: Exception | signals.Stopped | None,
    note: Writer,
    folder: RunFolder | None,
) -> int:
    """Report the result, which is saved by now, and return the exit status.

    Raises   what stopped the training, but for a signal
    """
    drawn = _draw(folder, history, _title(run)) if folder and folder.begun else []
    if isinstance(stopped, signals.Stopped):
        kept = f"go on: scratchnn train --resume {folder.path}" if folder else "nothing is kept"
        warn(f"{stopped} after {len(history.epochs)} whole epochs; {kept}")
    elif stopped:
        if folder and folder.begun and not isinstance(stopped, FloatingPointError):
            warn(f"the run stopped; go on: scratchnn train --resume {folder.path}")
        raise stopped
    if run.validation and history.epochs:
        print(_describe_best(min(history.epochs, key=deciding_loss), folder), file=note)
    if folder:
        saved = [path.name for path in folder.present()] + drawn
        print(terminal.escaped(f"saved in {folder.path}: {', '.join(saved)}"), file=note)
    if run.recipe.data == "line":
        print(_describe_line(run), file=note)
    if arguments.json:
        result = {
            **_settings(run, arguments),
            "interrupted": isinstance(stopped, signals.Stopped),
            "diverged": False,
            "history": [of_epoch(row) for row in history.epochs],
        }
        with files.naming(Path("standard output")):
            print(json.dumps(result, allow_nan=False), flush=True)
    return stopped.status if isinstance(stopped, signals.Stopped) else 0


def _draw(folder: RunFolder, history: History, title: str) -> list[str]:
    """Draw the curves; return the names of the files. A failure costs a warning."""
    if not (history.epochs and _has_plots()):
        return []
    try:
        return [p.name for p in plots.save(plots.curves(history, title), folder.path, "curves")]
    except Exception as error:
        warn(f"the curves could not be drawn: {error}")
        return []


def describe(run: Run, threads: int | None = None) -> str:
    """Return a line that says what will be trained, and with how many threads if that is set."""
    ranks = f", {world().size} ranks" if world().size > 1 else ""
    number = threads or fitting(run.parameters.sizes, run.recipe.batch_size)
    words = f", {number} thread{'s' if number > 1 else ''}" if number else ""
    return f"{_title(run)}: {run.parameters}; {hyper_parameters(run.recipe)}{ranks}{words}"


def hyper_parameters(recipe: Recipe) -> str:
    """Return learning rate, momentum, batch size and epochs in words."""
    momentum = f", momentum {recipe.momentum}" if recipe.momentum else ""
    return (
        f"learning rate {recipe.learning_rate}{momentum}, "
        f"batch {recipe.batch_size}, {recipe.epochs} epochs"
    )


def _title(run: Run) -> str:
    return f"{run.recipe.name} on {run.recipe.data}"


def _settings(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    recipe, folder = run.recipe, arguments.data_dir
    return {
        "recipe": recipe.name,
        "data": recipe.data,
        "data_dir": str(Path(folder).expanduser().resolve()) if folder else None,
        "sizes": list(run.parameters.sizes),
        "activation": recipe.activation,
        "dtype": arguments.dtype,
        "seed": arguments.seed,
        "learning_rate": recipe.learning_rate,
        "momentum": recipe.momentum,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "stream": arguments.stream,
        "threads": arguments.threads,
        "validation": arguments.validation,
        "ranks": world().size,
        "scratchnn": __version__,
        "numpy": np.__version__,
    }


def _describe_best(best: Epoch, folder: RunFolder | None) -> str:
    """Say which epoch the validation data choose, and what it reaches on the test data."""
    scores = [
        f"{part} loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.2%}")
        for part, loss, accuracy in (
            ("validation", best.validation_loss, best.validation_accuracy),
            ("test", best.test_loss, best.test_accuracy),
        )
        if loss is not None
    ]
    kept = f"; its parameters: {folder.file(BEST)}" if folder else ""
    return terminal.escaped(f"best epoch by validation: {best.epoch}, {'; '.join(scores)}{kept}")


def _describe_line(run: Run) -> str:
    """Say how close the estimates of the line's w and b came."""
    ((W, b),) = run.parameters.views
    truth = (*LINE_W, LINE_B)
    return "\n".join(
        f"{name} = {estimate:.4f} (true {true}, error {estimate - true:+.4f})"
        for name, estimate, true in zip(("w_1", "w_2", "b"), [*W[:, 0], b[0]], truth, strict=True)
    )


def _has_plots() -> bool:
    try:
        need("matplotlib", "plots")
    except MissingExtraError:
        return False
    return True


def _check_plots() -> None:
    if not _has_plots():
        warn(f"no curves will be drawn, matplotlib is not installed: {install('plots')}")
