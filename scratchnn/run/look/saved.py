"""A run as its folder has it, or a checkpoint alone: the network, its history, settings, data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchnn import examine, objectives
from scratchnn.data import DataError, Dataset
from scratchnn.data.datasets import CLASSES, DIGIT_CLASSES, PIXELS, is_here
from scratchnn.data.transforms import Transform, from_description
from scratchnn.history import History
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run import checkpoint, recipes, record, watch
from scratchnn.run.folder import PLACE
from scratchnn.run.history import GRADIENTS, to_epoch
from scratchnn.run.look import images
from scratchnn.run.look.images import Framing
from scratchnn.run.recipes import RECIPES, Recipe
from scratchnn.run.replacing import current
from scratchnn.run.terminal import typed

LOOKED_AT = 256  # examples of data of one's own, to learn what they are like
OLD_HISTORY = "history.json"  # of version 0.1: settings and history in one


@dataclass(frozen=True, eq=False)
class Expected:
    """What the examples were like that a network learned from.

    Parts    classes      their names; none for real targets
             transform    makes network inputs of stored values
             image_size   (height, width), where they are images
             framing      how a drawing lies in them, where that is known
             white        the stored value of a white pixel
             light        whether their borders are light
             dtype        of the stored values
    """

    classes: Sequence[str]
    transform: Transform
    image_size: tuple[int, int] | None
    framing: Framing | None = None
    white: float = 255
    light: bool = False
    dtype: DTypeLike = np.uint8

    @classmethod
    def of(cls, data: Dataset) -> Expected:
        """Return what a data set's examples are like, by looking at some."""
        size, dtype = data.image_size, data.X.dtype
        some = data.X[:LOOKED_AT]
        white = 255.0 if dtype == np.uint8 else float(some.max())
        light = size is not None and images.has_light_border(some.reshape(-1, *size))
        return cls(data.classes, data.transform, size, None, white, light, dtype)

    def stored(self, pixels: Array) -> AnyArray:
        """Return pixels from 0 to 1 as the data set stores them.

        Shapes   pixels (...) → the same
        """
        values = self.white * pixels
        whole = np.dtype(self.dtype).kind in "iu"
        return (np.rint(values) if whole else values).astype(self.dtype)


