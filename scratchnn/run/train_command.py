"""`scratchnn train`: train a recipe, keep the run in a folder, go on with it, or repeat it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from scratchnn import distributed, fast, plots
from scratchnn import train as training
from scratchnn.data import files
from scratchnn.data.datasets import LINE_B, LINE_W
from scratchnn.distributed.launch import world
from scratchnn.extras import MissingExtraError, install, need, need_all
from scratchnn.history import History
from scratchnn.run import recipes, settings, signals, terminal, watch
from scratchnn.run.arguments import (
    add_recipe_arguments,
    check_activation,
    positive_int,
    recipe_for,
    share,
    steps_or_epoch,
)
from scratchnn.run.folder import RunFolder
from scratchnn.run.history import best_by_validation, length, of_epoch
from scratchnn.run.keeping import BEST
from scratchnn.run.recipes import Run
from scratchnn.run.terminal import Writer, warn
from scratchnn.threads import all_threads, fitting
from scratchnn.train import Checkpoint

USAGE = """scratchnn train RECIPE [options]
       scratchnn train --resume RUN [options]
       scratchnn train --config RUN/run.json [options]"""
DESCRIPTION = """Train a reference model, on data that come with scratchnn or on others.
`scratchnn recipes` lists the models. Loss and accuracy are printed after every epoch."""
EXAMPLES = """examples:
  scratchnn train mlp --out runs/mlp
  scratchnn train mlp --hidden 300,100 --optimizer adam --schedule cosine --warm-up 1
  scratchnn train --resume runs/mlp --epochs 40
