"""The settings of a training: as given, as an earlier run had them, and as run.json gets them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn import __version__
from scratchnn.data import DataError
from scratchnn.data.datasets import is_here
from scratchnn.data.layout import FOLDERS
from scratchnn.distributed.launch import world
from scratchnn.run import record
from scratchnn.run.arguments import CHANGES, as_options
from scratchnn.run.optimizers import OF_OPTIMIZER, depends_on_epochs
from scratchnn.run.recipes import Recipe, Run
from scratchnn.run.terminal import typed, warn

# What decides the numbers of a run: run.json has these, and --config and --resume take them.
SETTINGS = (
    *("recipe", "data", "data_dir", *CHANGES),
    *("seed", "dtype", "stream", "threads", "fast", "validation"),
)
KEPT = ("checkpoint_every", "log_every", "gradients")  # and these, which change no number
DEFAULTS = {"seed": 1, "dtype": "float32", "stream": False, "fast": False, "gradients": False}
FREE = ("epochs", "schedule", "data", "data_dir", "threads")  # what --resume takes anew
OF_DATA = ("recipe", "data", "seed", "stream", "validation")  # what decides the data


def check_usage(arguments: argparse.Namespace) -> None:
    """Raise where options do not go together.

    Options  arguments   as parsed; the folder to go on in may be named by its run.json
    Raises   ValueError
    """
    if not (arguments.recipe or arguments.resume or arguments.config):
        arguments.parser.error("the following arguments are required: RECIPE, --resume or --config")
    if arguments.live and not (arguments.out or arguments.resume):
        raise ValueError("--live goes with --out DIR: it draws DIR/curves.png after each epoch")
    if arguments.gradients and not (arguments.out or arguments.resume):
        raise ValueError("--gradients goes with --out DIR: it writes DIR/gradients.jsonl")
    if arguments.checkpoint_every and not (arguments.out or arguments.resume):
        raise ValueError("--checkpoint-every goes with --out DIR: it saves checkpoints there")
    for name in ("out", "resume", "config"):
        if getattr(arguments, name) == "":
            raise ValueError(f"--{name} must name a folder, got ''")
    if not arguments.resume:
        return
    if Path(arguments.resume).name == record.RUN:  # its run.json
        arguments.resume = str(Path(arguments.resume).parent)
    fixed = [name for name in SETTINGS if name not in FREE] + ["config", "out"]
    given = [name for name in fixed if getattr(arguments, name) is not None]
    given += ["overwrite"] if arguments.overwrite else []
    if given:
        names = ", ".join("RECIPE" if name == "recipe" else _option(name) for name in given)
        raise ValueError(
            f"--resume goes on with the run as it was: {names} cannot be given "
            f"(but {', '.join(map(_option, FREE))}, and what is shown)"
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def settle(arguments: argparse.Namespace) -> None:
    """Fill in the settings that were not given: those of a run that goes on, or is repeated.

    Options  arguments   as parsed
    Raises   ValueError for fewer epochs than the run has by now, or for epochs that its schedule
             does not fit
    """
    source = arguments.resume or arguments.config
    settings: dict[str, Any] = dict(DEFAULTS)
    if source:
        ranks = world()  # the first has the folder
        settings = ranks.same(_of_folder(Path(source), arguments) if not ranks.rank else {})
    reached = settings.get("reached", 0)
    if arguments.resume and (arguments.epochs or settings["epochs"]) < reached:
        raise ValueError(
            f"--epochs must be at least {reached}, which {source} has by now, "
            f"got {arguments.epochs or settings['epochs']}"
        )
    if arguments.resume:
        _check_schedule(settings, arguments)
    if arguments.optimizer not in (None, settings.get("optimizer")):
        settings |= dict.fromkeys(OF_OPTIMIZER)  # those of another optimizer
    if arguments.recipe not in (None, settings.get("recipe")):
        settings["hidden"] = None
    for name in (*SETTINGS, *KEPT):
        if getattr(arguments, name) is None:
            setattr(arguments, name, settings.get(name))


def _check_schedule(settings: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """Raise where a run that goes on would not follow the schedule that it began with."""
    then, epochs = settings.get("schedule") or "constant", settings["epochs"]
    now, given = arguments.epochs or epochs, arguments.schedule
    if given and given != then and then == "constant":
        raise ValueError(
            f"{arguments.resume} has no schedule, and cannot get one as it goes on: "
            f"begin a new run, with --config {typed(arguments.resume)} --schedule {given} --out DIR"
        )
    if not given and now != epochs and depends_on_epochs(then):
        raise ValueError(
            f"the learning rate of {arguments.resume} falls by the {then} schedule until epoch "
            f"{epochs}: for --epochs {now}, give the schedule anew. --schedule {then} takes the "
            f"rates of {now} epochs from here on, --schedule constant the full rate"
        )


def _of_folder(source: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a run; of one that goes on, how many epochs it reached, too.

    Raises   DataError for data that are not there now, or for settings that the command would not
             take, as somebody may have edited run.json
    """
    path = source / record.RUN if source.is_dir() else source
    settings = record.settings(source, (*SETTINGS, *KEPT))
    if arguments.data:
        settings["data"] = None
        if arguments.data not in FOLDERS:
            settings["data_dir"] = None  # it has no place there
    elif not is_here(settings["data"]):
        raise DataError(
            f"{path}: the run was trained on {settings['data']}, which is not there now: say with "
            "--data where the data are"
        )
    try:
        given = vars(arguments.parser.read(_as_typed(settings)))
    except ValueError as error:
        words = "has a setting that `scratchnn train` does not take"
        raise DataError(f"{path} {words}: {error}") from error
    settings |= {name: given[name] for name in settings if given[name] is not None}
    if arguments.resume:
        settings["reached"] = record.reached(source)
    return settings


