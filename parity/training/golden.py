"""Recorded trainings of torch: the files (traces/), what they hold, replaying and recording.

A file has what it takes to check scratchnn where there is no torch, or no GPU: the settings, which
make data, start and batches again; the loss of every step; at some steps a few entries of θ, and
the norm of each of its arrays; and in float32 the first step: z and dz of every layer with weights,
and some entries of the gradient and of the new θ.

To replay takes NumPy alone; to record takes torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from parity.digits import Precision
from parity.judge import Difference, compare, worst
from parity.training.network import KINKS
from parity.training.optimizers import with_state
from parity.training.step import check_step, numbered
from parity.training.trace import FREE_RUN_TOLERANCE, Settings, Trace, batches, epoch, take_step
from scratchnn.data import DataError
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array, IntArray
from scratchnn.run import recipes
from scratchnn.run.recipes import RECIPES, Recipe, Run

if TYPE_CHECKING:
    import torch


FOLDER = Path(__file__).parent / "traces"
MILESTONES = (1, 2, 5, 10, 20, 50, 100)
SAMPLES = 64  # entries of an array of θ
HYPER = ("learning_rate", "batch_size", "momentum", "epochs", "activation")


Arrays = dict[str, AnyArray]


class Golden(NamedTuple):
    """A recorded training: facts, which are JSON, and arrays."""

    name: str
    facts: dict[str, Any]
    arrays: Arrays


def save(path: Path, facts: Mapping[str, object], arrays: Arrays) -> None:
    """Write a recording with its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts)
    content: dict[str, Any] = {"facts": text, "sha256": _digest(text, arrays), **arrays}
    np.savez_compressed(path, **content)


