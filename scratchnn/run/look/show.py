"""`scratchnn show`: a run in the terminal."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from scratchnn.examine import Answers, Mistake
from scratchnn.history import History
from scratchnn.plots.training import quantities_of, values_of
from scratchnn.run import watch
from scratchnn.run.arguments import data_name
from scratchnn.run.history import best_by_validation, length
from scratchnn.run.look import saved, text
from scratchnn.run.look.saved import Saved
from scratchnn.run.terminal import escaped

MOST_CLASSES = 20  # whose matrix fits a terminal
MOST_EPOCHS = 12  # rows of the table
MISTAKES = 10
SHORT = 3  # letters of a class that stands above its column; longer ones are numbered
# Settings that a run says of its training, where they are set
TRAINED = (
    *("recipe", "data", "optimizer", "learning_rate", "schedule", "warm_up", "momentum"),
    *("nesterov", "dampening", "weight_decay", "label_smoothing"),
    *("batch_size", "epochs", "seed", "dtype", "validation"),
)
USUAL = {"optimizer": "sgd", "schedule": "constant"}  # the defaults, which are not shown
PARTS = ("train", "test", "validation")  # whose curves are drawn


def add_show(commands: Any) -> None:
    """Add the command.

    Options  commands   the parsers of all commands
    """
    words = "a run in the terminal: settings, curves, confusion matrix, worst mistakes"
    sub = commands.add_parser("show", help=words)
    add_run_arguments(sub)
    sub.set_defaults(command=show)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run to look at, and the data to look at it with.

    Options  parser   of the command that gets them
    """
    parser.add_argument("run", metavar="RUN", help="a folder of `train --out`, or its .npz")
    words = "whose test part is classified; default: what the run was trained on"
    parser.add_argument("--data", type=data_name, metavar="DATA", help=words)
    words = "the folder of the data; default: the run's, or the variable SCRATCHNN_DATA"
    parser.add_argument("--data-dir", metavar="DIR", help=words)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def show(arguments: argparse.Namespace) -> int:
    """Print what a run did, and what it learned."""
    run = saved.read(arguments.run)
    for section in sections(run, arguments):
        text.say(section)
    return 0


def sections(run: Saved, arguments: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the lines of each section.

    Options  run         what to show
             arguments   .data and .data_dir
    """
    width = min(shutil.get_terminal_size().columns, 100)
    yield _wrapped(heading(run), width)
    if run.history.epochs:
        yield table(run)
        yield from curves(run.history, width)
    try:
        answers = run.answers(arguments.data, arguments.data_dir)
    except (OSError, ValueError) as error:
        yield [escaped(f"No confusion matrix and no mistakes: {error}")]
        return
    yield confusion(answers, width)
    yield mistakes(answers, width)


def table(run: Saved) -> list[str]:
    """Return some epochs, and which one the validation data choose.

    Options  run   has epochs
    """
    best = best_by_validation(run.history)
    lines = [watch.VALIDATION_HEADER if best else watch.HEADER]
    lines += map(watch.epoch_line, _shortened(run.history))
    if best:
        lines += ["", best]
    if run.smoothing:
        lines += ["", f"All losses are those{run.smoothing}."]
    return lines


def heading(run: Saved) -> list[str]:
    """Return what was run, how it ended, and how to repeat it.

    Options  run   what to describe
    """
    settings, record = run.settings, run.record
    lines = [f"{run.path}: {run.network}"]
    for title, facts in facts_of(run):
        words = ", ".join(f"{name} {value}".strip() for name, value in facts)
        lines.append(f"{title:<10} {words}")
    if run.go_on:
        lines.append(f"go on      {run.go_on}")
    if record.get("settings"):
        title = "begin anew" if run.changes else "repeat it"
        lines.append(f"{title:<10} {run.repeat}")
    elif not settings:
        lines.append("a checkpoint alone: how it was trained is unknown")
    return lines


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    """Break lines that are too long, never within a word, and indent what follows."""
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False
    )
    return [part for line in lines for part in wrapper.wrap(escaped(line))]


def facts_of(run: Saved) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return titles, and the names and values of what a run says of itself; no empty ones."""
    settings, record = run.settings, run.record
    environment = record.get("environment", settings)
    ended = [("", f"{record.get('status', '')} after {length(run.history)}")]
    if record.get("error"):
        error = str(record["error"])
        stopped = error.removeprefix("Stopped: ")  # by a signal, which is no error
        ended.append(("" if stopped != error else "because of", stopped))
    groups = [
        ("imported", [("", f"from {settings['imported']}")] if "imported" in settings else []),
        ("trained", _present(settings, TRAINED)),
        ("with", _present(environment, ("scratchnn", "numpy", "blas", "python", "processor"))),
        ("started", [("", str(record["started"]))] if "started" in record else []),
        ("changed", [("", f"went on with other settings {words}") for words in run.changes]),
        ("status", ended if "status" in record else []),
    ]
    return [(title, facts) for title, facts in groups if facts]


def _present(facts: Any, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " "), str(facts[name]))
        for name in names
        if facts.get(name) and facts[name] != USUAL.get(name)
    ]


