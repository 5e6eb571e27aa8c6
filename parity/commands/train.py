"""python -m parity train RECIPE: train in NumPy and in torch, and compare each step."""

import argparse
import sys
from pathlib import Path

from parity import page
from parity.commands import DTYPES
from scratchnn import cli, plots, recipes
from scratchnn.arguments import add_recipe_arguments, positive_int, recipe_for
from scratchnn.extras import MissingExtraError, need


def add(commands) -> None:
    """Declare the command."""
    sub = commands.add_parser("train", help="train a recipe on both sides and compare every step")
    add_recipe_arguments(sub)
    sub.add_argument("--device", choices=("cpu", "cuda"), help="default: CUDA where there is one")
    sub.add_argument("--dtype", choices=DTYPES, help="default: one after the other")
    sub.add_argument("--steps", type=positive_int, metavar="N", help="stop after N steps")
    page.add_arguments(sub)
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Train a recipe in both precisions, or in one, and report."""
    need("torch", "torch")
    from parity import devices

    recipe = recipe_for(arguments)
    device = devices.choose(arguments.device)
    environment = devices.environment(device)
    print(", ".join(f"{name} {environment[name]}" for name in ("numpy", "torch", "device")), end="")
    print(f" {environment['gpu']}" if "gpu" in environment else "")
    results: list = []
    complete = False
    try:
        for dtype in [arguments.dtype] if arguments.dtype else DTYPES:
            run = recipes.prepare(
                recipe, data_dir=arguments.data_dir, seed=arguments.seed, dtype=dtype
            )
            with cli.threads(arguments.threads):
                _run(run, device, arguments.steps, results)
        complete = True
    finally:  # also what an interrupted or diverged training reached
        if results:
            _save(arguments, recipe, results, environment, complete)
    return 0 if all(result.holds for result in results) else 1


def _save(arguments: argparse.Namespace, recipe: recipes.Recipe, results, environment, complete):
    """Save what --out, --json and --html ask for."""
    from parity import report

    unsaid = ("command", "debug", "out", "data_dir", "json", "html")
    settings = {name: value for name, value in vars(arguments).items() if name not in unsaid}
    settings |= {"data": recipe.data, "complete": complete}
    found = [report.as_dict(result, settings, environment) for result in results]
    saved = []
    if arguments.out:
        saved = [report.save(Path(arguments.out), "parity", found)]
        saved += _draw(arguments, recipe, results)
    title = f"{recipe.name} on {recipe.data}: NumPy beside PyTorch, step by step"
    parts = [_part(result, facts) for result, facts in zip(results, found, strict=True)]
    whole = page.together(title, parts, settings, environment)
    saved += page.save(whole, arguments.json, arguments.html)
    if saved:
        print(f"saved {', '.join(map(str, saved))}")


def _part(result, found) -> page.Part:
    from parity import report

    words = report.verdict(result) if result.holds else report.failure(result)

    def html() -> str:
        return page.picture(report.picture(result, ""), f"both sides in {result.dtype}")

    return page.Part(result.dtype, result.holds, words, found, html)


def _run(run: recipes.Run, device, max_steps, results):
    """Train on both sides; put the result among `results` as soon as there is one."""
    from parity import lockstep, report

    print(f"\n{cli.describe(run)}\n{report.HEADER}")
    result = None
    for result, row in lockstep.train(run, device, max_steps=max_steps):
        if not any(result is known for known in results):
            results.append(result)
        print(report.epoch_line(row), flush=True)
    print(report.verdict(result), report.timing(result), sep="\n")
    if not result.holds:
        print(report.failure(result))


def _draw(arguments: argparse.Namespace, recipe: recipes.Recipe, results) -> list[Path]:
    from parity import report

    paths = []
    for old in Path(arguments.out).glob("parity-float*.*"):  # of another run
        old.unlink()
    try:
        for result in results:
            title = f"{recipe.name} on {recipe.data}, {result.dtype}: NumPy and torch"
            figure = report.picture(result, title)
            paths += plots.save(figure, arguments.out, f"parity-{result.dtype}")
    except MissingExtraError as error:
        print(f"parity: no curves: {error}", file=sys.stderr)
    return paths
