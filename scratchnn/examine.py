"""Every answer of a classifier on a data set: its probabilities, its mistakes, its first weights.

found = examine.answers(network, test)
found.confusion
plots.mistakes(found)
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import scratchnn.functional as F
from scratchnn import metrics, objectives
from scratchnn.calibration import (
    Reliability,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from scratchnn.data import Dataset
from scratchnn.interchange.state_dict import as_dense
from scratchnn.mlp import Parameters, forward
from scratchnn.objectives import Objective, OneVsRest, TwoClasses
from scratchnn.ops.shared import Array, IntArray
from scratchnn.train import EVALUATION_BATCH


@dataclass(frozen=True)
class Mistake:
    """An example that was classified wrong.

    Parts    row                  its number in the data set
             target, answer       the names of the right class and of the likeliest one
             p_target, p_answer   their probabilities
    """

    row: int
    target: str
    answer: str
    p_target: float
    p_answer: float


@dataclass(frozen=True)
class Calibration:
    """What one temperature does: fitted on half of the examples, measured on the other half.

    Parts    temperature     above 1 the classifier was too confident
             before, after   the expected calibration error with T = 1, and with the temperature
    """

    temperature: float
    before: float
    after: float


@dataclass(frozen=True, eq=False, repr=False)
class Answers:
    """What a classifier answers to each example of a data set.

    Shapes   z (N, C), logits whose softmax is p; p (N, C), the probabilities; both in float64
    """

    data: Dataset
    z: Array
    p: Array

    def __repr__(self) -> str:
        right, examples = int(self.confusion.trace()), len(self.z)
        share = f"{right:,} of {examples:,} right ({right / examples:.2%})"
        return f"<{type(self).__name__} to {self.data.name}: {share}>"

    @property
    def answer(self) -> IntArray:
        """The likeliest class of each example.

        Shapes   → (N,)
        """
        return self.z.argmax(axis=1)

    @cached_property
    def confusion(self) -> IntArray:
        """How often each class was taken for each: true classes in rows.

        Shapes   → (C, C)
        """
        return metrics.confusion_matrix(self.z, self.data.target)

    @cached_property
    def reliability(self) -> Reliability:
        """Accuracy and confidence, bin by bin."""
        return reliability_bins(self.p, self.data.target)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error."""
        return expected_calibration_error(self.p, self.data.target)

    def calibration(self) -> Calibration:
        """Fit a temperature to every other example, and measure it on those between them.

        Raises   ValueError where no temperature is best; `calibration.fit_temperature` says why
        """
        target = self.data.target
        T = fit_temperature(self.z[::2], target[::2])
        others = self.z[1::2]
        before, after = (
            expected_calibration_error(F.softmax(others / t), target[1::2]) for t in (1.0, T)
        )
        return Calibration(T, before, after)

    def worst(self, count: int) -> list[Mistake]:
        """Return the mistakes that gave the right class the least probability, worst first."""
        return self._mistakes(self._p_target, count)

    def nearly_right(self, count: int) -> list[Mistake]:
        """Return the mistakes whose answer was hardly likelier than the right class."""
        return self._mistakes(self.p.max(axis=1) - self._p_target, count)

    def confused(self, count: int) -> list[tuple[str, str, int]]:
        """Return the commonest mistakes: (true class, answer, how often), commonest first."""
        counts = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-counts, axis=None, kind="stable")[:count]
        rows, columns = np.unravel_index(order, counts.shape)
        names = self.data.classes
        return [
            (names[i], names[j], int(counts[i, j]))
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
            if counts[i, j]
        ]

    @property
    def _p_target(self) -> Array:
        return self.p[np.arange(len(self.p)), self.data.target]

    def _mistakes(self, by: Array, count: int) -> list[Mistake]:
        wrong = np.flatnonzero(self.answer != self.data.target)
        chosen = wrong[np.argsort(by[wrong], kind="stable")[:count]]
        names, p_target = self.data.classes, self._p_target
        return [
            Mistake(
                row,
                names[self.data.target[row]],
                names[self.answer[row]],
                float(p_target[row]),
                float(self.p[row].max()),
            )
            for row in chosen.tolist()
        ]


def answers(
    network: Parameters, data: Dataset, objective: str | Objective = "cross_entropy"
) -> Answers:
    """Return what a network answers to each example of a data set.

    Options  network     its outputs are logits
             data        a data set with classes
             objective   what the network was trained for: it says how logits become probabilities
    Raises   ValueError for data without classes, or a network that does not fit them
    """
    if not data.classes:
        raise ValueError(f"{data.name} must have classes to be classified, and has real targets")
    if network.sizes[0] != data.features:
        raise ValueError(
            f"{data.name} has {data.features} features per example, "
            f"and the network takes {network.sizes[0]}"
        )
    slices = (slice(at, at + EVALUATION_BATCH) for at in range(0, len(data), EVALUATION_BATCH))
    with closing(data.batches(slices, network.theta.dtype)) as batches:
        z = np.concatenate([forward(network, X)[-1] for X, _ in batches])
    z = as_logits(z, objective)
    if z.shape[1] != len(data.classes):
        raise ValueError(
            f"{data.name} has {len(data.classes)} classes, and the network {z.shape[1]} outputs"
        )
    return Answers(data, z, F.softmax(z))


def probabilities(z: Array, objective: str | Objective = "cross_entropy") -> Array:
    """Return the probability of each class.

    Shapes   z (N, C), the network's outputs, of "two_classes" (N, 1) → p (N, C) in float64
    Options  objective   as of `as_logits`
    """
    return F.softmax(as_logits(z, objective))


def as_logits(z: Array, objective: str | Objective = "cross_entropy") -> Array:
    """Return logits whose softmax are the probabilities.

        cross_entropy   z
        two_classes     [0, z]     softmax is [1 - σ(z), σ(z)]
        one_vs_rest     log σ(z)   softmax is σ(z) divided by its sum over the classes

    Shapes   z (N, C), the network's outputs, of "two_classes" (N, 1) → (N, C) in float64
    Options  objective   what the network was trained for
    """
    goal, z = objectives.get(objective), z.astype(np.float64)
    if isinstance(goal, TwoClasses):
        return np.concatenate([np.zeros_like(z), z], axis=1)
    return -np.logaddexp(0, -z) if isinstance(goal, OneVsRest) else z


def image_size_of(
    network: Parameters, image_size: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Return the (height, width) of a network's inputs: the one given, or that of squares.

    Raises   ValueError for inputs that are no images of this size
    """
    D = network.sizes[0]
    side = math.isqrt(D)
    size = image_size or (side, side)
    if size[0] * size[1] != D:
        advice = "" if image_size else ": give image_size=(height, width)"
        raise ValueError(f"the network takes {D} features, which are no {size} image{advice}")
    return size


def first_weights(
    network: Parameters, image_size: tuple[int, int], count: int
) -> tuple[list[int], Array]:
    """Return the first layer's weights as images, and the numbers of their units, from 0.

    Of a wide layer these are the `count` units with the longest weights.

    Shapes   → count numbers, (count, height, width)
    """
    W = as_dense(network).views[0][0]
    length = np.square(W.astype(np.float64)).sum(axis=0)
    units = np.sort(np.argsort(-length, kind="stable")[:count])
    return units.tolist(), W.T[units].reshape(-1, *image_size)
