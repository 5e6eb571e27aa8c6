"""Final accuracies of both sides, trained freely from the same start over several seeds.

Two right float32 trainings of a network do not end alike, and any tolerance for their accuracies
would be a guess. But one side may be right where the other is wrong more often than chance has it:
that can be tested.

Source   McNemar 1947, doi:10.1007/BF02295996
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from itertools import islice
from statistics import mean, stdev

import numpy as np
import torch

from parity import report
from parity.digits import Precision
from parity.training.torch_side import TorchSide
from parity.training.trace import Settings, batches, take_step
from scratchnn import mlp
from scratchnn.data import Dataset
from scratchnn.run.recipes import Run

LEVEL = 0.001  # of a false alarm, over all seeds together
CONFIDENCE = 0.95
HEADER = f"{'seed':>5}  {'NumPy':>7}  {'torch':>7}  {'right in one alone':>18}  McNemar's p"


@dataclass(frozen=True)
class Pair:
    """Both sides of one seed: accuracies, and the test examples that only one has right."""

    seed: int
    ours: float
    torch: float
    only_ours: int
    only_torch: int
    examples: int

    @property
    def p(self) -> float:
        """The probability of a split as uneven as this where both sides are equally good."""
        return mcnemar(self.only_ours, self.only_torch)

    def __str__(self) -> str:
        split = f"{self.only_ours} : {self.only_torch}"
        return f"{self.seed:>5}  {self.ours:>7.2%}  {self.torch:>7.2%}  {split:>18}  {self.p:.3g}"


@dataclass
class Paired:
    """The pairs of all seeds."""

    dtype: str
    device: str
    pairs: list[Pair] = field(default_factory=list)
    interrupted: bool = False

    @property
    def holds(self) -> bool:
        """Whether no seed's split is too uneven for chance, nor all seeds' differences together."""
        return not self.one_sided and all(p.p >= LEVEL / len(self.pairs) for p in self.pairs)

    @property
    def one_sided(self) -> bool:
        """Whether all seeds' differences together are too large for chance."""
        strict = self.interval(1 - LEVEL)
        return strict is not None and not strict[0] <= 0 <= strict[1]

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Return the paired confidence interval of the mean difference, by Student's t.

        A few equal differences have no spread. It is taken as at least that of fair coins, one per
        example that only one side has right: √(only ours + only torch) / examples.
        """
        if len(self.pairs) < 2:
            return None
        differences = [pair.ours - pair.torch for pair in self.pairs]
        coins = mean((pair.only_ours + pair.only_torch) / pair.examples**2 for pair in self.pairs)
        centre, n = mean(differences), len(differences)
        spread = max(stdev(differences), math.sqrt(coins))
        reach = student_t(n - 1, confidence) * spread / math.sqrt(n)
        return centre - reach, centre + reach

    def verdict(self) -> str:
        """Say whether the accuracies are alike, and how well their difference is known."""
        if not self.pairs:
            return "no seed was trained to its end"
        word = "holds" if self.holds else "FAILS"
        lowest = min(pair.p for pair in self.pairs)
        text = (
            f"accuracy {word} in {self.dtype} on {self.device}: {len(self.pairs)} seeds, "
            f"lowest p {lowest:.3g}, refused below {LEVEL / len(self.pairs):.1g}"
        )
        interval = self.interval()
        if interval is None:
            return text
        low, high = (f"{100 * end:+.2f}" for end in interval)
        if self.one_sided:
            text += f"; the interval at {1 - LEVEL:.1%} excludes 0"
        return (
            f"{text}; NumPy - torch within [{low}, {high}] points ({CONFIDENCE:.0%}, Student's t)"
        )

    def table(self) -> str:
        header = ["seed", "NumPy", "torch", "right in NumPy alone", "in torch alone", "McNemar's p"]
        formats = "{0.seed}", "{0.ours:.2%}", "{0.torch:.2%}", "{0.only_ours}", "{0.only_torch}"
        row = *formats, "{0.p:.3g}"
        return report.table(header, [[text.format(pair) for text in row] for pair in self.pairs])

    def as_dict(self) -> dict[str, object]:
        pairs = [asdict(pair) | {"p": pair.p} for pair in self.pairs]
        return asdict(self) | {"pairs": pairs, "interval": self.interval()}


def train(
    run: Run, device: torch.device, seed: int, steps: int | None, precision: Precision = "ieee"
) -> Pair:
    """Train both sides on the same batches, and compare their predictions on the test part.

    Raises   ValueError for a recipe without classes
    """
    test, side, settings = test_part(run), TorchSide(run, device, precision), Settings.of(run)
    for X, target in islice(batches(run), steps):
        take_step(run.parameters, X, target, settings)
        side.advance(X, target)
    X, target = test.batch(slice(None), run.parameters.theta.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is reported
        ours, theirs = mlp.predict(run.parameters, X) == target, side.right(test)
    alone, alone_torch = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    accuracies = float(ours.mean()), float(theirs.mean())
    return Pair(seed, *accuracies, alone, alone_torch, len(ours))


def test_part(run: Run) -> Dataset:
    """Return the data that both sides are compared on.

    Raises   ValueError for a recipe without classes
    """
    if run.test is None or not Settings.of(run).objective.classes:
        raise ValueError(f"accuracy needs a recipe with classes, got {run.recipe.name}")
    return run.test


def mcnemar(b: int, c: int) -> float:
    """Return the exact two-sided p of b against c: n = b + c fair coins, 2 P(at most the fewer)."""
    n = b + c
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n)


def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return t with P(|T| ≤ t) = confidence.

    With t = √freedom tan α, that P is the integral of cos^(freedom - 1) from 0 to α over the one up
    to π/2. So α is looked up among the integrals, made by the trapezoidal rule.
    """
    angles = np.linspace(0, math.pi / 2, 100_001)
    density = np.cos(angles) ** (freedom - 1)
    integral = np.cumsum(density[1:] + density[:-1])
    angle = np.interp(confidence, integral / integral[-1], angles[1:])
    return math.sqrt(freedom) * math.tan(angle)
