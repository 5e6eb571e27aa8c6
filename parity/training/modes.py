"""The three ways of `python -m parity train`: lockstep, free run, accuracies over paired seeds.

A mode trains, and yields what it has so far with words for what is new. How its result is shown,
and what --out, --json and --html save, stands at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import torch

from parity import devices, report
from parity.report import Part
from parity.training import free_run, lockstep, paired
from parity.training import report as lockstep_report
from parity.training.culprit import reproduction
from scratchnn import plots
from scratchnn.extras import MissingExtraError
from scratchnn.run import cli, recipes
from scratchnn.run.arguments import recipe_for
from scratchnn.run.recipes import Recipe, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS = 5
UNSAID = ("command", "debug", "out", "data_dir", "json", "html")  # not among a result's settings

Facts = Mapping[str, object]


class Result(Protocol):
    """What a training found."""

    @property
    def dtype(self) -> str:
        """The precision of θ."""

    @property
    def holds(self) -> bool:
        """Whether the two sides agree."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""


R = TypeVar("R", bound=Result)


class Job(NamedTuple):
    """What is to be trained, and on which device."""

    arguments: argparse.Namespace
    recipe: Recipe
    device: torch.device

    def prepare(self, dtype: str, seed: int) -> Run:
        """Load the data and draw the parameters."""
        folder = self.arguments.data_dir
        return recipes.prepare(self.recipe, data_dir=folder, seed=seed, dtype=dtype)


@dataclass(frozen=True)
class Mode(Generic[R]):
    """One way to compare two trainings, and how its results are shown.

    train     yields the result so far, or None, and words for what is new
    file      the name of its files in the folder --out
    title     what a report's title says of it
    as_dict   of a result, the settings and the environment: all of it, ready for JSON
    words     the verdict, or what failed
    picture   of a result and a title
    table     the result as HTML
    """

    train: Callable[[Job, str], Iterator[tuple[R | None, str]]]
    file: str
    title: str
    as_dict: Callable[[R, Facts, Facts], Facts]
    words: Callable[[R], str]
    picture: Callable[[R, str], Figure] | None = None
    table: Callable[[R], str] | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")


def run(arguments: argparse.Namespace) -> int:
    """Train a recipe in both precisions, or in one, and report.

    Raises   ValueError for an option that the mode would leave aside
    """
    if arguments.judged_as and arguments.mode != "lockstep":
        raise ValueError(f"--judged-as goes with --mode lockstep, got --mode {arguments.mode}")
    if arguments.seeds and arguments.mode != "accuracy":
        raise ValueError(f"--seeds goes with --mode accuracy, got --mode {arguments.mode}")
    job = Job(arguments, recipe_for(arguments), devices.prepare(arguments.device))
    with devices.threads(arguments.threads):
        return _run(job, MODES[arguments.mode], devices.environment(job.device))


def _run(job: Job, mode: Mode[R], environment: Facts) -> int:
    print(", ".join(f"{name} {environment[name]}" for name in ("numpy", "torch", "device")), end="")
    print(f" {environment['gpu']}" if "gpu" in environment else "")
    results: dict[str, R] = {}
    complete, only = False, job.arguments.dtype
    try:
        for dtype in [only] if only else mode.dtypes:
            for result, words in mode.train(job, dtype):
                print(words, flush=True)
                results |= {dtype: result} if result else {}
            if results[dtype].interrupted:
                raise KeyboardInterrupt
        complete = True
    finally:  # also what an interrupted or diverged training reached
        if results:
            _save(job, mode, [*results.values()], environment, complete)
    return 0 if all(result.holds for result in results.values()) else 1


def _lockstep(job: Job, dtype: str) -> Iterator[tuple[lockstep.Lockstep | None, str]]:
    run, arguments = job.prepare(dtype, job.arguments.seed), job.arguments
    yield None, f"\n{_describe(run, arguments.steps)}\n{lockstep_report.HEADER}"
    result = None
    for result, row in lockstep.train(
        run,
        job.device,
        max_steps=arguments.steps,
        precision=arguments.precision,
        judged_as=arguments.judged_as or "ieee",
    ):
        if result.culprit and not result.reproduction:
            options = _given(arguments, job.device)
            result.reproduction = reproduction(result.culprit, job.recipe, dtype, options)
        yield result, lockstep_report.epoch_line(row)
    if result is None:  # interrupted in the first step
        raise KeyboardInterrupt
    if result.steps_hold and result.strayed:  # compare with torch's own drift, which takes its time
        fresh, steps = job.prepare(dtype, arguments.seed), len(result.steps)
        result.limits = free_run.train(fresh, job.device, steps, arguments.precision).limits
    yield result, f"{lockstep_report.verdict(result)}\n{lockstep_report.timing(result)}"
    if not result.holds:
        yield result, lockstep_report.failure(result)


