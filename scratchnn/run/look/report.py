"""`scratchnn report`: a run as one HTML page, to read in a browser or on a phone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn import plots
from scratchnn.data import Dataset, files
from scratchnn.examine import Answers, Mistake, first_weights
from scratchnn.history import History
from scratchnn.plots.classifiers import draw_counts, draw_gaps
from scratchnn.plots.lessons import draw_scatter
from scratchnn.plots.training import draw_curves, quantities_of
from scratchnn.run.history import best_by_validation, length
from scratchnn.run.look import page, saved
from scratchnn.run.look.page import Section
from scratchnn.run.look.saved import Saved
from scratchnn.run.look.show import add_run_arguments, facts_of
from scratchnn.run.terminal import escaped, warn

UNITS = 40  # of the first layer
MISTAKES = 12  # of each kind
LIKELIEST = 3  # classes whose probabilities are shown
MOST_CLASSES = 40  # of a matrix on a page
MOST_FEATURES = 12  # over which a target is drawn


def add_report(commands: Any) -> None:
    """Add the command.

    Options  commands   the parsers of all commands
    """
    words = "a run as one HTML page: curves, confusion matrix, calibration, weights, mistakes"
    sub = commands.add_parser("report", help=words)
    add_run_arguments(sub)
    words = "where to write the page; default: report.html in the run's folder"
    sub.add_argument("--html", metavar="FILE", help=words)
    sub.set_defaults(command=report)


def report(arguments: argparse.Namespace) -> int:
    """Write the page."""
    run = saved.read(arguments.run)
    folder = run.path if run.path.is_dir() else run.path.parent
    path = Path(arguments.html or folder / "report.html")
    files.check_place(path)
    html = make(run, arguments.data, arguments.data_dir)
    files.make_folder_of(path)
    files.place_text(path, html)
    print(escaped(f"saved {path}"))
    return 0


def make(run: Saved, data: str | None = None, data_dir: str | None = None) -> str:
    """Return the page of a run.

    Options  run              what to describe
             data, data_dir   as of `Saved.data`
    Raises   MissingExtraError
    """
    settings = run.settings
    title = f"{settings['recipe']} on {settings['data']}" if "recipe" in settings else run.name
    sections = list(_training(run))
    trained = f"trained for {length(run.history)}" if run.history.epochs else "a network alone"
    try:
        examples = run.data(data, data_dir)
        if examples.classes:
            answers = run.answers(data, data_dir)
            verdict = _score(answers, run.history)
            sections += _answers(answers) + list(_weights(run, examples))
        else:
            verdict = trained
            sections += [_line(run, examples)]
    except (OSError, ValueError) as error:
        verdict = trained
        sections += [Section("Answers", f"The answers cannot be shown: {error}.")]
        warn(f"the page has no answers: {error}")
    facts = {"network": str(run.network)}
    for group, of in facts_of(run):
        facts |= {name or group: value for name, value in _joined(of)}
    sections += list(_repeat(run))
    return page.render(title, verdict, sections, facts, facts_title="What was run")


def _joined(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join what has no name of its own: one row has it."""
    words = [value for name, value in facts if not name]
    named = [(name, value) for name, value in facts if name]
    return ([("", ", ".join(words))] if words else []) + named


def _score(answers: Answers, history: History) -> str:
    right = int(answers.confusion.trace())
    words = (
        f"{right:,} of {len(answers.z):,} right ({right / len(answers.z):.2%}) on "
        f"{answers.data.name}"
    )
    return f"{words} after {length(history)}" if history.epochs else words


def _training(run: Saved) -> Iterator[Section]:
    """Yield the curves, and the gradients where they were recorded."""
    if not run.history.epochs:
        return
    drawn = []
    for quantity in quantities_of(run.history):
        figure, (axis,) = plots.new_figure(1)
        draw_curves(axis, run.history, quantity)
        drawn.append(page.picture(figure, f"{quantity} over the epochs"))
    words = (
        "Measured after each epoch. The dotted line averages over the epoch's batches while the "
        "parameters move, as many tutorials print it."
    )
    if best := best_by_validation(run.history):
        words += f" The {best}."
    if run.smoothing:
        words += f" All losses are those{run.smoothing}."
    yield Section("Curves", words, page.panels(*drawn))
    if run.gradients:
        picture = page.picture(plots.gradients(run.gradients), "gradient norms over the epochs")
        words = (
            "How long each layer's gradient is after each epoch, over the first examples of the "
            "training data. A layer whose gradient is far shorter than the others' learns slowly."
        )
        yield Section("Gradients", words, page.panels(picture))


