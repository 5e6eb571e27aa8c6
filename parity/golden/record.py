"""Recording torch: the first steps of a recipe, with all that a check without torch needs."""

from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parity import devices, golden
from parity.lockstep import FREE_RUN_TOLERANCE
from parity.lockstep.torch_side import TorchSide
from parity.steps.trace import Trace
from parity.training import free_run
from scratchnn import recipes
from scratchnn.recipes import Recipe, Run


def record(
    recipe: Recipe,
    device: torch.device,
    dtype: str,
    precision: devices.Precision,
    *,
    seed: int = 1,
    steps: int = 100,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Train a recipe in torch and return the facts and the arrays of a golden trace."""
    run = recipes.prepare(recipe, seed=seed, dtype=dtype)
    arrays = _train(run, TorchSide(run, device, precision), steps)
    facts = {
        "recipe": recipe.name, "data": recipe.data, "seed": seed, "dtype": dtype,
        "device": device.type, "precision": precision, "steps": len(arrays["losses"]),
        "hyper": {name: getattr(recipe, name) for name in golden.HYPER},
        "start": golden.start_digest(run.parameters),
        "allowed": _allowed(recipe, device, dtype, precision, seed, steps),
        "environment": devices.environment(device)
        | {"float32 products": _products(device, precision)},
    }  # fmt: skip
    return facts, arrays


def _products(device: torch.device, precision: devices.Precision) -> str:
    return f"{precision}, simulated" if (device.type, precision) == ("cpu", "tf32") else precision


def _train(run: Run, side: TorchSide, steps: int) -> dict[str, NDArray[Any]]:
    places, dtype = golden.entries(run.parameters), run.parameters.theta.dtype
    (X, target), *rest = islice(free_run.batches(run), steps)
    first = side.step(X, target)
    losses, reached = [float(first.loss)], {1: first.after}
    for step, (X, target) in enumerate(rest, 2):
        losses.append(side.advance(X, target))
        if step in golden.MILESTONES:
            reached[step] = side.parameters()
    arrays = {
        "entries": places, "losses": np.array(losses, dtype), "milestones": np.array([*reached]),
        "theta": np.array([theta.theta[places] for theta in reached.values()]),
        "norms": np.array([golden.norms(theta) for theta in reached.values()]),
    }  # fmt: skip
    return arrays | (_first(first, places) if dtype == np.float32 else {})


def _first(trace: Trace, places: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the first step: z and dz of every layer, and entries of the gradient and the new θ."""
    last = len(trace.before.layers)
    kept = {f"z_{i + 1}": trace.outputs[2 * i] for i in range(last)}
    kept |= {f"dz_{i + 1}": trace.gradients[2 * i] for i in range(last)}
    return kept | {"grad": trace.grad.theta[places], "after": trace.after.theta[places]}


def _allowed(
    recipe: Recipe,
    device: torch.device,
    dtype: str,
    precision: devices.Precision,
    seed: int,
    steps: int,
) -> float | None:
    """Return how far a free run may come; None for TF32, which we do not compute."""
    if precision == "tf32":
        return None
    if dtype == "float64":
        return FREE_RUN_TOLERANCE
    run = recipes.prepare(recipe, seed=seed, dtype=dtype)
    return free_run.train(run, device, steps).allowed
