"""What a lockstep run found: its verdict, as text, JSON and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING

from parity.judge import Difference, worst
from parity.training.step import KINDS, StepResult, sound
from parity.training.trace import FREE_RUN_TOLERANCE
from scratchnn import plots
from scratchnn.history import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from parity.training.lockstep import Culprit

UNKNOWN = Score(nan, None)
GROWTH = 10  # times its first value: a loss that ends above it diverges
HEADER = (
    f"{'':>5}  {'loss':^17}  {'accuracy':^15}  "
    f"{'largest difference and its tolerance, of':^55}  worst\n"
    f"{'epoch':>5}  {'NumPy':>8} {'torch':>8}  {'NumPy':>7} {'torch':>7}  "
    f"{'loss':^17}  {'gradient':^17}  {'update of θ':^17}   share"
)


@dataclass
class EpochResult:
    """What both sides reached by the end of an epoch, and its steps."""

    epoch: int
    ours: Score = UNKNOWN
    torch: Score = UNKNOWN
    steps: list[StepResult] = field(default_factory=list)

    def worst(self) -> dict[str, Difference]:
        """Return the worst difference of each kind but of the outputs."""
        steps = sound(self.steps)
        return {kind: worst([getattr(step, kind) for step in steps]) for kind in KINDS[1:]}

    def __str__(self) -> str:
        """Return a line under HEADER; an infinite bound judges nobody, and is not shown."""
        scores = (
            f"{self.epoch:>5}  {_loss(self.ours.loss)} {_loss(self.torch.loss)}  "
            f"{_percent(self.ours.accuracy)} {_percent(self.torch.accuracy)}"
        )
        if self.steps and all(step.diverged for step in self.steps):
            return f"{scores}  not judged: the training has diverged"
        differences = "  ".join(map(_difference, self.worst().values()))
        return f"{scores}  {differences}  {_share(_highest(self.steps)):>6}"


@dataclass
class Lockstep:
    """The results of a run on both sides.

    kinks          whether the network has ReLUs
    culprit        of the first step that left a tolerance
    reproduction   how to see it again
    limits         of the free run at each step, if a control was run
    """

    dtype: str
    device: str
    kinks: bool
    epochs: list[EpochResult] = field(default_factory=list)
    culprit: Culprit | None = None
    reproduction: str | None = None
    limits: list[float] | None = None
    interrupted: bool = False

    @property
    def steps(self) -> list[StepResult]:
        return [step for epoch in self.epochs for step in epoch.steps]

    @property
    def flips(self) -> int:
        """How many ReLUs were on in one and off in the other within rounding, over all steps."""
        return sum(step.flips for step in self.steps if not step.diverged)

    @property
    def free_run(self) -> float:
        """How far the two freely trained θ came apart at most, before they diverged."""
        return max(step.free_run for step in sound(self.steps))

    @property
    def free_run_tolerance(self) -> float | None:
        """How far they may: 1e-12 in float64; in float32 there is no such number."""
        return FREE_RUN_TOLERANCE if self.dtype == "float64" else None

    @property
    def worst(self) -> StepResult:
        """The step whose worst difference is closest to its tolerance."""
        return max(sound(self.steps), key=lambda step: step.worst.ratio)

    @property
    def diverged(self) -> StepResult | None:
        """The first step after which both sides had diverged."""
        return next((step for step in self.steps if step.diverged), None)

    @property
    def grown(self) -> tuple[float, float] | None:
        """The first loss and the last, if the last is more than ten times larger, or no number."""
        first, last = self.steps[0].loss.torch, self.epochs[-1].torch.loss
        grows = not last <= GROWTH * abs(first) and self.epochs[-1].torch is not UNKNOWN
        return (first, last) if grows else None

    @property
    def unbounded(self) -> StepResult | None:
        """The first step in which a bound was infinite or NaN."""
        return next((step for step in self.steps if step.unbounded), None)

    @property
    def strayed(self) -> StepResult | None:
        """The first step after which the free runs were too far apart, in float64."""
        if self.free_run_tolerance is None:
            return None
        limits = self.limits or []
        for i, step in enumerate(self.steps):
            allowed = max([self.free_run_tolerance, *limits[i : i + 1]])
            if step.free_run > allowed and not step.diverged:
                return step
        return None

    @property
    def unlike(self) -> EpochResult | None:
        """The first epoch with other accuracies, where θ are so close that they must be equal."""
        tolerance = self.free_run_tolerance
        if tolerance is None or self.free_run > tolerance or self.diverged:
            return None
        pairs = ((row, row.ours.accuracy, row.torch.accuracy) for row in self.epochs)
        return next((row for row, a, b in pairs if a != b and not (a != a and b != b)), None)

    @property
    def steps_hold(self) -> bool:
        return all(step.holds for step in self.steps)

    @property
    def holds(self) -> bool:
        """Whether every step is within its tolerances and, in float64, both sides end alike."""
        return self.steps_hold and self.strayed is None and self.unlike is None

    def __str__(self) -> str:
        """Return a line per epoch, and the verdict."""
        return "\n".join([HEADER, *map(str, self.epochs), self.verdict()])

    def verdict(self) -> str:
        """Say whether parity holds, what came closest to breaking it, and what broke it first.

        In between, how far apart the freely trained θ are, and what else the steps showed.
        """
        step, word = self.worst, "holds" if self.holds else "FAILS"
        words = (
            f"parity {word} in {self.dtype} on {self.device}: {len(self.steps):,} steps, "
            f"worst {_share(step.worst.ratio)} of its tolerance "
            f"({step.worst.quantity}, step {step.step}); trained freely, the two θ are at most "
            f"{self.free_run:.1e} apart"
        )
        if self.free_run_tolerance is not None:
            words += f" {_sign(self.free_run, self.free_run_tolerance)} 1e-12"
        elif self.kinks:
            words += " (in float32 a ReLU that flips moves all that follows)"
        if self.limits:
            limit = self.limits[len(sound(self.steps)) - 1]
            words += f", compared with {limit:.1e}, ten times torch's own drift"
        if self.flips:
            right = all(step.outputs.holds for step in sound(self.steps) if step.flips)
            within = "within rounding" if right else "not all within rounding"
            words += f"; {self.flips} ReLUs were on in one and off in the other, {within}"
        if first := self.diverged:
            words += f"; the training diverged on both sides, at step {first.step}"
        elif self.grown:
            start, end = self.grown
            words += f"; the training diverges: its loss grew from {start:.3g} to {end:.3g}"
        if first := self.unbounded:
            words += (
                f"; from step {first.step} on some bounds are infinite or NaN and say nothing "
                f"(first that of {first.unbounded}): what they belong to is not judged"
            )
        return words if self.holds else f"{words}\n{self.failure()}"

    def failure(self) -> str:
        """Say what left its tolerance first, and where."""
        if self.culprit:
            return "\n".join(filter(None, (str(self.culprit), self.reproduction)))
        if step := self.strayed:
            return f"first at step {step.step}, the freely trained θ differ by {step.free_run:.1e}"
        if row := self.unlike:
            sides = f"NumPy {_percent(row.ours.accuracy)}, torch {_percent(row.torch.accuracy)}"
            return f"first after epoch {row.epoch}, the accuracies differ: {sides}"
        return "nothing left its tolerance"

    def as_dict(self) -> dict[str, object]:
        diverged, unbounded = self.diverged, self.unbounded
        return {
            "dtype": self.dtype,
            "steps": len(self.steps),
            "free_run": self.free_run,
            "free_run_tolerance": self.free_run_tolerance,
            "flips": self.flips,
            "diverged": diverged and diverged.step,
            "grown": self.grown,
            "unbounded": unbounded and {"step": unbounded.step, "quantity": unbounded.unbounded},
            "interrupted": self.interrupted,
            "failure": None if self.holds else self.failure(),
            "reproduction": self.reproduction,
            "worst": {"step": self.worst.step, **asdict(self.worst.worst)},
            "epochs": [
                {
                    "epoch": row.epoch,
                    "numpy": row.ours._asdict(),
                    "torch": row.torch._asdict(),
                    **{kind: asdict(difference) for kind, difference in row.worst().items()},
                }
                for row in self.epochs
            ],
        }

    def picture(self, title: str) -> Figure:
        """Draw both losses and accuracies, and each step's differences by their tolerance."""
        has_accuracy = self.epochs[0].ours.accuracy is not None
        figure, axes = plots.new_figure(3 if has_accuracy else 2)
        epochs = [row.epoch for row in self.epochs]
        for axis, name in zip(axes, ["loss", "accuracy"][: len(axes) - 1], strict=False):
            ours = [getattr(row.ours, name) for row in self.epochs]
            theirs = [getattr(row.torch, name) for row in self.epochs]
            axis.plot(epochs, ours, "o-", color=plots.BLUE, linewidth=4, alpha=0.5, label="NumPy")
            axis.plot(epochs, theirs, "--", color=plots.ORANGE, marker=".", label="torch")
            axis.set(xlabel="epoch", ylabel=f"test {name}" if has_accuracy else name)
            plots.whole_numbers(axis)
            axis.legend(frameon=False)
        _draw_ratios(axes[-1], self.steps)
        figure.suptitle(title if self.holds else f"{title}: parity FAILS")
        return figure


