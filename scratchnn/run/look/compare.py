"""`scratchnn compare`: several runs side by side, in the terminal or as an HTML page."""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scratchnn import plots
from scratchnn.data import files
from scratchnn.history import History
from scratchnn.plots.training import draw_comparison, measured, quantities_of, values_of
from scratchnn.run.look import page, saved, text
from scratchnn.run.look.page import Section
from scratchnn.run.look.saved import Saved
from scratchnn.run.terminal import escaped

# Settings whose differences are not shown: they hardly change a figure
ALIKE = ("scratchnn", "numpy", "data_dir", "threads", "ranks", "stream", "imported")
HEADER = ("run", "epochs", "train loss", "loss", "accuracy", "best accuracy", "seconds")


def add_compare(commands: Any) -> None:
    """Add the command.

    Options  commands   the parsers of all commands
    """
    words = "several runs side by side: what differs, what they reached, their curves"
    sub = commands.add_parser("compare", help=words)
    sub.add_argument("runs", metavar="RUN", nargs="+", help="folders of `train --out`")
    words = "write a page with the curves; default: draw them in the terminal"
    sub.add_argument("--html", metavar="FILE", help=words)
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=compare)


def compare(arguments: argparse.Namespace) -> int:
    """Print or write the comparison."""
    runs = named([saved.read(path) for path in arguments.runs])
    if arguments.html:
        path = Path(arguments.html)
        files.check_place(path)
        html = make(runs)
        files.make_folder_of(path)
        files.place_text(path, html)
        print(escaped(f"saved {path}"))
        return 0
    text.say(text.table(HEADER, map(_row, runs.items())).splitlines())
    if words := _chosen(runs):
        text.say([escaped(words)])
    for warning in warnings(runs):
        text.say([escaped(warning)])
    if differing := differences(runs):
        rows = [[name, *values] for name, values in differing.items()]
        every = range(len(runs) + 1)
        text.say(text.table(["what differs", *runs], rows, list(every)).splitlines())
    width = min(shutil.get_terminal_size().columns - 12, 60)
    for quantity in _quantities(runs.values()):
        lines = {name: measured(run.history, quantity)[1] for name, run in runs.items()}
        kept = {escaped(name): values for name, values in lines.items() if values}
        text.say(text.plot(kept, quantity, width=width))
    return 0


def named(runs: Sequence[Saved]) -> dict[str, Saved]:
    """Return runs by the names of their folders, or by their paths where those are the same."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    return dict(zip(names, runs, strict=True))


def differences(runs: Mapping[str, Saved]) -> dict[str, list[str]]:
    """Return the settings in which runs differ, by name: a value per run.

    What one of them does not say is unknown, and not a difference.

    Options  runs   by name
    """
    first, *others = runs.values()
    found = {}
    for name in first.settings:
        if name in ALIKE or not all(name in run.settings for run in others):
            continue
        values = [_word(run.settings[name]) for run in runs.values()]
        if len(set(values)) > 1:
            found[name.replace("_", " ")] = values
    return found


def warnings(runs: Mapping[str, Saved]) -> list[str]:
    """Return what makes the figures of runs hard to compare.

    Options  runs   by name
    """
    found = []
    measured_on = [_data_of(run) for run in runs.values() if run.history.epochs]
    if not all(sha256 for _, sha256 in measured_on):  # a run of version 0.1 has the name alone
        measured_on = [(str(run.settings.get("data")), "") for run in runs.values()]
    if len(set(measured_on)) > 1:
        names = ", ".join(sorted({name for name, _ in measured_on}))
        found.append(f"They were measured on different data: {names}.")
    smoothed = {name: run.smoothing or " without" for name, run in runs.items()}
    if len(set(smoothed.values())) > 1:
        words = ", ".join(f"{name}{what}" for name, what in smoothed.items())
        found.append(f"Their losses cannot be compared, by the label smoothing: {words}.")
    found += [
        f"{name} went on with other settings {words}."
        for name, run in runs.items()
        for words in run.changes
    ]
    for name, run in runs.items():
        if (status := run.record.get("status", "done")) != "done":
            found.append(f"{name}: {status}{run.go_on and f', go on: {run.go_on}'}.")
    return found


def _data_of(run: Saved) -> tuple[str, str]:
    """Return name and SHA-256 of the data that a run's figures were measured on."""
    parts = run.record.get("data") or {}
    part = parts.get("test") or parts.get("train")
    part = part if isinstance(part, Mapping) else {}
    return str(part.get("name", "")), str(part.get("sha256", ""))