def _given(arguments: argparse.Namespace, device: torch.device) -> dict[str, object]:
    """Return the options that a reproduction needs, besides those of the recipe."""
    chosen = {"device": device.type} if arguments.device or device.type != "cpu" else {}
    chosen |= {"precision": arguments.precision} if arguments.precision != "ieee" else {}
    names = ("judged_as", "data_dir", "threads")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    return {"seed": arguments.seed} | chosen | given


def _free_run(job: Job, dtype: str) -> Iterator[tuple[free_run.FreeRun | None, str]]:
    run, arguments = job.prepare(dtype, job.arguments.seed), job.arguments
    yield None, f"\n{_describe(run, arguments.steps)}"
    result = free_run.train(run, job.device, arguments.steps, arguments.precision)
    yield result, f"{free_run.table(result)}\n{free_run.verdict(result)}"


def _accuracy(job: Job, dtype: str) -> Iterator[tuple[paired.Paired | None, str]]:
    arguments, result = job.arguments, paired.Paired(dtype, job.device.type)
    seeds = range(arguments.seed, arguments.seed + (arguments.seeds or SEEDS))
    try:
        for seed in seeds:
            run = job.prepare(dtype, seed)
            if seed == arguments.seed:
                yield None, f"\n{_describe(run, arguments.steps)}\n{paired.HEADER}"
            pair = paired.train(run, job.device, seed, arguments.steps, arguments.precision)
            result.pairs.append(pair)
            yield result, paired.line(pair)
    except KeyboardInterrupt:
        result.interrupted = True
    yield result, paired.verdict(result)


def _describe(run: Run, steps: int | None) -> str:
    """Say what is trained, and whether the epochs have fewer steps than were asked for."""
    there = ceil(len(run.train) / run.recipe.batch_size) * run.recipe.epochs
    words = f"\n--steps {steps}: {run.recipe.epochs} epochs have {there:,} steps, and no more"
    return cli.describe(run) + (words if steps and steps > there else "")


# What is saved


def _save(
    job: Job, mode: Mode[R], results: Sequence[R], environment: Facts, complete: bool
) -> None:
    """Save what the arguments ask for, and say where."""
    arguments, recipe = job.arguments, job.recipe
    settings = {name: value for name, value in vars(arguments).items() if name not in UNSAID}
    settings |= {"data": recipe.data, "complete": complete}
    found = [mode.as_dict(result, settings, environment) for result in results]
    saved: list[Path] = []
    if arguments.out:
        folder = Path(arguments.out)
        saved = [_save_json(folder, mode.file, found), *_draw(folder, recipe, mode, results)]
    title = f"{recipe.name} on {recipe.data}: NumPy compared with PyTorch, {mode.title}"
    parts = [_part(mode, *pair) for pair in zip(results, found, strict=True)]
    whole = report.together(title, parts, settings, environment)
    saved += report.save(whole, arguments.json, arguments.html)
    if saved:
        print(f"saved {', '.join(map(str, saved))}")


def _save_json(folder: Path, name: str, results: Sequence[Facts]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(report.to_json(results), encoding="utf-8")
    return path


def _part(mode: Mode[R], result: R, found: Facts) -> Part:
    text, _, code = mode.words(result).partition("\nreproduce:")

    def html() -> str:
        shown = report.code(f"reproduce:{code}") if code else ""
        shown += mode.table(result) if mode.table else ""
        if mode.picture:
            shown += report.picture(mode.picture(result, ""), f"both sides in {result.dtype}")
        return shown

    return Part(result.dtype, result.holds, text, found, html)


def _draw(folder: Path, recipe: Recipe, mode: Mode[R], results: Sequence[R]) -> list[Path]:
    paths: list[Path] = []
    for dtype in ("float32", "float64"):
        plots.remove(folder, f"{mode.file}-{dtype}")  # of another run
    if mode.picture is None:
        return paths
    try:
        for result in results:
            title = f"{recipe.name} on {recipe.data}, {result.dtype}: NumPy and torch"
            figure = mode.picture(result, title)
            paths += plots.save(figure, folder, f"{mode.file}-{result.dtype}")
    except MissingExtraError as error:
        print(f"parity: no curves: {error}", file=sys.stderr)
    return paths


MODES: dict[str, Mode[Any]] = {
    "lockstep": Mode(
        _lockstep,
        "parity",
        "step by step",
        lockstep_report.as_dict,
        lockstep_report.words,
        lockstep_report.picture,
    ),
    "free-run": Mode(
        _free_run,
        "free-run",
        "trained freely",
        free_run.as_dict,
        free_run.verdict,
        free_run.picture,
    ),
    "accuracy": Mode(
        _accuracy,
        "accuracy",
        "over paired seeds",
        paired.as_dict,
        paired.verdict,
        table=paired.table,
        dtypes=("float32",),
    ),
}
