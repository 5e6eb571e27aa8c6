"""What a lockstep run found: a table, a verdict, JSON and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from parity.judge import Difference, worst
from parity.training.step import KINDS, StepResult, sound
from scratchnn import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from parity.training.lockstep import EpochResult, Lockstep

HEADER = (
    f"{'':>5}  {'loss':^17}  {'accuracy':^15}  "
    f"{'largest difference and its tolerance, of':^55}  worst\n"
    f"{'epoch':>5}  {'NumPy':>8} {'torch':>8}  {'NumPy':>7} {'torch':>7}  "
    f"{'loss':^17}  {'gradient':^17}  {'update of θ':^17}   share"
)


def epoch_line(row: EpochResult) -> str:
    """Format one epoch under HEADER."""
    loss, gradient, update = (
        f"{found.largest:.1e} {_sign(found.largest, found.largest_tolerance)} "
        f"{found.largest_tolerance:.1e}"
        for found in _worst(row).values()
    )
    return (
        f"{row.epoch:>5}  {_loss(row.ours.loss)} {_loss(row.torch.loss)}  "
        f"{_percent(row.ours.accuracy)} {_percent(row.torch.accuracy)}  "
        f"{loss}  {gradient}  {update}  {_share(_highest(row.steps)):>6}"
    )


def verdict(result: Lockstep) -> str:
    """Say whether parity holds, and what came closest to breaking it; then, what failed first.

    In between, how far apart the freely trained θ are, and what else is to be known of the steps.
    """
    step, word = result.worst, "holds" if result.holds else "FAILS"
    words = (
        f"parity {word} in {result.dtype} on {result.device}: {len(result.steps):,} steps, "
        f"worst {_share(step.worst.ratio)} of its tolerance "
        f"({step.worst.quantity}, step {step.step}); trained freely, the two θ are at most "
        f"{result.free_run:.1e} apart"
    )
    if result.free_run_tolerance is not None:
        words += f" {_sign(result.free_run, result.free_run_tolerance)} 1e-12"
    elif result.kinks:
        words += " (in float32 a ReLU that flips moves all that follows)"
    if result.limits:
        words += f", compared with {max(result.limits):.1e}, ten times torch's own drift"
    if result.flips:
        right = all(step.outputs.holds for step in sound(result.steps) if step.flips)
        within = "within rounding" if right else "not all within rounding"
        words += f"; {result.flips} ReLUs were on in one and off in the other, {within}"
    if first := result.diverged:
        words += f"; the training diverged on both sides, at step {first.step}"
    if first := result.unbounded:
        words += (
            f"; from step {first.step} on some bounds are infinite or NaN and say nothing (first "
            f"that of {first.unbounded}): what they belong to is not judged"
        )
    return words if result.holds else f"{words}\n{failure(result)}"


def failure(result: Lockstep) -> str:
    """Say what left its tolerance first, and where."""
    if result.culprit:
        return "\n".join(filter(None, (str(result.culprit), result.reproduction)))
    if step := result.strayed:
        return f"first at step {step.step}, the freely trained θ differ by {step.free_run:.1e}"
    if row := result.unlike:
        sides = f"NumPy {_percent(row.ours.accuracy)}, torch {_percent(row.torch.accuracy)}"
        return f"first after epoch {row.epoch}, the accuracies differ: {sides}"
    return "nothing left its tolerance"


def as_dict(result: Lockstep) -> dict[str, object]:
    diverged, unbounded = result.diverged, result.unbounded
    return {
        "dtype": result.dtype,
        "steps": len(result.steps),
        "free_run": result.free_run,
        "free_run_tolerance": result.free_run_tolerance,
        "flips": result.flips,
        "diverged": diverged and diverged.step,
        "unbounded": unbounded and {"step": unbounded.step, "quantity": unbounded.unbounded},
        "interrupted": result.interrupted,
        "failure": None if result.holds else failure(result),
        "reproduction": result.reproduction,
        "worst": {"step": result.worst.step, **asdict(result.worst.worst)},
        "epochs": [
            {
                "epoch": row.epoch,
                "numpy": row.ours._asdict(),
                "torch": row.torch._asdict(),
                **{kind: asdict(difference) for kind, difference in _worst(row).items()},
            }
            for row in result.epochs
        ],
    }


def _worst(row: EpochResult) -> dict[str, Difference]:
    return {kind: worst([getattr(step, kind) for step in sound(row.steps)]) for kind in KINDS[1:]}


def picture(result: Lockstep, title: str) -> Figure:
    """Draw both sides' losses and accuracies, and every step's differences over their tolerance."""
    has_accuracy = result.epochs[0].ours.accuracy is not None
    figure, axes = plots.new_figure(3 if has_accuracy else 2)
    epochs = [row.epoch for row in result.epochs]
    for axis, name in zip(axes, ["loss", "accuracy"][: len(axes) - 1], strict=False):
        ours = [getattr(row.ours, name) for row in result.epochs]
        theirs = [getattr(row.torch, name) for row in result.epochs]
        axis.plot(epochs, ours, "o-", color=plots.BLUE, linewidth=4, alpha=0.5, label="NumPy")
        axis.plot(epochs, theirs, "--", color=plots.ORANGE, marker=".", label="torch")
        axis.set(xlabel="epoch", ylabel=f"test {name}" if has_accuracy else name)
        plots.whole_numbers(axis)
        axis.legend(frameon=False)
    _draw_ratios(axes[-1], result.steps)
    figure.suptitle(title if result.holds else f"{title}: parity FAILS")
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


def _sign(value: float, tolerance: float) -> str:
    return "≤" if value <= tolerance else ">"


def _share(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio < 100 else f"{ratio:.0e} ×"


def _loss(loss: float) -> str:
    return f"{loss:8.4f}" if abs(loss) < 1000 else f"{loss:8.1e}"


def _percent(accuracy: float | None) -> str:
    return f"{'-':>7}" if accuracy is None else f"{accuracy:7.2%}"