def _row(named: tuple[str, Saved]) -> list[str]:
    """Return a run's cells under HEADER."""
    name, run = named
    history = run.history
    train, (_, losses) = values_of(history, "train_loss"), measured(history, "loss")
    accuracies = measured(history, "accuracy")[1]
    best = _best(history)[0] if accuracies else 0
    trained = "imported" if run.settings.get("imported") else "-"
    return [
        name,
        str(len(history.epochs)) if history.epochs or run.record else trained,
        _last(train, ".4f"),
        _last(losses, ".4f"),
        _last(accuracies, ".2%"),
        f"{accuracies[best]:.2%} ({best + 1})" if accuracies else "-",
        f"{math.fsum(values_of(history, 'seconds')):.1f}" if history.epochs else "-",
    ]


def _best(history: History) -> tuple[int, str]:
    """Return which epoch is the best, counted from 0, and by what it was chosen.

    That is the validation loss where it was measured: an accuracy is too good if it chose itself.

    Options  history   has epochs and accuracies
    """
    if losses := values_of(history, "validation_loss"):
        return losses.index(min(losses)), "validation loss"
    part, accuracies = measured(history, "accuracy")
    return accuracies.index(max(accuracies)), f"{part} accuracy"


def _chosen(runs: Mapping[str, Saved]) -> str:
    """Say by what the best accuracies were chosen; "" where there are none."""
    by: dict[str, list[str]] = {}
    for name, run in runs.items():
        if measured(run.history, "accuracy")[1]:
            by.setdefault(_best(run.history)[1], []).append(name)
    if len(by) < 2:
        words = "".join(by)
    else:
        words = ", by ".join(f"{what} for {', '.join(names)}" for what, names in by.items())
    return words and f"The best accuracy is that of the epoch in brackets, chosen by {words}."


def make(runs: Mapping[str, Saved]) -> str:
    """Return the page that compares runs.

    Options  runs   by name
    Raises   MissingExtraError
    """
    histories = {name: run.history for name, run in runs.items()}
    drawn = []
    for quantity in _quantities(runs.values()):
        figure, (axis,) = plots.new_figure(1)
        draw_comparison(axis, histories, quantity)
        drawn.append(page.picture(figure, f"{quantity} of each run over the epochs"))
    words = (
        "Loss and accuracy are those on test data after the last epoch; of a run without test "
        f"data, on its training data. {_chosen(runs)}"
    )
    rows = [list(map(escape, _row(item))) for item in runs.items()]
    sections = [
        Section("Reached", words, page.table(HEADER, rows)),
        Section("Curves", "", page.panels(*drawn)),
    ]
    if differing := differences(runs):
        cells = [list(map(escape, (name, *values))) for name, values in differing.items()]
        header = list(map(escape, ("", *runs)))
        every = range(len(runs) + 1)
        sections.append(Section("What differs", "", page.table(header, cells, list(every))))
    title = f"{len(runs)} runs compared" if len(runs) > 1 else next(iter(runs))
    verdict = " ".join(warnings(runs)) or f"All ran to their end: {', '.join(runs)}."
    facts = {name: str(run.network) for name, run in runs.items()}
    return page.render(title, verdict, sections, facts, facts_title="Networks")


def _quantities(runs: Collection[Saved]) -> list[str]:
    found = [quantity for run in runs for quantity in quantities_of(run.history)]
    validated = [
        f"validation {quantity}"
        for quantity in ("loss", "accuracy")
        if any(values_of(run.history, f"validation_{quantity}") for run in runs)
    ]
    return [quantity for quantity in ("loss", "accuracy") if quantity in found] + validated


def _last(values: Sequence[float], form: str) -> str:
    return format(values[-1], form) if values else "-"


def _word(value: object) -> str:
    if isinstance(value, list):
        return "-".join(map(str, value)) or "none"
    return "-" if value is None else str(value)