def _answers(answers: Answers) -> list[Section]:
    common = ", ".join(f"{a} taken for {b} ({n})" for a, b, n in answers.confused(5))
    words = "Each row is a true class, each column an answer. The shade is the share of the row."
    words += f" The commonest mistakes: {common}." if common else " There are no mistakes."
    matrix = _matrix(answers) if len(answers.data.classes) <= MOST_CLASSES else ""
    sections = [Section("Confusion matrix", words, matrix), _calibration(answers)]
    if answers.data.image_size is not None:
        worst, nearly = answers.worst(MISTAKES), answers.nearly_right(MISTAKES)
        words = "They gave the right class, the first one, the least probability."
        sections.append(Section("Worst mistakes", words, _mistakes(answers, worst)))
        words = "Their answer was hardly likelier than the right class."
        sections.append(Section("Most uncertain mistakes", words, _mistakes(answers, nearly)))
    return sections


def _matrix(answers: Answers) -> str:
    """Return the confusion matrix as a table whose cells are shaded."""
    names, matrix = [escape(name) for name in answers.data.classes], answers.confusion
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    kind = ' class="long"' if max(map(len, answers.data.classes)) > 2 else ""
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = []
    for name, counts, of in zip(names, matrix.tolist(), shares.tolist(), strict=True):
        cells = (
            f'<td style="--share:{share:.0%}">{f"{count:,}" if count else ""}</td>'
            for count, share in zip(counts, of, strict=True)
        )
        rows.append(f"<tr><th>{name}</th>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table class="confusion"><thead{kind}><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _calibration(answers: Answers) -> Section:
    words = (
        f"Of the answers given with probability 0.8, are 8 in 10 right? The expected calibration "
        f"error, the mean gap, is {answers.calibration_error:.3f}."
    )
    try:
        found = answers.calibration()
        kind = "too confident" if found.temperature > 1 else "not confident enough"
        words += (
            f" The temperature that fits every other example best is {found.temperature:.3f}: the "
            f"network was {kind}. On the examples between them, it takes the error from "
            f"{found.before:.3f} to {found.after:.3f}."
        )
    except ValueError as error:
        words += f" No temperature could be fitted: {error}."
    drawn = []
    for draw, what in ((draw_gaps, "accuracy over confidence"), (draw_counts, "confidences")):
        figure, (axis,) = plots.new_figure(1)
        draw(axis, answers.reliability)
        drawn.append(page.picture(figure, what))
    return Section("Reliability", words, page.panels(*drawn))


def _mistakes(answers: Answers, mistakes: list[Mistake]) -> str:
    if not mistakes:
        return "<p>There are none.</p>"
    images = answers.data.images[[one.row for one in mistakes]]
    low, high = float(images.min()), float(images.max())
    tiles = []
    for one, image in zip(mistakes, images, strict=True):
        drawn = page.grey_image(image, low, high, f"example {one.row}")
        chosen = np.argsort(-answers.p[one.row], kind="stable")[:LIKELIEST].tolist()
        target = int(answers.data.target[one.row])
        shown = [target, *(c for c in chosen if c != target)][:LIKELIEST]
        bars = "".join(_bar(answers, one.row, c, right=c == target) for c in shown)
        tiles.append(f"<li>{drawn}{bars}<small>row {one.row}</small></li>")
    return f'<ul class="tiles mistakes">{"".join(tiles)}</ul>'


def _bar(answers: Answers, row: int, c: int, *, right: bool) -> str:
    p, name = float(answers.p[row, c]), escape(answers.data.classes[c])
    name = f"<strong>{name}</strong>" if right else name
    return (
        f'<div class="answer"><span>{name}</span><span>{p:.1%}</span>'
        f'<meter value="{p:.4f}">{p:.1%}</meter></div>'
    )


def _weights(run: Saved, data: Dataset) -> Iterator[Section]:
    """Yield the first layer's weights, where the inputs are images."""
    if data.image_size is None:
        return
    units, images = first_weights(run.network, data.image_size, UNITS)
    largest = float(np.abs(images).max())
    tiles = (
        f"<li>{page.signed_image(image, largest, f'weights of unit {unit}')}{unit}</li>"
        for unit, image in zip(units, images, strict=True)
    )
    H = run.network.sizes[1]
    chosen = f"The {len(units)} longest of {H} units" if len(units) < H else f"Its units: {H}"
    words = f"{chosen}. All have one scale. Blue pixels speak for the unit, red ones against it."
    html = f'<ul class="tiles weights">{"".join(tiles)}</ul>'
    yield Section("What the first layer looks for", words, html)


def _line(run: Saved, data: Dataset) -> Section:
    """Return the picture of a regression."""
    drawn = []
    for k in range(min(data.features, MOST_FEATURES)):
        figure, (axis,) = plots.new_figure(1)
        draw_scatter(axis, data, k, run.network)
        drawn.append(page.picture(figure, f"the target over feature {k + 1}, and the fitted line"))
    words = "The target over each feature, and the line that was fitted."
    return Section("Fit", words, page.panels(*drawn))


def _repeat(run: Saved) -> Iterator[Section]:
    if run.record.get("settings"):
        title = "Begin anew" if run.changes else "Repeat it"
        words = "This trains once more with the same settings, seed included."
        if run.changes:
            words += " It does not repeat this run, which went on with other settings."
        yield Section(title, words, page.code(run.repeat))
