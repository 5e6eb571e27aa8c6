"""Both sides trained freely, compared with torch and torch with one weight moved by one ulp.

Rounding makes two right implementations drift apart, and a network with ReLUs amplifies it: if one
flips, all that follows moves. Torch drifts from itself, too, after the smallest change that there
is. How far it does, in five such controls, shows how much of a drift means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from parity import bounds
from parity.digits import Precision
from parity.training import network
from parity.training.lockstep import distance
from parity.training.report import Lockstep
from parity.training.torch_side import TorchSide
from parity.training.trace import FREE_RUN_TOLERANCE, Settings, batches, take_step
from scratchnn import plots
from scratchnn.run.recipes import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MILESTONES = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000)
CONTROLS = 5
MARGIN = 10.0  # a choice: five starts do not show all that the same chaos may do


@dataclass
class FreeRun:
    """How far apart the parameters are after each step: ours from torch's, and torch's own.

    deep             whether the network has ReLUs
    apart            max |θ - θ| of ours and torch's
    control          the same of torch and torch + 1 ulp: the largest of all controls
    largest_update   of an entry of θ in one step
    largest_theta    the largest entry of θ
    """

    dtype: str
    device: str
    deep: bool
    apart: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)
    largest_update: float = 0.0
    largest_theta: float = 0.0
    interrupted: bool = False

    @property
    def limits(self) -> list[float]:
        """How far apart they may be after each step.

        float64: 1e-12, or ten times what torch has drifted from itself by then.

        float32: ten times what torch drifts from itself over the run, or what rounding itself
        brings, if that is more. Without ReLUs each side rounds θ once per step: 2 steps u |θ|.
        With them, a flip moves θ by a part of an update.
        """
        if self.dtype == "float64":
            drift = np.maximum.accumulate(self.control)
            return [max(FREE_RUN_TOLERANCE, MARGIN * float(far)) for far in drift]
        steps, u = len(self.apart), bounds.unit_roundoff(np.dtype(self.dtype))
        rounding = 2 * steps * u * self.largest_theta
        brought = self.largest_update if self.deep else rounding
        return [MARGIN * max(*self.control, brought)] * steps

    @property
    def allowed(self) -> float:
        """How far apart they may be at the end, and at most."""
        return self.limits[-1]

    @property
    def holds(self) -> bool:
        return all(np.less_equal(self.apart, self.limits))

    def table(self) -> str:
        """Return max |θ - θ| at some steps, next to the control's."""
        lines = [f"{'max |θ - θ| at step':>19}  {'NumPy, torch':>12}  {'torch, torch + 1 ulp':>20}"]
        for step in milestones(len(self.apart)):
            apart, control = self.apart[step - 1], self.control[step - 1]
            lines.append(f"{step:>19,}  {apart:>12.1e}  {control:>20.1e}")
        return "\n".join(lines)

    def verdict(self) -> str:
        """Return one line: whether they stayed as close as they must, and how close that is."""
        word, sign = ("holds", "≤") if self.holds else ("FAILS", ">")
        drifted = self.allowed == MARGIN * max(self.control)
        rounding = "the largest update" if self.deep else "rounding θ at each step"
        why = f"{self.allowed:.1e}, ten times {'the control' if drifted else rounding}"
        if self.allowed == FREE_RUN_TOLERANCE:
            why = "1e-12"
        return (
            f"free run {word} in {self.dtype} on {self.device}: {len(self.apart):,} steps, "
            f"at most {max(self.apart):.1e} apart {sign} {why}"
        )

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"allowed": self.allowed}

    def picture(self, title: str) -> Figure:
        """Draw both curves, log-log."""
        figure, (axis,) = plots.new_figure(1)
        figure.set_size_inches(6, 4)
        moved = "torch and torch with a weight moved by 1 ulp"
        ours = self.apart, "NumPy and torch", plots.BLUE, "-"
        for values, label, colour, style in (ours, (self.control, moved, plots.ORANGE, "--")):
            shown = {step: value for step, value in enumerate(values, 1) if value > 0}
            axis.plot(list(shown), list(shown.values()), style, color=colour, label=label)
        axis.set(xlabel="step", ylabel="max |θ - θ|", xscale="log", yscale="log")
        axis.legend(frameon=False, loc="upper left")
        axis.set_ylim(top=30 * max(*self.apart, *self.control))  # room for the legend
        figure.suptitle(title if self.holds else f"{title}: parity FAILS")
        return figure


def train(
    run: Run, device: torch.device, steps: int | None, precision: Precision = "ieee"
) -> FreeRun:
    """Train ours, torch, and torch with one weight moved by one ulp, several times."""
    parameters, settings = run.parameters, Settings.of(run)
    deep = bool(network.kinks(parameters))
    result = FreeRun(parameters.theta.dtype.name, device.type, deep)
    theirs, *moved = (TorchSide(run, device, precision) for _ in range(1 + CONTROLS))
    before = parameters.theta.copy()
    try:
        for X, target in islice(batches(run), steps):
            theirs.advance(X, target)
            after = theirs.parameters().theta
            if not result.apart:  # nudge the largest entries that the first step has moved
                sizes = abs(after) * (after != before)
                moved = moved[: np.count_nonzero(sizes)]
                for side, entry in zip(moved, np.argsort(sizes)[::-1], strict=False):
                    side.nudge(int(entry), after[entry])
            for side in moved:
                side.advance(X, target)
            take_step(parameters, X, target, settings)
            result.apart.append(distance(parameters.theta, after))
            result.control.append(max(distance(side.parameters().theta, after) for side in moved))
            result.largest_update = max(result.largest_update, distance(after, before))
            result.largest_theta = max(result.largest_theta, distance(after, 0))
            before = after
    except KeyboardInterrupt:
        result.interrupted = True
        if not result.control:
            raise
    return result


def allow_drift(
    result: Lockstep, again: Callable[[], Run], device: torch.device, precision: Precision = "ieee"
) -> None:
    """Give a lockstep the limits of its free run, if all that it lacks is to keep within 1e-12.

    To find torch's own drift takes another training. So it is looked at only where it matters.

    Options  again   prepares the same run anew
    """
    if result.steps_hold and result.strayed:
        result.limits = train(again(), device, len(result.steps), precision).limits


def milestones(steps: int) -> list[int]:
    """Return the steps that a table shows: the last, and round numbers before it."""
    return [step for step in MILESTONES if step < steps] + [steps]
