"""Saving and loading a network: an .npz with θ, its layers, a description, and a SHA-256.

With an optimizer its state is saved, too, so that training goes on from there bit for bit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError
from scratchnn.layers import Dense, Kronecker, Layer, ReLU, describe, from_description
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray
from scratchnn.optim import Optimizer

STATE = "state_"  # in front of the names of an optimizer's arrays
KIND = STATE + "of"  # which optimizer has that state


def save(
    path: str | Path,
    parameters: Parameters,
    *,
    optimizer: Optimizer | None = None,
    **description: Any,
) -> None:
    """Write θ, the layers, an optimizer's state and a description (of JSON values) to an .npz file.

    The file takes its place only when it is whole, so that a crash leaves the old one.
    """
    path, text = Path(path), json.dumps(description)
    layers = json.dumps([describe(layer) for layer in parameters.layers])
    state: dict[str, AnyArray] = {}
    if optimizer is not None:
        state = {STATE + name: array for name, array in optimizer.state.items()}
        state[KIND] = np.array(type(optimizer).__name__)
    content: dict[str, Any] = {
        "theta": parameters.theta,
        "layers": np.array(layers),
        "sha256": np.array(_digest(layers, parameters.theta, state)),
        "description": np.array(text),
        **state,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, **content)
    os.replace(partial, path)


def load(
    path: str | Path, *, optimizer: Optimizer | None = None
) -> tuple[Parameters, dict[str, Any]]:
    """Read what `save` wrote: the parameters and the description.

    Files of scratchnn 0.1, which hold sizes in place of layers, load as well.

    Options  optimizer   gets the state that was saved
    Raises   FileNotFoundError; DataError for a file that is damaged or something else
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
            theta, sha256 = content["theta"], str(content["sha256"])
            layers, signed = _layers(content)
            parameters = Parameters(layers, theta)
            description: dict[str, Any] = json.loads(str(content["description"]))
            state = {name: content[name] for name in content.files if name.startswith(STATE)}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing: `scratchnn train --out DIR` writes parameters"
        ) from error
    except Exception as error:  # np.load raises a dozen kinds on bytes that are not its own
        raise DataError(f"{path}: expected parameters saved by scratchnn, got {error}") from error
    if _digest(signed, theta, state) != sha256:
        raise DataError(f"{path}: the parameters do not match their SHA-256 {sha256[:12]}…")
    kind = str(state.pop(KIND, ""))
    if optimizer is not None:
        if kind not in ("", type(optimizer).__name__):
            raise DataError(
                f"{path}: the state saved is {kind}'s, not {type(optimizer).__name__}'s"
            )
        optimizer.state = {name.removeprefix(STATE): array for name, array in state.items()}
    return parameters, description


def _layers(content: Mapping[str, AnyArray]) -> tuple[list[Layer], str]:
    """Return the layers, and the text by which the SHA-256 knows them."""
    if "layers" in content:
        text = str(content["layers"])
        return [from_description(row) for row in json.loads(text)], text
    return _layers_of_version_1(content)


def _layers_of_version_1(content: Mapping[str, AnyArray]) -> tuple[list[Layer], str]:
    """Read a file of 0.1: sizes, an n for each Kronecker layer's, and ReLUs between the layers."""
    sizes: list[int] = content["sizes"].tolist()
    terms = content["kronecker"].tolist() if "kronecker" in content else [0] * len(sizes)
    layers: list[Layer] = []
    for D, H, n in zip(sizes[:-1], sizes[1:], terms[1:], strict=True):
        layers += [Kronecker(D, H, n) if n else Dense(D, H), ReLU()]
    named = [f"Kronecker({H}, n={n})" if n else str(H) for H, n in zip(sizes, terms, strict=True)]
    comma = "," if len(named) == 1 else ""
    return layers[:-1], f"({', '.join(named)}{comma})"


def _digest(layers: str, theta: AnyArray, state: Mapping[str, AnyArray]) -> str:
    import hashlib  # takes a while, and few programs save anything

    digest = hashlib.sha256(f"{layers}{theta.dtype}".encode() + theta.tobytes())
    for name in sorted(state):
        digest.update(f"{name}{state[name].dtype}".encode() + state[name].tobytes())
    return digest.hexdigest()
