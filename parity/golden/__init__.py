"""Recorded trainings of torch, as files: what they hold, and that they hold it still.

A file has what it takes to check scratchnn where there is no torch, or no GPU: the settings, which
make data, start and batches anew; the loss of every step; some entries of θ, and the norm of each
of its arrays, at some steps; and in float32 the whole first step: what every layer put out, the
gradient of that, and some entries of the gradient and of the new θ.

    __init__.py  the files (traces/)
    replay.py    those, checked with NumPy alone
    record.py    recording torch
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.steps.trace import Trace
from scratchnn import recipes
from scratchnn.arrays import Array
from scratchnn.data import DataError, minibatches
from scratchnn.mlp import Parameters
from scratchnn.recipes import RECIPES, Run

FOLDER = Path(__file__).parent / "traces"
MILESTONES = (1, 2, 5, 10, 20, 50, 100)
SAMPLES = 64  # entries of an array of θ
HYPER = ("learning_rate", "batch_size", "momentum", "epochs")


@dataclass(frozen=True)
class Golden:
    """A recorded training: facts, which are JSON, and arrays."""

    name: str
    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def precision(self) -> str:
        """As which products it is judged unless told otherwise: "ieee" or "tf32"."""
        return str(self.facts["precision"])


def save(path: Path, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
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


def prepare(golden: Golden) -> Run:
    """Make data, start and rng anew.

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
    """Return torch's first step, as far as it is recorded; the rng of `run` is left as it is.

    What its ReLUs put out is not: it is made here from z, so that a replay does not judge them.
    """
    arrays, before = golden.arrays, run.parameters.copy()
    rows = first_rows(run)
    X, target = run.train.batch(rows, before.theta.dtype)
    last = len(before.layers)
    z = [arrays[f"z_{i}"] for i in range(1, last + 1)]
    hidden = [part for array in z[:-1] for part in (array, np.maximum(array, 0))]
    dz = [arrays[f"dz_{i}"] for i in range(1, last + 1)]
    grad, after = (_spread(before, arrays["entries"], arrays[name]) for name in ("grad", "after"))
    known = _spread(before, arrays["entries"], np.ones(len(arrays["entries"]), bool))
    spaced = [part for array in dz for part in (array, array)][:-1]  # no one reads those of a
    outputs = [*hidden, z[-1]]
    loss = arrays["losses"][0]
    return Trace(X, target, before, None, outputs, spaced, loss, grad, after, known)


def first_rows(run: Run) -> NDArray[Any]:
    """Return the examples of the first batch, from a copy of the run's rng."""
    rng = np.random.default_rng()
    rng.bit_generator.state = run.rng.bit_generator.state
    return minibatches(len(run.train), run.recipe.batch_size, rng)[0]


def entries(parameters: Parameters) -> NDArray[Any]:
    """Choose places in θ to record: up to SAMPLES of each array, drawn once and for all."""
    rng, places, start = np.random.default_rng(0), [], 0
    for layer in parameters.layers:
        for array in layer:
            few = rng.choice(array.size, min(SAMPLES, array.size), replace=False)
            places.append(start + np.sort(few))
            start += array.size
    return np.concatenate(places).astype(np.int32)


def norms(parameters: Parameters) -> Array:
    """Return the Euclidean norm of each array of θ."""
    arrays = [array for layer in parameters.layers for array in layer]
    return np.array([np.linalg.norm(array.astype(np.float64)) for array in arrays])


def start_digest(parameters: Parameters) -> str:
    """Return the SHA-256 of θ."""
    return hashlib.sha256(parameters.theta.tobytes()).hexdigest()


def _spread(like: Parameters, places: NDArray[Any], values: NDArray[Any]) -> Parameters:
    parameters = Parameters.zeros(like.sizes, values.dtype)
    parameters.theta[places] = values
    return parameters


def _digest(text: str, arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
