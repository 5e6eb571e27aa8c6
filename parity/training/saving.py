"""What --out, --json and --html of `python -m parity train` save."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from parity.report import page
from scratchnn import plots
from scratchnn.extras import MissingExtraError
from scratchnn.recipes import Recipe

UNSAID = ("command", "debug", "out", "data_dir", "json", "html")


class Shown(NamedTuple):
    """How a mode's results are shown: the name of its files, words, JSON and a picture."""

    file: str
    title: str
    as_dict: Callable[..., dict[str, Any]]
    words: Callable[[Any], str]
    picture: Callable[[Any, str], Any] | None = None
    table: Callable[[Any], str] | None = None  # HTML


def save(
    arguments: argparse.Namespace,
    recipe: Recipe,
    shown: Shown,
    results: list[Any],
    environment: dict[str, Any],
    complete: bool,
) -> None:
    """Save what the arguments ask for, and say where."""
    settings = {name: value for name, value in vars(arguments).items() if name not in UNSAID}
    settings |= {"data": recipe.data, "complete": complete}
    found = [shown.as_dict(result, settings, environment) for result in results]
    saved: list[Path] = []
    if arguments.out:
        folder = Path(arguments.out)
        saved = [_save_json(folder, shown.file, found), *_draw(folder, recipe, shown, results)]
    title = f"{recipe.name} on {recipe.data}: NumPy beside PyTorch, {shown.title}"
    parts = [_part(shown, *pair) for pair in zip(results, found, strict=True)]
    whole = page.together(title, parts, settings, environment)
    saved += page.save(whole, arguments.json, arguments.html)
    if saved:
        print(f"saved {', '.join(map(str, saved))}")


def _save_json(folder: Path, name: str, results: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(page.to_json(results), encoding="utf-8")
    return path


def _part(shown: Shown, result: Any, found: dict[str, Any]) -> page.Part:
    picture = shown.picture
    text, _, code = shown.words(result).partition("\nreproduce:")

    def html() -> str:
        words = f"both sides in {result.dtype}"
        drawn = shown.table(result) if shown.table else ""
        drawn += page.picture(picture(result, ""), words) if picture else ""
        return (page.code(f"reproduce:{code}") if code else "") + drawn

    return page.Part(result.dtype, result.holds, text, found, html)


def _draw(folder: Path, recipe: Recipe, shown: Shown, results: list[Any]) -> list[Path]:
    paths: list[Path] = []
    for dtype in ("float32", "float64"):
        plots.remove(str(folder), f"{shown.file}-{dtype}")  # of another run
    if shown.picture is None:
        return paths
    try:
        for result in results:
            title = f"{recipe.name} on {recipe.data}, {result.dtype}: NumPy and torch"
            figure = shown.picture(result, title)
            paths += plots.save(figure, str(folder), f"{shown.file}-{result.dtype}")
    except MissingExtraError as error:
        print(f"parity: no curves: {error}", file=sys.stderr)
    return paths