def _draw_ratios(axis: Axes, steps: Sequence[StepResult]) -> None:
    colours = {"gradient": plots.ORANGE, "loss": plots.BLUE, "parameters": plots.GREEN}
    for name, colour in colours.items():
        ratios = {step.step: getattr(step, name).ratio for step in steps}
        shown = {step: ratio for step, ratio in ratios.items() if ratio > 0}
        label = name if shown else f"{name} (equal)"
        axis.plot(list(shown), list(shown.values()), ".", color=colour, markersize=3, label=label)
    axis.axhline(1, color="black", linewidth=0.8)
    axis.annotate("tolerance", (steps[0].step, 1), (0, 3), textcoords="offset points")
    axis.set(xlabel="step", ylabel="largest difference / tolerance", yscale="log")
    axis.set_ylim(1e-5, max(8.0, 8 * min(_highest(steps), 1e300)))
    axis.legend(frameon=False, loc="lower right", markerscale=3)


def _highest(steps: Sequence[StepResult]) -> float:
    return max(step.worst.ratio for step in sound(steps))


def _difference(found: Difference) -> str:
    if not isfinite(found.largest_tolerance):
        return f"{'not judged':^17}"
    sign = _sign(found.largest, found.largest_tolerance)
    return f"{found.largest:.1e} {sign} {found.largest_tolerance:.1e}"


def _sign(value: float, tolerance: float) -> str:
    return "≤" if value <= tolerance else ">"


def _share(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio < 100 else f"{ratio:.0e} ×"


def _loss(loss: float) -> str:
    return f"{loss:8.4f}" if abs(loss) < 1000 else f"{loss:8.1e}"


def _percent(accuracy: float | None) -> str:
    return f"{'-':>7}" if accuracy is None else f"{accuracy:7.2%}"