@dataclass(frozen=True, eq=False)
class Saved:
    """A trained network, and what is known of its training.

    Parts    path         the run's folder, or the file of a checkpoint
             network      its parameters
             history      its epochs; none for a checkpoint alone
             settings     what the training was given; {} where that is unknown
             record       what run.json says besides: how it ended, environment, data
             gradients    the norm of each layer's gradient, an entry per epoch, where recorded
             transform    what made inputs of the stored values, in words; "" where unknown
    """

    path: Path
    network: Parameters
    history: History
    settings: Mapping[str, Any]
    record: Mapping[str, Any] = field(default_factory=dict)
    gradients: Mapping[str, list[float]] = field(default_factory=dict)
    transform: str = ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.resolve().name

    @property
    def smoothing(self) -> str:
        """What is said after its losses: " with label smoothing 0.1", or "" for plain ones."""
        share = self.settings.get("label_smoothing")
        return f" with label smoothing {share}" if share else ""

    @property
    def go_on(self) -> str:
        """The command that goes on with a training that was stopped; "" for another one."""
        stopped = self.record.get("status") in ("killed", "interrupted", "failed")
        if not (stopped and self.record.get("settings")):
            return ""
        return f"scratchnn train --resume {typed(self.path)}"

    @property
    def repeat(self) -> str:
        """The command that trains anew with the same settings."""
        return f"scratchnn train --config {typed(self.path / record.RUN)} --out NEW"

    @property
    def changes(self) -> list[str]:
        """How it went on where something had changed: "after epoch 4: schedule cosine, now ...".

        It cannot be repeated from its settings then.
        """
        return [
            f"after epoch {stop.get('epoch')}: {'; '.join(map(str, stop['differs']))}"
            for stop in self.record.get("resumed", [])
            if isinstance(stop, Mapping) and stop.get("differs")
        ]

    def recipe(self, data: str | None = None) -> Recipe:
        """Return the recipe that it was trained by, on its data or on others.

        Options  data   the name of a data set; default: that of the training
        Raises   DataError where the run does not say them
        """
        name, own = self.settings.get("recipe"), self.settings.get("data")
        if name not in list(RECIPES) or not isinstance(data or own, str):
            raise DataError(
                f"{self.path} does not say what it was trained on, as runs of `scratchnn train` "
                "do: loss, classes and transform are unknown. Import an exported network again "
                "with --recipe and --data; in Python, examine.answers(network, data) needs neither"
            )
        if not is_here(data or own):
            raise DataError(
                f"{self.path} was trained on {own!r}, which is not here: bring it back, or name "
                "other data by --data"
            )
        smoothing = self.settings.get("label_smoothing")
        return recipes.get(str(name)).on(str(data or own), label_smoothing=smoothing)

    def data(self, name: str | None = None, data_dir: str | None = None) -> Dataset:
        """Return the examples to look at: the test part, else what was split off for validation.

        Where there is neither, they are the training data, and their name says so. They get the
        transform that the network was trained with.

        Options  name       of another data set
                 data_dir   the folder of the data; default: the training's, or $SCRATCHNN_DATA
        Raises   DataError, FileNotFoundError
        """
        recipe = self.recipe(name)
        train, test = recipes.load_data(recipe, data_dir or self.settings.get("data_dir"))
        data, known = test or self._untested(train, own=name is None), self._known_transform()
        if name is None:
            self._check_fits(recipe, data)
        return data if known is None else data.with_transform(known)

    def _untested(self, train: Dataset, *, own: bool) -> Dataset:
        """Return what to look at of data without a test part.

        Options  train   the training data
                 own     whether the network learned from them
        """
        share, seed = self.settings.get("validation"), self.settings.get("seed")
        if own and share:
            return train.split(share, rng=seed)[1]
        return replace(train, name=f"{train.name}, training data: there is no test part")

    def _check_fits(self, recipe: Recipe, data: Dataset) -> None:
        """Raise where the network does not fit the data that it is said to have learned from."""
        ends = (data.features, objectives.get(recipe.objective).outputs(data))
        sizes = self.network.sizes
        if (sizes[0], sizes[-1]) != ends:
            raise DataError(
                f"{self.path}: {recipe.name} on {recipe.data} takes {ends[0]} features to "
                f"{ends[1]} outputs, and the network has the sizes {sizes}: name other data by "
                "--data"
            )

    def _known_transform(self) -> Transform | None:
        """Return the transform of the training; None where the run does not say it.

        Raises   DataError for one that is not in this package
        """
        try:
            return from_description(self.transform) if self.transform else None
        except ValueError as error:
            raise DataError(
                f"{self.path}: {error}: only the program that trained it can make its inputs"
            ) from error

    def answers(self, name: str | None = None, data_dir: str | None = None) -> examine.Answers:
        """Return what the network answers to the examples of `data`.

        Options  name, data_dir   as of `data`
        Raises   as `data`; ValueError for data without classes
        """
        return examine.answers(self.network, self.data(name, data_dir), self.recipe(name).objective)

    def expected(self) -> Expected:
        """Return what the network's inputs are like, without loading the data if they are known.

        Raises   as `data`
        """
        recipe = self.recipe()
        if recipe.data not in PIXELS:
            return Expected.of(self.data())
        pixels = PIXELS[recipe.data]
        try:
            size = examine.image_size_of(self.network)
        except ValueError:  # imported: it takes something else
            size = None
        classes = {**CLASSES, "digits": DIGIT_CLASSES}[recipe.data]
        if recipe.classes:
            classes = tuple(classes[c] for c in recipe.classes)
        framing = images.FRAMINGS[recipe.data]
        transform = self._known_transform() or pixels.transform(recipe.normalize)
        return Expected(classes, transform, size, framing, pixels.max_value)


def read(path: str | Path) -> Saved:
    """Read a run's folder, one of version 0.1, or the file of a checkpoint.

    Raises   FileNotFoundError; DataError for something else
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: it must be a folder of `scratchnn train --out`, or its .npz"
        )
    network, said = checkpoint.load(path)
    description = {name: value for name, value in said.items() if name not in PLACE}
    transform = str(description.get("transform") or "")
    run = current(path)
    if (run / record.RUN).exists():
        try:
            found = record.read(path)
            history = History([to_epoch(row) for row in found["history"]])
        except DataError as error:
            raise DataError(f"{error}: name the .npz alone, {run / checkpoint.FILES[0]}") from error
        settings = found.get("settings") or description
        norms = watch.read_gradients(run / GRADIENTS, len(history.epochs))
        return Saved(path, network, history, settings, found, norms, transform)
    if (run / OLD_HISTORY).exists():
        settings, history = _read_old(run / OLD_HISTORY)
        return Saved(path, network, history, settings)
    return Saved(path, network, History(), description, transform=transform)


def _read_old(path: Path) -> tuple[dict[str, Any], History]:
    """Read the settings and the history that version 0.1 wrote into one file."""
    try:
        found = json.loads(path.read_bytes())
        history = History([to_epoch(row) for row in found.pop("history")])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: expected the history of a run, got {error}: name the .npz alone"
        ) from error
    return found, history