"""


def add_train(commands: Any) -> None:
    """Add the command `train`.

    Options  commands   the parsers of all commands
    """
    sub = commands.add_parser(
        "train",
        help="train a reference model",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    groups = add_recipe_arguments(sub, required=False)
    words = "split this share of the training data off, as 0.1, to choose the best epoch by"
    groups.data.add_argument("--validation", type=share, metavar="X", help=words)
    words = "read the data from their files, batch by batch; default: no"
    groups.data.add_argument("--stream", action=argparse.BooleanOptionalAction, help=words)
    words = "the precision of parameters and inputs, float32 or float64; default: float32"
    types = ("float32", "float64")
    groups.network.add_argument("--dtype", choices=types, metavar="TYPE", help=words)
    _add_folder(groups.folder)
    words = "show the mean loss of every K batches; default: only a line per epoch"
    groups.output.add_argument("--log-every", type=positive_int, metavar="K", help=words)
    words = "write scalars for TensorBoard into this folder"
    groups.output.add_argument("--tensorboard", metavar="DIR", help=words)
    words = "print the result as JSON, and nothing else"
    groups.output.add_argument("--json", action="store_true", help=words)
    words = "take the steps through SciPy's BLAS, which adds up momentum faster; for sgd; "
    words += "default: no"
    groups.output.add_argument("--fast", action=argparse.BooleanOptionalAction, help=words)
    sub.set_defaults(command=train, parser=sub, seed=None)


def _add_folder(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    words = "go on with the run in this folder where it stopped, bit for bit"
    group.add_argument("--resume", metavar="RUN", help=words)
    words = "repeat a run: take the settings of its run.json, but for those given here"
    group.add_argument("--config", metavar="RUN/run.json", help=words)
    words = "save a checkpoint every N steps, or after each epoch; default: after an epoch, "
    words += "at most once a second"
    group.add_argument("--checkpoint-every", type=steps_or_epoch, metavar="N|epoch", help=words)
    words = "draw the curves in the run's folder after each epoch"
    group.add_argument("--live", action="store_true", help=words)
    words = "keep the norm of each layer's gradient after every epoch, for `scratchnn report`; "
    words += "default: no"
    group.add_argument("--gradients", action=argparse.BooleanOptionalAction, help=words)


def train(arguments: argparse.Namespace) -> int:
    """Train a recipe, report each epoch, keep the run."""
    ranks = world()
    settings.check_usage(arguments)
    activation = arguments.activation  # as typed
    settings.settle(arguments)
    _check_extras(arguments)
    recipe = recipe_for(arguments)
    check_activation(activation, recipe)
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
        if arguments.config and not ranks.rank:
            settings.warn_of_differences(run, arguments)
        arguments.threads = arguments.threads or ranks.threads() or _threads(run)
        if folder:
            _describe_in(folder, run, arguments)
        history, stopped = _fit(run, arguments, note, folder)
    finally:
        if folder:
            folder.discard()
    return _end(run, arguments, history, stopped, note, folder)


def _check_extras(arguments: argparse.Namespace) -> None:
    """Raise one error for all packages that the options need and that are not installed."""
    wanted = {
        "tensorboardX": ("tensorboard", arguments.tensorboard),
        "matplotlib": ("plots", arguments.live),
    }
    need_all({package: extra for package, (extra, given) in wanted.items() if given})


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


def _threads(run: Run) -> int | None:
    """Choose a number of threads; None where nobody can tell how many NumPy takes."""
    sizes, batch_size = run.parameters.sizes, run.recipe.batch_size
    return fitting(sizes, batch_size, len(run.train)) or all_threads()


def _describe_in(folder: RunFolder, run: Run, arguments: argparse.Namespace) -> None:
    """Give the folder what its files say of the run."""
    facts = settings.of_run(run, arguments)
    folder.facts = {"settings": facts}
    names = ("recipe", "data", "activation", "label_smoothing")
    said = {name: facts[name] for name in names}
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
    fit, words = _way(run, arguments)
    first_lines = "\n".join([describe(run, arguments.threads), *words])
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
            checkpoint=partial(_announced, folder or signals.stops, first_lines, run, note),
            threads=arguments.threads,
        )
    except (signals.Stopped, Exception) as stopped:
        return history, stopped
    finally:
        for opened in (bar, board):
            if opened:
                watch.close(opened)
    return history, None


def _way(run: Run, arguments: argparse.Namespace) -> tuple[Callable[..., History], list[str]]:
    """Return the `fit` that trains, and a line on what --fast came to."""
    ranks = world()
    alone = ranks.size == 1
    fit = training.fit if alone else partial(distributed.fit, ranks=ranks)
    if not arguments.fast:
        return fit, []
    ranked = "the ranks add up their gradients, which it never has"
    against = fast.reason_against(run.parameters, run.optimizer) if alone else ranked
    if against:
        return fit, [f"plain steps in place of --fast: {against}"]
    return partial(fit, blas="scipy"), ["fast steps (SciPy)"]


@contextmanager
def _announced(
    keep: Checkpoint, words: str, run: Run, note: Writer, *training: Any
) -> Generator[Callable[[], None]]:
    """Print the first lines when the run is kept: a pipe that ends there leaves it whole."""
    with keep(*training) as kept:
        _, _, history, _ = training  # with what the run has by now
        header = watch.VALIDATION_HEADER if run.validation else watch.HEADER
        if len(history.epochs) >= run.recipe.epochs:
            header = f"already done, {length(history)}: raise --epochs to train it for longer"
        print(words, header, sep="\n", file=note, flush=True)
        yield kept


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
    kept = "nothing is kept"
    if folder:
        kept = f"go on: scratchnn train --resume {terminal.typed(folder.path)}"
    if isinstance(stopped, signals.Stopped):
        warn(f"{stopped} after {length(history, 'whole ')}; {kept}")
    elif stopped:
        if folder and folder.begun and not isinstance(stopped, FloatingPointError):
            warn(f"the run stopped; {kept}")
        raise stopped
    if best := best_by_validation(history):
        kept = f"; its parameters: {folder.file(BEST)}" if folder else ""
        print(terminal.escaped(best + kept), file=note)
    if folder:
        saved = [path.name for path in folder.present()] + drawn
        print(terminal.escaped(f"saved in {folder.path}: {', '.join(saved)}"), file=note)
    if run.recipe.data == "line" and not run.recipe.hidden:
        print(_describe_line(run), file=note)
    if arguments.json:
        result = {
            **settings.of_run(run, arguments),
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
    words = f", {threads} thread{'s' if threads > 1 else ''}" if threads else ""
    return f"{_title(run)}: {run.parameters}; {settings.hyper_parameters(run.recipe)}{ranks}{words}"


def _title(run: Run) -> str:
    return f"{run.recipe.name} on {run.recipe.data}"


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
