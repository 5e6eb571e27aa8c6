"""The three ways of `python -m parity train`: lockstep, free run, accuracies over paired seeds.

A mode trains, and yields what it has so far with words for what is new. How its result is shown,
and what --out, --json and --html save, stands at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch

from parity import devices, report
from parity.report import Report, Section
from parity.training import free_run, lockstep, paired
from parity.training.report import HEADER, Lockstep
from scratchnn import plots
from scratchnn.extras import MissingExtraError
from scratchnn.run import recipes, train_command
from scratchnn.run.arguments import as_options, check_activation, recipe_for
from scratchnn.run.recipes import Recipe, Run

SEEDS = 5
UNSAID = ("command", "debug", "out", "data_dir", "json", "html")  # not among a result's settings

Facts: TypeAlias = Mapping[str, object]
Arguments: TypeAlias = argparse.Namespace
Result: TypeAlias = Lockstep | free_run.FreeRun | paired.Paired
# What a training yields: the result so far, or None, and words for what is new
News: TypeAlias = Iterator[tuple[Result | None, str]]


class Mode(NamedTuple):
    """One way to compare two trainings, and how its results are shown.

    train    takes the arguments, the device and the precision of θ
    file     the name of its files in the folder --out
    title    what a report's title says of it
    dtypes   the precisions of θ that it has
    """

    train: Callable[[Arguments, torch.device, str], News]
    file: str
    title: str
    dtypes: tuple[str, ...] = ("float32", "float64")


def run(arguments: Arguments) -> int:
    """Train a recipe in both precisions, or in one, and report.

    Raises   ValueError for an option that the mode would leave aside
    """
    for option, its in (("judged_as", "lockstep"), ("seeds", "accuracy")):
        if getattr(arguments, option) and arguments.mode != its:
            words = f"--{option.replace('_', '-')} goes with --mode {its}"
            raise ValueError(f"{words}, got --mode {arguments.mode}")
    recipe = recipe_for(arguments)  # raises before anything is printed
    check_activation(arguments.activation, recipe)
    mode, device = MODES[arguments.mode], devices.prepare(arguments.device)
    results: dict[str, Result] = {}
    complete = False
    with devices.threads(_threads(arguments, recipe)):
        environment = devices.environment(device)
        facts = [f"{name} {environment[name]}" for name in ("numpy", "torch", "device")]
        head = [", ".join(facts) + (f" {environment['gpu']}" if "gpu" in environment else "")]
        try:
            for dtype in [arguments.dtype] if arguments.dtype else mode.dtypes:
                for result, words in mode.train(arguments, device, dtype):
                    print(*head, words, sep="\n", flush=True)
                    head.clear()
                    results |= {dtype: result} if result else {}
                if results[dtype].interrupted:
                    raise KeyboardInterrupt
            complete = True
        finally:  # also what an interrupted or diverged training reached
            if results:
                _save(arguments, mode, [*results.values()], environment, complete)
    return 0 if all(result.holds for result in results.values()) else 1


def _prepare(given: Arguments, dtype: str, seed: int) -> Run:
    return recipes.prepare(recipe_for(given), data_dir=given.data_dir, seed=seed, dtype=dtype)


def _lockstep(arguments: Arguments, device: torch.device, dtype: str) -> News:
    again, precision = partial(_prepare, arguments, dtype, arguments.seed), arguments.precision
    run = again()
    yield None, f"\n{_describe(run, arguments)}\n{HEADER}"
    options = {"precision": precision, "judged_as": arguments.judged_as or "ieee"}
    result = None
    for result, row in lockstep.train(run, device, max_steps=arguments.steps, **options):
        if result.culprit and not result.reproduction:
            command = _command(arguments, device, dtype, result.culprit.step)
            lines = lockstep.alone(result.culprit, device.type, *options.values())
            result.reproduction = "\n".join([command, *lines])
        yield result, str(row)
    if result is None:  # interrupted in the first step
        raise KeyboardInterrupt
    free_run.allow_drift(result, again, device, precision)
    yield result, result.verdict()


def _command(arguments: Arguments, device: torch.device, dtype: str, step: int) -> str:
    """Return the command that trains up to a step on the same sides."""
    recipe, left_out = recipe_for(arguments), {*UNSAID, "recipe", "mode", "seeds"} - {"data_dir"}
    known = {"data": recipe.data, "device": device.type, "dtype": dtype, "steps": step}
    given = {n: known.get(n, value) for n, value in vars(arguments).items() if n not in left_out}
    return f"reproduce:  python -m parity train {recipe.name} {as_options(given)}"


def _free_run(arguments: Arguments, device: torch.device, dtype: str) -> News:
    run = _prepare(arguments, dtype, arguments.seed)
    yield None, f"\n{_describe(run, arguments)}"
    result = free_run.train(run, device, arguments.steps, arguments.precision)
    yield result, f"{result.table()}\n{result.verdict()}"


def _accuracy(arguments: Arguments, device: torch.device, dtype: str) -> News:
    result, steps = paired.Paired(dtype, device.type), arguments.steps
    try:
        for seed in range(arguments.seed, arguments.seed + (arguments.seeds or SEEDS)):
            run = _prepare(arguments, dtype, seed)
            paired.test_part(run)  # raises before anything is printed
            if seed == arguments.seed:
                yield None, f"\n{_describe(run, arguments)}\n{paired.HEADER}"
            result.pairs.append(paired.train(run, device, seed, steps, arguments.precision))
            yield result, str(result.pairs[-1])
    except KeyboardInterrupt:
        result.interrupted = True
    yield result, result.verdict()


def _threads(arguments: Arguments, recipe: Recipe) -> int | None:
    """Return how many threads to train with; for few numbers a second one would only wait."""
    return arguments.threads or (1 if recipe.data in ("digits", "line") else None)


def _describe(run: Run, arguments: Arguments) -> str:
    """Say what is trained, and whether the epochs have fewer steps than were asked for."""
    steps, threads = arguments.steps, _threads(arguments, run.recipe)
    there = ceil(len(run.train) / run.recipe.batch_size) * run.recipe.epochs
    words = f"\n--steps {steps}: {run.recipe.epochs} epochs have {there:,} steps, and no more"
    return train_command.describe(run, threads) + (words if steps and steps > there else "")


def _save(
    arguments: Arguments, mode: Mode, results: Sequence[Result], environment: Facts, complete: bool
) -> None:
    recipe = recipe_for(arguments)
    settings = {name: value for name, value in vars(arguments).items() if name not in UNSAID}
    settings |= {"data": recipe.data, "complete": complete}
    shared = {"settings": settings, "environment": environment}
    found = [{"holds": r.holds, **shared, **r.as_dict()} for r in results]
    saved: list[Path] = []
    if arguments.out:
        folder = Path(arguments.out)
        saved = [folder / f"{mode.file}.json"]
        folder.mkdir(parents=True, exist_ok=True)
        saved[0].write_text(report.to_json(found), encoding="utf-8")
        saved += _draw(folder, recipe, mode, results)
    title = f"{recipe.name} on {recipe.data}: NumPy compared with PyTorch, {mode.title}"
    words = ", ".join(f"{r.dtype} {'holds' if r.holds else 'fails'}" for r in results)
    whole = all(result.holds for result in results), words, settings, environment, found
    made = Report(title, *whole, lambda: list(map(_section, results)))
    report.say_saved(*saved, *report.save(made, arguments.json, arguments.html))


def _section(result: Result) -> Section:
    text, _, code = result.verdict().partition("\nreproduce:")
    html = report.code(f"reproduce:{code}") if code else ""
    if isinstance(result, paired.Paired):
        return Section(result.dtype, text, html + result.table())
    drawn = report.picture(result.picture(""), f"both sides in {result.dtype}")
    return Section(result.dtype, text, html + drawn)


def _draw(folder: Path, recipe: Recipe, mode: Mode, results: Sequence[Result]) -> list[Path]:
    paths: list[Path] = []
    for dtype in ("float32", "float64"):
        plots.remove(folder, f"{mode.file}-{dtype}")  # of another run
    try:
        for result in results:
            if not isinstance(result, paired.Paired):
                title = f"{recipe.name} on {recipe.data}, {result.dtype}: NumPy and torch"
                figure = result.picture(title)
                paths += plots.save(figure, folder, f"{mode.file}-{result.dtype}")
    except MissingExtraError as error:
        print(f"parity: no curves: {error}", file=sys.stderr)
    return paths


MODES = {
    "lockstep": Mode(_lockstep, "parity", "step by step"),
    "free-run": Mode(_free_run, "free-run", "trained freely"),
    "accuracy": Mode(_accuracy, "accuracy", "over paired seeds", ("float32",)),
}