def _as_typed(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as one would type them, --name=value, and the recipe at the end."""
    options = [as_options({name: settings[name]}) for name in settings if name != "recipe"]
    typed = ["=".join(shlex.split(option)) for option in options if option]
    return [*typed, "--", str(settings["recipe"])]


def warn_of_differences(run: Run, arguments: argparse.Namespace) -> None:
    """Warn where a run is repeated elsewhere than it was made, or the data are no longer the same.

    Options  run         as prepared
             arguments   with all settings, and the run.json to repeat
    """
    then, now = record.read_record(Path(arguments.config)), of_run(run, arguments)
    here = record.environment()
    differ = record.differences({name: then["environment"].get(name) for name in here}, here)
    if all(then["settings"].get(name) == now[name] for name in OF_DATA):
        differ += record.data_differences(then.get("data", {}), record.of_data(*run.parts))
    if differ:
        words = "the numbers may differ from those of then"
        warn(f"{arguments.config} was made with {'; '.join(differ)}: {words}")


def of_run(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a run, and what else decides its numbers, as JSON values.

    Options  run         as prepared
             arguments   with all settings, as `settle` fills them in
    """
    recipe, folder = run.recipe, arguments.data_dir
    return {
        "recipe": recipe.name,
        "data": recipe.data,
        "data_dir": str(Path(folder).expanduser().resolve()) if folder else None,
        "sizes": list(run.parameters.sizes),
        **{name: getattr(recipe, name) for name in CHANGES},
        "dtype": arguments.dtype,
        "seed": arguments.seed,
        "stream": arguments.stream,
        "threads": arguments.threads,
        "fast": arguments.fast,
        "validation": arguments.validation,
        **{name: getattr(arguments, name) for name in KEPT},
        "ranks": world().size,
        "scratchnn": __version__,
        "numpy": np.__version__,
    }


def hyper_parameters(recipe: Recipe) -> str:
    """Return optimizer, learning rate, batch size, epochs and what else is set, in words.

    Options  recipe   has them
    """
    smoothing, decay = recipe.label_smoothing, recipe.weight_decay
    said = [
        recipe.optimizer if recipe.optimizer != "sgd" else "",
        f"learning rate {recipe.learning_rate}",
        f"{recipe.schedule} schedule" if recipe.schedule != "constant" else "",
        f"warm-up {recipe.warm_up:g}" if recipe.warm_up else "",
        f"momentum {recipe.momentum}" if recipe.momentum else "",
        "nesterov" if recipe.nesterov else "",
        f"dampening {recipe.dampening}" if recipe.dampening else "",
        f"weight decay {decay}" if decay is not None else "",
        f"label smoothing {smoothing}" if smoothing else "",
        f"batch {recipe.batch_size}, {recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}",
    ]
    return ", ".join(filter(None, said))
