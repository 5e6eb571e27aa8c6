"""Networks as .safetensors files, which torch and others read. Loading one runs no code.

The metadata hold what torch's names do not say, the layers, and a SHA-256 of all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from scratchnn.data import DataError, files
from scratchnn.data.transforms import description_as_json
from scratchnn.extras import need
from scratchnn.interchange.state_dict import as_dense, from_state_dict, to_state_dict
from scratchnn.layers import describe, from_description
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray


def save_safetensors(path: str | Path, network: Parameters, **description: Any) -> None:
    """Write a network as a .safetensors file with the names and shapes of torch's state dict.

        module.load_state_dict(safetensors.torch.load_file(path))

    Kronecker layers become dense ones. The file takes its place whole.

    Options  path          of the file; its folder must be there
             network       what to write
             description   JSON values that `load_safetensors` returns; a transform is kept in words
    Raises   MissingExtraError; OSError that names the file; TypeError that names a value which
             JSON cannot hold
    """
    package = need("safetensors.numpy", "interchange")
    arrays = to_state_dict(network)
    metadata = {
        "format": "pt",  # as torch's users expect it
        "layers": json.dumps([describe(layer) for layer in as_dense(network).layers]),
        "description": description_as_json(description),
    }
    metadata["sha256"] = _digest(arrays, metadata)
    content: bytes = package.save(arrays, metadata)

    def write(file: BinaryIO) -> None:
        file.write(content)

    files.place(Path(path), write)


def load_safetensors(
    path: str | Path, *, activation: str | None = None
) -> tuple[Parameters, dict[str, Any]]:
    """Read a network from a .safetensors file: one of `save_safetensors`, or torch's.

    Numbers narrower than float32 become float32.

    Options  path         of the file
             activation   between the layers, by name; default: what the file says, or relu
    Raises   MissingExtraError; FileNotFoundError; DataError for a file that is damaged, or holds
             something else; ValueError for an unknown activation
    """
    package = need("safetensors", "interchange")
    path = Path(path)
    if not path.is_file():
        what = "no file" if path.exists() else "missing"
        raise FileNotFoundError(f"{path} is {what}: it must be a .safetensors file")
    if path.suffix == ".onnx":
        raise DataError(f"{path}: .safetensors files can be read, and .onnx files only written")
    try:
        with package.safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = dict(file.metadata() or {})
            names: list[str] = list(file.keys())
            arrays: dict[str, AnyArray] = {name: file.get_tensor(name) for name in names}
    except Exception as error:  # SafetensorError, and TypeError for dtypes that NumPy lacks
        raise DataError(
            f"{path}: expected safetensors of float numbers, as scratchnn's export and torch's "
            f"safetensors.torch.save_file write them, got {error}"
        ) from error
    if "sha256" in metadata and _digest(arrays, metadata) != metadata["sha256"]:
        raise DataError(f"{path}: the content does not match its SHA-256: export it again")
    try:
        network = from_state_dict(arrays, activation=activation or "relu")
        if "layers" in metadata and activation is None:
            layers = [from_description(row) for row in json.loads(metadata["layers"])]
            network = Parameters(layers, network.theta)
        description = json.loads(metadata.get("description", "{}"))
    except (DataError, ValueError, TypeError, KeyError, AttributeError) as error:
        if activation is not None and not isinstance(error, DataError):
            raise  # an activation that there is not
        raise DataError(f"{path}: {error}") from error
    if not isinstance(description, dict):
        raise DataError(f"{path}: expected a description by name, got {description!r}")
    return network, description


def _digest(arrays: Mapping[str, AnyArray], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of all but the SHA-256."""
    import hashlib  # takes a while, and few programs save anything

    digest = hashlib.sha256()
    for name in sorted(metadata.keys() - {"sha256"}):
        digest.update(f"{name}={metadata[name]};".encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}:{array.dtype}{array.shape};".encode() + array.tobytes())
    return digest.hexdigest()
