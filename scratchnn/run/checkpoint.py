"""Saving and loading a network: an .npz with θ, its layers, a description, and a SHA-256 of all.

With an optimizer its state is saved, too, so that training goes on from there bit for bit.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from scratchnn.data import DataError, files
from scratchnn.data.transforms import description_as_json
from scratchnn.layers import Dense, Kronecker, Layer, ReLU, describe, from_description
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray
from scratchnn.optim import Optimizer, Scheduled
from scratchnn.optim.state import state_of
from scratchnn.run.replacing import current

if TYPE_CHECKING:
    import zipfile

STATE = "state_"  # in front of the names of an optimizer's arrays
KIND = STATE + "of"  # which optimizer has that state
FILES = ("checkpoint.npz", "parameters.npz")  # in a run's folder; the second is that of 0.1
OTHERS = ("previous.npz", "best.npz")  # beside the first


def save(
    path: str | Path,
    parameters: Parameters,
    *,
    optimizer: Optimizer | None = None,
    previous: Path | None = None,
    **description: Any,
) -> None:
    """Write θ, the layers, an optimizer's state and a description (of JSON values) to an .npz file.

    The file takes its place only when it is whole, so that a crash, or another process that
    saves under the same name, leaves the one or the other.

    Options  optimizer     its state is saved, too
             previous      a second name, for the file that had the first one until now
             description   what `load` returns besides the parameters. A transform is kept in words:
                           transform=train.transform
    Raises   OSError that names the file; TypeError that names a value which JSON cannot hold
    """
    path, text = Path(path), description_as_json(description)
    layers = json.dumps([describe(layer) for layer in parameters.layers])
    state: dict[str, AnyArray] = {}
    if optimizer is not None:
        arrays = state_of(parameters.theta, optimizer.state)
        state = {STATE + name: array for name, array in arrays.items()}
        state[KIND] = np.array(_kind(optimizer))
    content: dict[str, Any] = {
        "theta": parameters.theta,
        "layers": np.array(layers),
        "sha256": np.array(_digest(layers, parameters.theta, state, text)),
        "description": np.array(text),
        "format": np.array(2),
        **state,
    }

    def write(file: BinaryIO) -> None:
        np.savez(file, **content)

    with files.naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    files.place(path, write, previous=previous)


def load(
    path: str | Path, *, optimizer: Optimizer | None = None
) -> tuple[Parameters, dict[str, Any]]:
    """Read what `save` wrote: the parameters and the description.

    Files of scratchnn 0.1, which hold sizes in place of layers, load as well. No more memory is
    taken than the file is long.

        network, said = checkpoint.load("runs/mlp")
        test = data.load(said["data"])[1].with_transform(said["transform"])

    Options  path        the file, or the folder of a run, whose last checkpoint is then read
             optimizer   gets the state that was saved
    Raises   FileNotFoundError; DataError for a file that is damaged or something else; ValueError
             for an optimizer of another kind
    """
    path = _file_of(Path(path))
    try:
        content = _read(path)
        theta, sha256 = content["theta"], _text(content, "sha256")
        layers, signed = _layers(content)
        if theta.dtype.kind != "f":
            raise ValueError(f"theta of {theta.dtype}")
        parameters = Parameters(layers, theta)
        text = _text(content, "description")
        description: dict[str, Any] = json.loads(text)
        if not isinstance(description, dict):
            raise ValueError(f"a description that is no dictionary: {text[:40]}")
        state = {name: array for name, array in content.items() if name.startswith(STATE)}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing: it must be a run's folder, as `scratchnn train --out` makes, or "
            "its .npz"
        ) from error
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on bytes not their own
        raise DataError(
            f"{path}: expected parameters saved by scratchnn, got {error}{_beside(path)}"
        ) from error
    if _digest(signed, theta, state, text if "format" in content else "") != sha256:
        raise DataError(
            f"{path} is damaged: the parameters do not match their SHA-256 "
            f"{sha256[:12]}…{_beside(path)}"
        )
    kind = str(state.pop(KIND, ""))
    if optimizer is not None:
        if kind not in ("", _kind(optimizer)):
            raise ValueError(
                f"{path} was saved with the optimizer {kind}, whose state fits no other, "
                f"got {_kind(optimizer)}: take {kind} again, or begin a new training"
            )
        optimizer.state = {name.removeprefix(STATE): array for name, array in state.items()}
    return parameters, description


def _kind(optimizer: Optimizer) -> str:
    """Return whose state it is: of a scheduled optimizer, that of the optimizer."""
    if isinstance(optimizer, Scheduled):
        return _kind(optimizer.optimizer)
    return type(optimizer).__name__


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    run = current(path)
    found = [run / name for name in FILES if (run / name).exists()]
    if not found:
        advice = _beside(path / FILES[0]) or ": `scratchnn train --out` writes one"
        raise DataError(
            f"{path}: expected parameters saved by scratchnn, got a folder without "
            f"{FILES[0]}{advice}"
        )
    return found[0]


def _beside(path: Path) -> str:
    """Return which other files of a run's folder may be whole, or nothing."""
    names = [name for name in OTHERS if name != path.name and path.with_name(name).exists()]
    whole = " or ".join(str(path.with_name(name)) for name in names)
    return f": try {whole}" if path.name in (*FILES, *OTHERS) and whole else ""


def _read(path: Path) -> dict[str, AnyArray]:
    """Return the arrays of an .npz file. All that is read was stored at its full length.

    Raises   ValueError for what is compressed, or longer than the file: it might fill the memory
    """
    import zipfile  # takes a while, and few programs load anything

    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for ever
        raise ValueError("something that is no regular file")
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("arrays that are compressed")
        if sum(member.file_size for member in members) > facts.st_size:
            raise ValueError("arrays longer than the file")
        return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> AnyArray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(stream)
        length = member.file_size - stream.tell()
        if math.prod(shape) * dtype.itemsize != length:
            raise ValueError(f"{member.filename} of {length} bytes for {dtype} of shape {shape}")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _text(content: Mapping[str, AnyArray], name: str) -> str:
    array = content[name]
    if array.shape != () or array.dtype.kind != "U":
        raise ValueError(f"{name} of {array.dtype} and shape {array.shape}, not a text")
    return str(array)


def _layers(content: Mapping[str, AnyArray]) -> tuple[list[Layer], str]:
    """Return the layers, and the text by which the SHA-256 knows them."""
    if "layers" in content:
        text = _text(content, "layers")
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


def _digest(layers: str, theta: AnyArray, state: Mapping[str, AnyArray], description: str) -> str:
    """Return the SHA-256 of a file's content. In files before format 2 it knows no description."""
    import hashlib  # takes a while, and few programs save anything

    digest = hashlib.sha256(f"{layers}{theta.dtype}".encode())
    digest.update(np.ascontiguousarray(theta).view(np.uint8).data)
    for name in sorted(state):
        digest.update(f"{name}{state[name].dtype}".encode() + state[name].tobytes())
    digest.update(description.encode())
    return digest.hexdigest()