def load(path: str | Path) -> Golden:
    """Read what `save` wrote.

    Raises   FileNotFoundError; DataError for a file that is damaged or something else
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `python -m parity record` writes recordings")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        text, sha256 = str(arrays.pop("facts")), str(arrays.pop("sha256"))
        facts = json.loads(text)
    except Exception as error:  # np.load raises a dozen kinds on bytes that are not its own
        raise DataError(f"{path}: expected a recording of `parity record`, got {error}") from error
    if _digest(text, arrays) != sha256:
        raise DataError(f"{path}: the recording does not match its SHA-256 {sha256[:12]}…")
    if facts.get("recipe") not in RECIPES:
        raise DataError(f"{path}: its recipe is unknown here: {facts.get('recipe')!r}")
    return Golden(path.stem, facts, arrays)


def _digest(text: str, arrays: Arrays) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def entries(parameters: Parameters) -> IntArray:
    """Choose places in θ to record: up to SAMPLES of each array, drawn once and for all."""
    rng, places, start = np.random.default_rng(0), [], 0
    for _, _, array in parameters.arrays():
        few = rng.choice(array.size, min(SAMPLES, array.size), replace=False)
        places.append(start + np.sort(few))
        start += array.size
    return np.concatenate(places).astype(np.int32)


def norms(parameters: Parameters) -> Array:
    arrays = parameters.astype(np.float64).arrays()
    return np.array([np.linalg.norm(array) for _, _, array in arrays])


def start_digest(parameters: Parameters) -> str:
    return hashlib.sha256(parameters.theta.tobytes()).hexdigest()


# Replaying


@dataclass(frozen=True)
class Replay:
    """What a recording and scratchnn differ in, each at its worst.

    unbounded   the first quantity of the first step whose bound says nothing: then it fails
    """

    name: str
    judged_as: str
    differences: list[Difference]
    unbounded: str | None = None

    @property
    def holds(self) -> bool:
        return self.unbounded is None and all(difference.holds for difference in self.differences)

    def __str__(self) -> str:
        if self.holds:
            most = worst(self.differences)
            share = f"{most.ratio:.0%} of a tolerance ({most.quantity})"
            return f"{self.name}: holds, at worst {share}"
        first = next((str(found) for found in self.differences if not found.holds), None)
        nothing = f"the bound of {self.unbounded} is infinite or NaN, and says nothing"
        return f"{self.name}: FAILS, judged as {self.judged_as}: {first or nothing}"


def replay(recording: Golden, judged_as: str | None = None) -> Replay:
    """Train as torch was trained, and compare with what it recorded.

    float64: losses, entries of θ and norms of a free run, within 1e-12 of θ. float32: the first
    step, operation by operation within its bounds, and how far a free run came. TF32: the first
    step alone.

    Options  judged_as   "ieee" or "tf32"; default: the recording's own
    Raises   DataError where the seed leads to another start than it did
    """
    run, judged_as = prepare(recording), judged_as or recording.facts["precision"]
    differences: list[Difference] = []
    unbounded = None
    if run.parameters.theta.dtype == np.float32:
        step = check_step(1, first_step(recording, run), Settings.of(run, judged_as))
        unbounded = step.unbounded
        broken = [step.broken.difference()] if step.broken else []
        differences += [*broken, step.outputs, step.loss, step.gradient, step.parameters]
    if recording.facts["allowed"] is not None:
        differences += _free_run(recording, run)
    return Replay(recording.name, judged_as, differences, unbounded)


def prepare(golden: Golden) -> Run:
    """Make data, start and rng again.

    Raises   DataError where the seed leads to another start than it did
    """
    facts = golden.facts
    recipe = recipes.get(facts["recipe"]).on(facts["data"], **facts["hyper"])
    run = recipes.prepare(recipe, seed=facts["seed"], dtype=facts["dtype"])
    if start_digest(run.parameters) != facts["start"]:
        raise DataError(
            f"{golden.name}: seed {facts['seed']} leads to another start than it was recorded "
            f"with: NumPy {facts['environment']['numpy']} then, {np.__version__} now"
        )
    return run


def first_step(golden: Golden, run: Run) -> Trace:
    """Return torch's first step; the rng of `run` is left as it is.

    What is not recorded is computed here from what is, by our own operations. So it is not judged
    in a replay: most of the gradient and of the new θ, what the ReLUs put out, and the gradient
    of that where they are off. Where they are on, it is their dz.
    """
    arrays, before, places = golden.arrays, run.parameters.copy(), golden.arrays["entries"]
    rng = np.random.default_rng()
    rng.bit_generator.state = run.rng.bit_generator.state
    X, target = next(epoch(replace(run, rng=rng)))
    layers, views, names, outputs = before.layers, before.views, _names(before), [X]
    for i, name in enumerate(names):
        known = name in arrays
        y = arrays[name] if known else layers[i].forward(outputs[-1].copy(), *views[i])
        outputs.append(y)
    grad, gradients = Parameters.zeros(layers, X.dtype), [arrays[f"d{names[-1]}"]]
    for i in reversed(range(len(layers))):
        x, dy = outputs[i], gradients[0]
        layers[i].gradients(dy, x, *views[i], out=grad.views[i])
        if i > 0:
            dx = arrays.get(f"d{names[i - 1]}")
            if dx is None:
                off = layers[i].backward(dy.copy(), x, outputs[i + 1], *views[i])
                dx = np.where(x > 0, arrays[f"d{names[i - 2]}"], off)
            gradients.insert(0, dx)
    grad.theta[places] = arrays["grad"]
    after = before.copy()
    with_state(run.optimizer, {}).step(after.theta, grad.theta)
    after.theta[places] = arrays["after"]
    return Trace(target, before, outputs, gradients, arrays["losses"][0], grad, after)


def _names(parameters: Parameters) -> list[str]:
    """Return z_1, a_1, z_2, ...: an array of a recording for the output of each layer."""
    both = zip(numbered(parameters.layers), parameters.layers, strict=True)
    return [f"{'z' if layer.shapes else 'a'}_{number}" for number, layer in both]


def _free_run(recording: Golden, run: Run) -> list[Difference]:
    """Train, and compare with every loss, and with θ at the steps where some of it is recorded."""
    arrays, allowed = recording.arrays, recording.facts["allowed"]
    parameters, settings, found = run.parameters, Settings.of(run), []
    exact = parameters.theta.dtype == np.float64
    rows = {step: row for row, step in enumerate(arrays["milestones"])}
    for step, batch in enumerate(islice(batches(run), recording.facts["steps"]), 1):
        loss, grad = take_step(parameters, *batch, settings)
        if exact:  # |ΔL| ≤ Σ |g| |Δθ|, and as much again for the rounding of L
            reach = allowed * (1 + float(abs(grad.theta).sum()))
            ours, torch = np.asarray(loss, grad.theta.dtype), arrays["losses"][step - 1]
            found.append(compare(f"loss of step {step}", ours, torch, reach))
        if step in rows:
            theta, row = parameters.theta[arrays["entries"]], rows[step]
            found.append(compare(f"θ after step {step}", theta, arrays["theta"][row], allowed))
            if exact:  # |Δ‖θ‖| ≤ ‖Δθ‖ ≤ √n max |Δθ|
                reach = allowed * np.sqrt([array.size for _, _, array in parameters.arrays()])
                ours, torch = norms(parameters), arrays["norms"][row]
                found.append(compare(f"norms after {step}", ours, torch, reach))
    return found


# Recording


def record(
    recipe: Recipe, device: torch.device, dtype: str, precision: Precision, seed: int, steps: int
) -> tuple[dict[str, object], Arrays]:
    """Train a recipe in torch and return the facts and the arrays of a recording.

    Among the facts is how far a free run may come; None for TF32, which we do not compute.

    Options  recipe      what to train, on which data
             device      where torch computes
             dtype       of θ: "float32" or "float64"
             precision   of torch's products of float32 matrices
             seed        of the initial parameters and the order of the examples
             steps       how many to record, or all of the recipe's where it has fewer
    Raises   ValueError for a layer, an objective or an optimizer that parity has no rule for
    """
    from parity import devices
    from parity.training import free_run

    allowed: float | None = None if precision == "tf32" else FREE_RUN_TOLERANCE
    if (dtype, precision) == ("float32", "ieee"):
        again = recipes.prepare(recipe, seed=seed, dtype=dtype)
        allowed = free_run.train(again, device, steps).allowed
    run = recipes.prepare(recipe, seed=seed, dtype=dtype)
    start, arrays = start_digest(run.parameters), _record(run, device, precision, steps)
    simulated = ", simulated" if (device.type, precision) == ("cpu", "tf32") else ""
    environment = devices.environment(device) | {"float32 products": f"{precision}{simulated}"}
    facts = {
        "recipe": recipe.name,
        "data": recipe.data,
        "seed": seed,
        "dtype": dtype,
        "device": device.type,
        "precision": precision,
        "steps": len(arrays["losses"]),
        "hyper": {name: getattr(recipe, name) for name in HYPER},
        "start": start,
        "allowed": allowed,
        "environment": environment,
    }
    return facts, arrays


def _record(run: Run, device: torch.device, precision: Precision, steps: int) -> Arrays:
    """Train, and keep what a recording has.

    Of the first step in float32 that is also the outputs and their gradients, and entries of the
    gradient and of the new θ. Those of a ReLU are left out: they are made again from its z and dz.
    """
    from parity.training.torch_side import TorchSide

    side, places = TorchSide(run, device, precision), entries(run.parameters)
    (X, target), *rest = islice(batches(run), steps)
    first = side.step(X, target)
    losses, reached = [float(first.loss)], {1: first.after}
    for step, (X, target) in enumerate(rest, 2):
        losses.append(side.advance(X, target))
        if step in MILESTONES:
            reached[step] = side.parameters()
    arrays: Arrays = {
        "entries": places,
        "losses": np.array(losses, run.parameters.theta.dtype),
        "milestones": np.array([*reached]),
        "theta": np.array([theta.theta[places] for theta in reached.values()]),
        "norms": np.array([norms(theta) for theta in reached.values()]),
    }
    if first.loss.dtype == np.float32:
        arrays |= {"grad": first.grad.theta[places], "after": first.after.theta[places]}
        for i, name in enumerate(_names(first.before)):
            if first.before.layers[i].op not in KINKS:
                arrays |= {name: first.outputs[i + 1], f"d{name}": first.gradients[i]}
    return arrays
