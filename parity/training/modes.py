"""The three ways of `python -m parity train`: lockstep, free run, accuracies over paired seeds.

A mode trains, and yields what it has so far with words for what is new. What a mode needs besides
is how to show its result: saving.py.
"""

import argparse
from collections.abc import Callable, Iterator
from math import ceil
from typing import Any, NamedTuple

import torch

from parity import devices, lockstep, report
from parity.lockstep.culprit import reproduction
from parity.training import free_run, paired, saving
from parity.training.saving import Shown
from scratchnn import cli, recipes
from scratchnn.arguments import recipe_for
from scratchnn.recipes import Recipe, Run

SEEDS = 5


class Job(NamedTuple):
    """What is to be trained, and on which device."""

    arguments: argparse.Namespace
    recipe: Recipe
    device: torch.device

    def prepare(self, dtype: str, seed: int) -> Run:
        """Load the data and draw the parameters."""
        folder = self.arguments.data_dir
        return recipes.prepare(self.recipe, data_dir=folder, seed=seed, dtype=dtype)


class Mode(NamedTuple):
    """One way to compare two trainings. Its results have `holds`, `interrupted` and `dtype`."""

    train: Callable[[Job, str], Iterator[tuple[Any, str]]]  # the result so far or None, and words
    shown: Shown
    dtypes: tuple[str, ...] = ("float32", "float64")


def run(arguments: argparse.Namespace) -> int:
    """Train a recipe in both precisions, or in one, and report."""
    check(arguments)
    job = Job(arguments, recipe_for(arguments), devices.prepare(arguments.device))
    with devices.threads(arguments.threads):
        return _run(job, MODES[arguments.mode], devices.environment(job.device))


def check(arguments: argparse.Namespace) -> None:
    """Refuse the options that the mode would leave aside.

    Raises   ValueError
    """
    mode = arguments.mode
    if arguments.judged_as and mode != "lockstep":
        raise ValueError(f"--judged-as goes with --mode lockstep, got --mode {mode}")
    if arguments.seeds and mode != "accuracy":
        raise ValueError(f"--seeds goes with --mode accuracy, got --mode {mode}")


def _run(job: Job, mode: Mode, environment: dict[str, Any]) -> int:
    print(", ".join(f"{name} {environment[name]}" for name in ("numpy", "torch", "device")), end="")
    print(f" {environment['gpu']}" if "gpu" in environment else "")
    results: dict[str, Any] = {}
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
            found = [*results.values()]
            saving.save(job.arguments, job.recipe, mode.shown, found, environment, complete)
    return 0 if all(result.holds for result in results.values()) else 1


def _lockstep(job: Job, dtype: str) -> Iterator[tuple[Any, str]]:
    run, arguments = job.prepare(dtype, job.arguments.seed), job.arguments
    yield None, f"\n{_describe(run, arguments.steps)}\n{report.HEADER}"
    result = None
    for result, row in lockstep.train(
        run, job.device, max_steps=arguments.steps,
        precision=arguments.precision, judged_as=arguments.judged_as or "ieee",
    ):  # fmt: skip
        if result.culprit and not result.reproduction:
            options = _given(arguments, job.device)
            result.reproduction = reproduction(result.culprit, job.recipe, dtype, options)
        yield result, report.epoch_line(row)
    if result is None:  # interrupted in the first step
        raise KeyboardInterrupt
    if result.steps_hold and result.strayed:  # beside torch's own drift, which takes its time
        fresh, steps = job.prepare(dtype, arguments.seed), len(result.steps)
        result.limits = free_run.train(fresh, job.device, steps, arguments.precision).limits
    yield result, f"{report.verdict(result)}\n{report.timing(result)}"
    if not result.holds:
        yield result, report.failure(result)


def _given(arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Return the options that a reproduction needs, besides those of the recipe."""
    chosen = {"device": device.type} if arguments.device or device.type != "cpu" else {}
    chosen |= {"precision": arguments.precision} if arguments.precision != "ieee" else {}
    names = ("judged_as", "data_dir", "threads")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    return {"seed": arguments.seed} | chosen | given


def _free_run(job: Job, dtype: str) -> Iterator[tuple[Any, str]]:
    run, arguments = job.prepare(dtype, job.arguments.seed), job.arguments
    yield None, f"\n{_describe(run, arguments.steps)}"
    result = free_run.train(run, job.device, arguments.steps, arguments.precision)
    yield result, f"{free_run.table(result)}\n{free_run.verdict(result)}"


def _accuracy(job: Job, dtype: str) -> Iterator[tuple[Any, str]]:
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
    """Say what is trained, and where the epochs have fewer steps than were asked for."""
    there = ceil(len(run.train) / run.recipe.batch_size) * run.recipe.epochs
    words = f"\n--steps {steps}: {run.recipe.epochs} epochs have {there:,} steps, and no more"
    return cli.describe(run) + (words if steps and steps > there else "")


MODES = {
    "lockstep": Mode(
        _lockstep,
        Shown("parity", "step by step", report.as_dict, report.words, report.picture),
    ),
    "free-run": Mode(
        _free_run,
        Shown(
            "free-run", "trained freely", free_run.as_dict, free_run.verdict, free_run.picture
        ),
    ),
    "accuracy": Mode(
        _accuracy,
        Shown(
            "accuracy", "over paired seeds", paired.as_dict, paired.verdict, table=paired.table
        ),
        ("float32",),
    ),
}  # fmt: skip
