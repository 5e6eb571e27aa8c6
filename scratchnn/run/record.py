"""The record of a run, run.json: what decides its bits, and how it stands."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError, Dataset
from scratchnn.data.idx import check_file
from scratchnn.distributed.launch import world
from scratchnn.ops.shared import AnyArray
from scratchnn.run import files
from scratchnn.run.history import HISTORY, parse

RUN = "run.json"  # its name in a run's folder
NEEDED = ("recipe", "data", "epochs", "seed")  # the settings that every run by the command has
SAMPLE = 1024  # rows of a mapped file that are looked at: to read all of it would take too long


def read_record(path: Path) -> dict[str, Any]:
    """Return what a run's run.json says.

    Options  path   the run's folder, or the file
    Raises   FileNotFoundError; DataError for something else
    """
    path = files.current(path) / RUN if path.is_dir() else path
    try:
        found = json.loads(check_file(path).read_bytes())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing: name a folder of `scratchnn train --out`"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected the record of a run, got {error}") from error
    kinds = {"run": str, "environment": dict}
    if not (isinstance(found, dict) and all(isinstance(found.get(n), k) for n, k in kinds.items())):
        raise DataError(f"{path}: expected the record of a run, got other JSON")
    return found


def read(folder: str | Path) -> dict[str, Any]:
    """Return what a run's folder says: run.json, and "history", its epochs, whole lines alone.

    Raises   FileNotFoundError; DataError for damaged files
    """
    found = read_record(Path(folder))
    path = files.current(Path(folder)) / HISTORY
    rows = parse(path, check_file(path).read_bytes())
    return {**found, "history": [row for row in rows if "batch" not in row]}


def settings(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a run by `scratchnn train`.

    Options  path    the run's folder, or its run.json
             names   of the settings; one that an older run has not is None
    Raises   FileNotFoundError; DataError for something else, or a run of another program
    """
    found = read_record(path).get("settings")
    if not isinstance(found, dict) or not all(name in found for name in NEEDED):
        raise DataError(
            f"{path}: expected a run of `scratchnn train`: one of your own program goes on "
            "there, with scratchnn.resume"
        )
    return {name: found.get(name) for name in names}


def check_data(folder: Path, data: Mapping[str, object]) -> None:
    """Raise where the data are not those of a run.

    Options  folder   of the run
             data     the fingerprints of its parts
    Raises   DataError
    """
    differ = differences(read_record(folder).get("data", data), data)
    if differ:
        raise DataError(f"{folder} was trained on other data: {'; '.join(differ)}")


def environment() -> dict[str, str]:
    """Return the versions and the machine."""
    from scratchnn import __version__  # this module is imported by that one

    return {
        "scratchnn": __version__,
        "numpy": np.__version__,
        "blas": _blas(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "ranks": str(world().size),
    }


def fingerprint(data: Dataset | None) -> dict[str, str | int] | None:
    """Return name, sizes and a SHA-256 of a data set; of a mapped file, of some of its rows.

    Options  data   the data set; None stays None
    """
    if data is None:
        return None
    digest = hashlib.sha256()
    for array in (data.X, data.target):
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(_looked_at(array)).data)
    return {
        "name": data.name,
        "examples": len(data),
        "features": data.features,
        "sha256": digest.hexdigest(),
    }


def differences(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return what differs, in words: "numpy 2.4.6, now 2.5.0"."""
    names = list(then) + [name for name in now if name not in then]
    return [
        f"{name} {then.get(name)}, now {now.get(name)}"
        for name in names
        if then.get(name) != now.get(name)
    ]


def _looked_at(array: AnyArray) -> AnyArray:
    if isinstance(array, np.memmap) and len(array) > SAMPLE:
        return array[np.linspace(0, len(array) - 1, SAMPLE).astype(np.intp)]
    return array


def _blas() -> str:
    facts = np.show_config(mode="dicts") or {}
    blas = facts.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _processor() -> str:
    """Return the processor's name: the BLAS takes other kernels on another."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