def _shortened(history: History) -> list[Any]:
    """Return at most so many epochs: the first, the last, and some between, evenly."""
    count = len(history.epochs)
    if count <= MOST_EPOCHS:
        return history.epochs
    rows = {round(i * (count - 1) / (MOST_EPOCHS - 1)) for i in range(MOST_EPOCHS)}
    return [history.epochs[row] for row in sorted(rows)]


def curves(history: History, width: int) -> Iterator[list[str]]:
    """Yield the curves of the loss, and of the accuracy where there is one.

    Options  history   of a run
             width     of a line, in characters
    """
    for quantity in quantities_of(history):
        found = {part: values_of(history, f"{part}_{quantity}") for part in PARTS}
        found = {part: values for part, values in found.items() if values}
        found = found or {"train, while θ moves": values_of(history, f"running_{quantity}")}
        yield text.plot(found, quantity, width=min(width - 12, 60))


def confusion(answers: Answers, width: int) -> list[str]:
    """Return the confusion matrix, and the commonest mistakes.

    Options  answers   of the network
             width     of a line, in characters
    """
    matrix, names = answers.confusion, answers.data.classes
    heads = names if max(map(len, names)) <= SHORT else [str(i) for i in range(len(names))]
    right = int(matrix.trace())
    lines = [
        f"{answers.data.name}: {right:,} of {len(answers.z):,} right "
        f"({right / len(answers.z):.2%}); expected calibration error "
        f"{answers.calibration_error:.3f}"
    ]
    if len(names) <= MOST_CLASSES:
        rows = [
            [name if head == name else f"{head} {name}", *(f"{n:,}" if n else "·" for n in counts)]
            for head, name, counts in zip(heads, names, matrix.tolist(), strict=True)
        ]
        header = ["true \\ answer", *heads]
        lines += ["", *text.table(header, rows).splitlines()]
    common = [f"{true} taken for {answer} ({count})" for true, answer, count in answers.confused(5)]
    if common:
        lines += ["", *_wrapped([f"commonest mistakes: {', '.join(common)}"], width)]
    return lines


def mistakes(answers: Answers, width: int) -> list[str]:
    """Return the worst mistakes, with their images where there are any.

    Options  answers   of the network
             width     of a line, in characters
    """
    found = answers.worst(MISTAKES)
    if not found:
        return ["no mistakes"]
    lines = [f"worst mistakes, of {answers.data.name}"]
    if answers.data.image_size is None:
        rows = [[str(one.row), *_words(one)] for one in found]
        return lines + text.table(["row", "class", "taken for"], rows, (1, 2)).splitlines()
    blocks = [
        (text.image(answers.data.images[one.row]), [f"row {one.row}", *_words(one)])
        for one in found
    ]
    return lines + text.side_by_side(blocks, width)


def _words(mistake: Mistake) -> tuple[str, str]:
    return (
        escaped(f"{mistake.target} ({mistake.p_target:.1%})"),
        escaped(f"not {mistake.answer} ({mistake.p_answer:.1%})"),
    )
