"""The three ways of `python -m parity train`: lockstep, free run, accuracies over paired seeds."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from parity import devices, free_run, lockstep, page, paired, report
from parity.culprit import reproduction
from scratchnn import cli, plots, recipes
from scratchnn.arguments import recipe_for
from scratchnn.extras import MissingExtraError
from scratchnn.recipes import Recipe, Run


class Mode(NamedTuple):
    """One way to compare two trainings. Its results have `holds`, `interrupted` and `dtype`.

    `train` puts its result among the results as soon as there is one.
    """

    train: Callable[[argparse.Namespace, Recipe, torch.device, str, list[Any]], None]
    as_dict: Callable[..., dict[str, Any]]
    picture: Callable[[Any, str], Any] | None
    words: Callable[[Any], str]
    file: str
    title: str
    dtypes: tuple[str, ...] = ("float32", "float64")


def run(arguments: argparse.Namespace) -> int:
    """Train a recipe in both precisions, or in one, and report."""
    mode, recipe = MODES[arguments.mode], recipe_for(arguments)
    device = devices.choose(arguments.device)
    environment = devices.environment(device)
    print(", ".join(f"{name} {environment[name]}" for name in ("numpy", "torch", "device")), end="")
    print(f" {environment['gpu']}" if "gpu" in environment else "")
    results: list[Any] = []
    complete = False
    try:
        for dtype in [arguments.dtype] if arguments.dtype else mode.dtypes:
            with devices.threads(arguments.threads):
                mode.train(arguments, recipe, device, dtype, results)
            if results[-1].interrupted:
                raise KeyboardInterrupt
        complete = True
    finally:  # also what an interrupted or diverged training reached
        if results:
            _save(arguments, mode, recipe, results, environment, complete)
    return 0 if all(result.holds for result in results) else 1


def _save(
    arguments: argparse.Namespace,
    mode: Mode,
    recipe: Recipe,
    results: list[Any],
    environment: dict[str, Any],
    complete: bool,
) -> None:
    """Save what --out, --json and --html ask for."""
    unsaid = ("command", "debug", "out", "data_dir", "json", "html")
    settings = {name: value for name, value in vars(arguments).items() if name not in unsaid}
    settings |= {"data": recipe.data, "complete": complete}
    found = [mode.as_dict(result, settings, environment) for result in results]
    saved: list[Path] = []
    if arguments.out:
        saved = [report.save(Path(arguments.out), mode.file, found)]
        saved += _draw(arguments, mode, recipe, results)
    title = f"{recipe.name} on {recipe.data}: NumPy beside PyTorch, {mode.title}"
    parts = [_part(mode, *pair) for pair in zip(results, found, strict=True)]
    whole = page.together(title, parts, settings, environment)
    saved += page.save(whole, arguments.json, arguments.html)
    if saved:
        print(f"saved {', '.join(map(str, saved))}")


def _part(mode: Mode, result: Any, found: dict[str, Any]) -> page.Part:
    picture = mode.picture

    def html() -> str:
        words = f"both sides in {result.dtype}"
        return page.picture(picture(result, ""), words) if picture else ""

    return page.Part(result.dtype, result.holds, mode.words(result), found, html)


def _prepare(arguments: argparse.Namespace, recipe: Recipe, dtype: str, seed: int) -> Run:
    return recipes.prepare(recipe, data_dir=arguments.data_dir, seed=seed, dtype=dtype)


def _lockstep(
    arguments: argparse.Namespace,
    recipe: Recipe,
    device: torch.device,
    dtype: str,
    results: list[Any],
) -> None:
    run = _prepare(arguments, recipe, dtype, arguments.seed)
    print(f"\n{cli.describe(run)}\n{report.HEADER}")
    result = None
    for result, row in lockstep.train(
        run, device, max_steps=arguments.steps,
        precision=arguments.precision, judged_as=arguments.judged_as,
    ):  # fmt: skip
        if row.epoch == 1:
            results.append(result)
        print(report.epoch_line(row), flush=True)
    if result is None:  # interrupted in the first step
        raise KeyboardInterrupt
    print(report.verdict(result), report.timing(result), sep="\n")
    if not result.holds:
        _explain(arguments, recipe, device, result)


def _explain(
    arguments: argparse.Namespace, recipe: Recipe, device: torch.device, result: lockstep.Lockstep
) -> None:
    """Say what left its tolerance first, on which side, and how to see it again."""
    print(report.failure(result))
    if result.culprit:
        options: dict[str, Any] = {"seed": arguments.seed}
        options |= {"device": device.type} if device.type != "cpu" else {}
        options |= {"precision": arguments.precision} if arguments.precision != "ieee" else {}
        print(reproduction(result.culprit, recipe, result.dtype, options))


def _words(result: lockstep.Lockstep) -> str:
    return report.verdict(result) if result.holds else report.failure(result)


def _free_run(
    arguments: argparse.Namespace,
    recipe: Recipe,
    device: torch.device,
    dtype: str,
    results: list[Any],
) -> None:
    run = _prepare(arguments, recipe, dtype, arguments.seed)
    print(f"\n{cli.describe(run)}")
    result = free_run.train(run, device, arguments.steps, arguments.precision)
    results.append(result)
    print(free_run.table(result), free_run.verdict(result), sep="\n")


def _accuracy(
    arguments: argparse.Namespace,
    recipe: Recipe,
    device: torch.device,
    dtype: str,
    results: list[Any],
) -> None:
    result = paired.Paired(dtype, device.type)
    results.append(result)
    print(f"\n{recipe.name} on {recipe.data} in {dtype}\n{paired.HEADER}")
    try:
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            run = _prepare(arguments, recipe, dtype, seed)
            pair = paired.train(run, device, seed, arguments.steps, arguments.precision)
            result.pairs.append(pair)
            print(paired.line(pair), flush=True)
    except KeyboardInterrupt:
        result.interrupted = True
    print(paired.verdict(result))


MODES = {
    "lockstep": Mode(
        _lockstep, report.as_dict, report.picture, _words, "parity", "step by step",
    ),
    "free-run": Mode(
        _free_run, free_run.as_dict, free_run.picture, free_run.verdict, "free-run",
        "trained freely",
    ),
    "accuracy": Mode(
        _accuracy, paired.as_dict, None, paired.verdict, "accuracy", "over paired seeds",
        ("float32",),
    ),
}  # fmt: skip


def _draw(arguments: argparse.Namespace, mode: Mode, recipe: Recipe, results: Any) -> list[Path]:
    paths: list[Path] = []
    for dtype in ("float32", "float64"):
        plots.remove(arguments.out, f"{mode.file}-{dtype}")  # of another run
    if mode.picture is None:
        return paths
    try:
        for result in results:
            title = f"{recipe.name} on {recipe.data}, {result.dtype}: NumPy and torch"
            figure = mode.picture(result, title)
            paths += plots.save(figure, arguments.out, f"{mode.file}-{result.dtype}")
    except MissingExtraError as error:
        print(f"parity: no curves: {error}", file=sys.stderr)
    return paths
