"""A process that runs one backend: requests and replies are lines of JSON.

    python -m benchmarks.worker NAME THREADS

    {"do": "facts"}                      → {"versions": ..., "threads": ...}
    {"do": "prepare", "case": C, "results": FILE} → {}     results for the check, as npz, or ""
    {"do": "warm", "seconds": s}         → {"number": n}   runs in a turn of about s seconds
    {"do": "time", "number": n}          → {"seconds": of one run}
    {"do": "memory", "case": C}          → {"bytes": peak of the process in an epoch, beyond ...}

A reply {"not run": why} or {"failed": why} takes the place of any of them.
"""

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
from typing import Any

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
PACKAGES = ("numpy", "scipy", "torch", "torchvision", "jax", "jaxlib", "scikit-learn")
STATUS = Path("/proc/self/status")


def environment(threads: int) -> dict[str, str]:
    """Return the variables of a worker: they are read when libraries are imported."""
    one = " --xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    flags = (os.environ.get("XLA_FLAGS", "") + one).strip()
    return {
        **os.environ,
        **dict.fromkeys(VARIABLES, str(threads)),
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
        "PYTHONUNBUFFERED": "1",
    }


def main(name: str, threads: int) -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    if hasattr(os, "sched_setaffinity"):  # also for libraries that count cores themselves
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    worker = Worker(name, threads)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(worker.answer(request)), file=replies, flush=True)


class Worker:
    """One backend, and the case that it works on."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.backend: Any = None
        self.run: Callable[[], Any] = lambda: None
        self.first_runs = 1  # in which compilers compile

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked."""
        from benchmarks.cases import NotRunError

        do = request.pop("do")
        try:
            if self.backend is None:
                self._open()
            answer: dict[str, Any] = getattr(self, do)(**request)
        except NotRunError as error:
            return {"not run": str(error)}
        except Exception as error:
            traceback.print_exc()
            return {"failed": f"{type(error).__name__}: {error}"}
        return answer

    def facts(self) -> dict[str, Any]:
        """Return versions, and what the libraries say about their threads."""
        from scratchnn.extras import need

        pools = need("threadpoolctl", "benchmarks").threadpool_info()
        return {
            "versions": {package: v for package in PACKAGES if (v := _version(package))},
            "threads": self.threads,
            "pools": {f"{p['user_api']} {p['prefix']}": p["num_threads"] for p in pools},
        }

    def prepare(self, case: dict[str, Any], results: str) -> dict[str, Any]:
        """Write the results that show that the case is done right, then get ready for it."""
        import numpy as np

        from benchmarks.cases import Case
        from benchmarks.work import results_of, work_of

        chosen = Case.from_dict(case)
        self.run = lambda: None  # lets go of the case before
        if results:
            arrays: dict[str, Any] = results_of(self.backend, chosen)
            np.savez(results, **arrays)
        self.run, _ = work_of(self.backend, chosen)
        self.first_runs = 2 if chosen.kind == "step" else 1  # an optimizer's second step differs
        return {}

    def warm(self, seconds: float) -> dict[str, Any]:
        """Run once or twice to compile, and say how many runs fill a turn."""
        for _ in range(self.first_runs):
            self.run()
        number, elapsed = 1, self._elapsed(1)
        while elapsed < seconds / 4:
            number *= 4
            elapsed = self._elapsed(number)
        return {"number": max(1, round(number * seconds / elapsed))}

    def time(self, number: int) -> dict[str, Any]:
        """Return the mean time of some runs."""
        return {"seconds": self._elapsed(number) / number}

    def memory(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return what the process holds at most in an epoch, beyond its libraries and the data.

        Two small batches come before: they load what libraries load late. The data are counted as
        the backend holds them, and nothing that stands here for the checks is there.
        """
        from benchmarks.cases import Case, NotRunError
        from benchmarks.inputs import forget
        from benchmarks.work import work_of

        if not STATUS.exists():
            raise NotRunError("the peak of a process is read from /proc, which is not here")
        chosen = Case.from_dict(case)
        work_of(self.backend, replace(chosen, examples=2 * chosen.batch))[0]()
        forget()
        before = _settled()
        run, trainer = work_of(self.backend, chosen)
        forget()
        _settled()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        run()
        return {"bytes": _status("VmHWM") - before - trainer.data_bytes}

    def _open(self) -> None:
        from benchmarks.backends import BACKENDS

        self.backend = BACKENDS[self.name].open()
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(self.threads)

    def _elapsed(self, number: int) -> float:
        gc.collect()
        gc.disable()
        start = perf_counter()
        for _ in range(number):
            self.run()
        elapsed = perf_counter() - start
        gc.enable()
        return elapsed


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
