"""The record of a run, run.json: what decides its bits, and how it stands."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn.data import DataError, Dataset, files
from scratchnn.data.idx import check_file
from scratchnn.distributed.launch import world
from scratchnn.history import Task
from scratchnn.ops.shared import AnyArray
from scratchnn.run.history import HISTORY, of_generator, parse
from scratchnn.run.replacing import current
from scratchnn.run.terminal import typed, warn

RUN = "run.json"  # its name in a run's folder
RECORDED = (  # what it says of every run
    *("format", "run", "started", "data", "batch_size", "rng", "environment", "every", "log_every"),
    *("resumed", "status", "changed", "error", "epochs", "theta"),
)
NEEDED = ("recipe", "data", "epochs", "seed")  # the settings that every run by the command has
WHERE = "name a folder of `scratchnn train --out`"
SAMPLE = 1024  # rows of a mapped file that are looked at: to read all of it would take too long


def read_record(path: Path) -> dict[str, Any]:
    """Return what a run's run.json says.

    Options  path   the run's folder, or the file
    Raises   FileNotFoundError; DataError for something else
    """
    path = current(path) / RUN if path.is_dir() else path
    try:
        found = json.loads(check_file(path).read_bytes())
    except FileNotFoundError as error:
        old = path.with_name("parameters.npz").exists()
        words = "a run of scratchnn 0.1 has none, and cannot go on: train it anew in another folder"
        words = words if old else WHERE
        raise FileNotFoundError(f"{path} is missing: {words}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected the record of a run, got {error}: {WHERE}") from error
    kinds = {"run": str, "environment": dict, "data": dict, "resumed": list}
    whole: dict[str, Any] = {"data": {}, "resumed": []} | found if isinstance(found, dict) else {}
    if not all(isinstance(whole.get(name), kind) for name, kind in kinds.items()):
        raise DataError(f"{path}: expected the record of a run, got other JSON: {WHERE}")
    return found


def read(folder: str | Path) -> dict[str, Any]:
    """Return what a run's folder says: run.json, and "history", its epochs, whole lines alone.

    The status of a run that was killed is "killed". Its run.json says "running", but no process has
    the lock.

    Raises   FileNotFoundError; DataError for damaged files
    """
    found = read_record(Path(folder))
    path = check_file(history_of(Path(folder)))
    if found.get("status") == "running" and files.is_free(path):
        found["status"] = "killed"
    rows = parse(path, path.read_bytes())
    return {**found, "history": [row for row in rows if "batch" not in row]}


def reached(folder: str | Path) -> int:
    """Return how many epochs a run's history has, up to a line that is damaged.

    A run that goes on cuts off what lies beyond its checkpoint, damaged or not.

    Raises   FileNotFoundError; DataError for a pipe
    """
    path, count = check_file(history_of(Path(folder))), 0
    content = path.read_bytes()
    with suppress(DataError):
        for row in parse(path, content):
            count += "batch" not in row
    return count


def history_of(folder: Path) -> Path:
    """Return the path of a run's history.

    Raises   FileNotFoundError
    """
    path = current(folder) / HISTORY
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing, and a run cannot go on without its history. Its network can still "
            f"be read: scratchnn evaluate {typed(path.with_name('checkpoint.npz'))}"
        )
    return path


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


def of_task(task: Task) -> dict[str, Any]:
    """Return what run.json says of a task: fingerprints of the data, and what decides the order."""
    rng = json.dumps(of_generator(task.rng)) if task.rng is not None else None
    return {
        "data": of_data(task.train, task.test, task.validation),
        "batch_size": int(task.batch_size),
        "rng": hashlib.sha256(rng.encode()).hexdigest()[:16] if rng else None,
    }


def of_data(
    train: Dataset, test: Dataset | None, validation: Dataset | None
) -> dict[str, dict[str, str | int] | None]:
    """Return the fingerprints of the data, by part."""
    parts = {"train": train, "test": test, "validation": validation}
    return {part: fingerprint(data) for part, data in parts.items()}


def check_task(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise where a run cannot go on, because it was given something else when it began.

    The order of the examples goes on as it began, so another rng costs a warning.

    Options  folder   of the run
             then     its run.json
             now      the task, as `of_task` returns it
    Raises   DataError for other data, wherever they are; ValueError for another batch size
    """
    differ = data_differences(then.get("data", now["data"]), now["data"])
    if differ:
        raise DataError(
            f"{folder} was trained on other data: {'; '.join(differ)}. Give it the same data, or "
            "train in another folder"
        )
    size = then.get("batch_size", now["batch_size"])
    if size != now["batch_size"]:
        raise ValueError(
            f"{folder} was trained with batch_size={size}, got {now['batch_size']}: give it the "
            "same, or train in another folder"
        )
    if then.get("rng") and now["rng"] and then["rng"] != now["rng"]:
        warn(
            f"{folder} goes on with the order of the examples that it began with: the rng given is "
            "another, and is not used"
        )


def data_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return which parts of the data differ, in words; their names may, as data can be moved.

    Options  then, now   fingerprints by part, None where there is none
    """
    return [
        f"{part} {_described(then.get(part))}, now {_described(now.get(part))}"
        for part in ("train", "test", "validation")
        if _described(then.get(part)) != _described(now.get(part))
    ]


def _described(found: Mapping[str, Any] | None) -> str:
    if not isinstance(found, Mapping):
        return "none"
    examples, features = found.get("examples"), found.get("features")
    return f"{examples} x {features} numbers (SHA-256 {str(found.get('sha256'))[:12]})"


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
