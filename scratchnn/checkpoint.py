"""Saving and loading θ: an .npz with the sizes, a description, and a SHA-256 of the numbers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError
from scratchnn.mlp import Kronecker, Parameters


def save(path: str | Path, parameters: Parameters, **description: Any) -> None:
    """Write θ, the sizes and a description (of JSON values) to an .npz file.

    The file takes its place only when it is whole, so that a crash leaves the old one.
    """
    path, text = Path(path), json.dumps(description)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            theta=parameters.theta,
            sizes=np.array(parameters.sizes),
            kronecker=np.array([getattr(size, "n", 0) for size in parameters.sizes]),
            sha256=np.array(_digest(parameters)),
            description=np.array(text),
        )
    os.replace(partial, path)


def load(path: str | Path) -> tuple[Parameters, dict[str, Any]]:
    """Read what `save` wrote: the parameters and the description.

    Raises   FileNotFoundError; DataError for a file that is damaged or something else
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
            parameters = Parameters(_sizes(content), content["theta"])
            sha256 = str(content["sha256"])
            description: dict[str, Any] = json.loads(str(content["description"]))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing: `scratchnn train --out DIR` writes parameters"
        ) from error
    except Exception as error:  # np.load raises a dozen kinds on bytes that are not its own
        raise DataError(f"{path}: expected parameters saved by scratchnn, got {error}") from error
    if _digest(parameters) != sha256:
        raise DataError(f"{path}: the parameters do not match their SHA-256 {sha256[:12]}…")
    return parameters, description


def _sizes(content: Mapping[str, Any]) -> list[int]:
    sizes: list[int] = content["sizes"].tolist()
    terms = content["kronecker"].tolist() if "kronecker" in content else [0] * len(sizes)
    return [Kronecker(size, n) if n else size for size, n in zip(sizes, terms, strict=True)]


def _digest(parameters: Parameters) -> str:
    import hashlib

    theta = parameters.theta
    return hashlib.sha256(f"{parameters.sizes}{theta.dtype}".encode() + theta.tobytes()).hexdigest()
