"""A process that runs one backend. Requests and replies are lines of JSON.

    python -m benchmarks.worker NAME THREADS

    {"do": "facts"}                      → {"versions": ..., "threads": ...}
    {"do": "prepare", "case": C, "results": FILE} → {}     results for the check, as npz, or ""
    {"do": "warm", "seconds": s}         → {"number": n}   runs in a turn of about s seconds
    {"do": "time", "number": n}          → {"seconds": of one run}
    {"do": "memory", "case": C}          → {"bytes": peak of the process in an epoch, beyond ...}

A reply {"not run": why} or {"failed": why} takes the place of any of them.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.backends import BACKENDS, Library, Task, Trainer
from benchmarks.cases import JSON, Case, NotRunError
from benchmarks.environment import OF_PARITY, THREADS
from benchmarks.inputs import forget, one_step, short
from benchmarks.ops import inputs
from scratchnn.extras import need
from scratchnn.ops.shared import AnyArray

PACKAGES = ("numpy", "scipy", "torch", "torchvision", "jax", "jaxlib", "scikit-learn")
STATUS = Path("/proc/self/status")


def main(name: str, threads: int) -> None:
    """Answer requests until there are no more."""
    for variable in OF_PARITY:
        os.environ.pop(variable, None)  # in time: the backend's libraries are imported later
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    worker = Worker(name, threads)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(worker.answer(request)), file=replies, flush=True)


class Worker:
    """One backend, and the case that it works on."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.library: Library | None = None
        self.run: Callable[[], object] = lambda: None
        self.first_runs = 1  # in which compilers compile

    def answer(self, request: JSON) -> JSON:
        """Do what is asked."""
        do = request.pop("do")
        try:
            return getattr(self, do)(**request)
        except NotRunError as error:
            return {"not run": str(error)}
        except Exception as error:
            traceback.print_exc()
            return {"failed": f"{type(error).__name__}: {error}"}

    def facts(self) -> JSON:
        """Return versions, and what the libraries say about their threads."""
        self.opened()
        pools = need("threadpoolctl", "benchmarks").threadpool_info()
        return {
            "versions": {package: v for package in PACKAGES if (v := _version(package))},
            "threads": self.threads,
            "pools": {f"{p['user_api']} {p['prefix']}": p["num_threads"] for p in pools},
            "variables": {name: os.environ.get(name) for name in (*THREADS, *OF_PARITY)},
        }

    def prepare(self, case: JSON, results: str) -> JSON:
        """Write the results that show that the case is done right, then get ready for it."""
        library, chosen = self.opened(), Case.from_dict(case)
        self.run = lambda: None  # lets go of the case before
        task = _task(library, chosen)
        if results:
            found = results_of(library, chosen, task)
            np.savez(results, **found)  # type: ignore[arg-type]
        self.run = task.run if task else work_of(library, chosen)
        self.first_runs = 2 if chosen.kind == "step" else 1  # an optimizer's second step differs
        return {}

    def warm(self, seconds: float) -> JSON:
        """Run once or twice to compile, and return how many runs fill a turn."""
        for _ in range(self.first_runs):
            self.run()
        number, elapsed = 1, self._elapsed(1)
        while elapsed < seconds / 4:
            number *= 4
            elapsed = self._elapsed(number)
        return {"number": max(1, round(number * seconds / elapsed))}

    def time(self, number: int) -> JSON:
        """Return the mean time of some runs."""
        return {"seconds": self._elapsed(number) / number}

    def memory(self, case: JSON) -> JSON:
        """Return the most that the process holds in an epoch, beyond its libraries and the data.

        Two small batches come first, as libraries load some parts late. The data count as the
        backend holds them. What only the checks need is not there.
        """
        library, chosen = self.opened(), Case.from_dict(case)
        if not STATUS.exists():
            raise NotRunError("the peak of a process is read from /proc, which is not here")
        library.trainer(replace(chosen, examples=2 * chosen.batch), "float32").epoch()
        forget()
        before = _settled()
        trainer = library.trainer(chosen, "float32")
        forget()
        _settled()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        trainer.epoch()
        return {"bytes": _status("VmHWM") - before - trainer.data_bytes}

    def opened(self) -> Library:
        """Return the library, opened at the first request."""
        if self.library is None:
            self.library = BACKENDS[self.name].open()
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(self.threads)
            gc.freeze()  # or each collection would look at all that the library is made of
        return self.library

    def _elapsed(self, number: int) -> float:
        gc.collect()
        gc.disable()
        start = perf_counter()
        for _ in range(number):
            self.run()
        elapsed = perf_counter() - start
        gc.enable()
        return elapsed


def results_of(library: Library, case: Case, task: Task | None = None) -> dict[str, AnyArray]:
    """Return what checks.py compares: the results of a task, or trained parameters.

    Options  task   the case as a task, where it is made already: compilers compile it once
    """
    if task is None or case.kind == "loading":
        task = _task(library, short(case) if case.kind == "loading" else case)
    if task:
        return {str(i): array for i, array in enumerate(task.result())}
    exact = library.trainer(short(case), "float64")
    step = library.trainer(one_step(case), "float32")
    for trainer in (exact, step):
        _training(trainer, case)()
    return {"float64": exact.theta(), "float32": step.theta(), "order": exact.order()}


def work_of(library: Library, case: Case) -> Callable[[], object]:
    """Return what is to be timed."""
    if task := _task(library, case):
        return task.run
    return _training(library.trainer(case, "float32"), case)


def _task(library: Library, case: Case) -> Task | None:
    """Return the case as a task, or None where it is a training."""
    if hasattr(library, "floor"):
        return library.floor(case)
    if case.kind == "op":
        return library.op(case.op, *inputs(case.op, case.shape))
    if case.kind == "inference":
        return library.predictor(case)
    return library.loader(case) if case.kind == "loading" else None


def _training(trainer: Trainer, case: Case) -> Callable[[], object]:
    return trainer.step if case.kind == "step" else trainer.epoch


def _settled() -> int:
    """Give back what is free but still held; return the size of the process."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    return _status("VmRSS")


def _status(field: str) -> int:
    """Return a field of /proc/self/status, in bytes."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
