"""What the figures depend on: processor, GPU, driver, BLAS, versions, threads, commit, load."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.cases import JSON

CPUINFO = Path("/proc/cpuinfo")
PROC = Path("/proc")
SHORTEST = 0.1  # seconds: a tick is a hundredth of a second
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
OF_PARITY = ("OMP_WAIT_POLICY", "CUBLAS_WORKSPACE_CONFIG")  # that parity sets when it is imported


class Load:
    """How busy the machine is during a run. Our own work and that of compilers count.

    Units    threads that run or wait to: means over 1, 5 and 15 minutes, as the kernel has them
    """

    def __init__(self) -> None:
        self.begin = self.end = self.largest = self._now()

    def look(self) -> None:
        """Look before a case, or at the end."""
        self.end = self._now()
        self.largest = max(self.largest, self.end)

    def facts(self) -> dict[str, list[float]]:
        """Return the load at the beginning, at the end, and where its first mean was largest."""
        return {"begin": self.begin, "end": self.end, "largest": self.largest}

    def _now(self) -> list[float]:
        return [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []


class OtherWork:
    """How many cores work for other processes than this one and its children, since it was made.

    The kernel counts the time of all cores in /proc/stat, in ticks, and that of each process in
    /proc/PID/stat. The difference is the work of others. Time that a hypervisor took away counts
    as others' work, too.
    """

    def __init__(self) -> None:
        self.start, self.ticks = time.perf_counter(), _ticks_of_others()

    def cores(self) -> float | None:
        """Return the mean number of cores, or None where the system does not say.

        It is None after less than a tenth of a second, in which there are too few ticks.
        """
        seconds, ticks = time.perf_counter() - self.start, _ticks_of_others()
        if ticks is None or self.ticks is None or seconds < SHORTEST:
            return None
        return round(max(0, ticks - self.ticks) / os.sysconf("SC_CLK_TCK") / seconds, 2)


def others_now(seconds: float = 1.0) -> float | None:
    """Return how many cores other processes take in the next second, or None if unknown."""
    work = OtherWork()
    time.sleep(seconds)
    return work.cores()


def _ticks_of_others() -> int | None:
    try:
        cores = PROC.joinpath("stat").read_text().split("\n", 1)[0]
        return _busy(cores) - _ours(dict(_processes()))
    except (OSError, ValueError, IndexError):  # another system
        return None


def _busy(line: str) -> int:
    """Return the ticks in which a core was busy, of the first line of /proc/stat."""
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return user + nice + system + irq + softirq + steal


def _processes() -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield the number of each process, with its parent's and its ticks.

    The ticks include those of children that ended. The name, in brackets, may have blanks.
    """
    for path in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended
            fields = path.read_text().rpartition(")")[2].split()
            yield int(path.parent.name), (int(fields[1]), sum(map(int, fields[11:15])))


def _ours(processes: dict[int, tuple[int, int]]) -> int:
    """Add up the ticks of this process, its children, theirs, and so on."""
    ours, more = {os.getpid()}, {os.getpid()}
    while more:
        more = {pid for pid, (parent, _) in processes.items() if parent in more} - ours
        ours |= more
    return sum(ticks for pid, (_, ticks) in processes.items() if pid in ours)


def environment(threads: list[int], seed: int) -> JSON:
    """Return the facts of this machine as a run begins; `seed` is that of the order of the turns.

    The load and what the workers say are added at the end.
    """
    return {
        **_software(),
        "machine": machine(),
        "cpu": cpu(),
        "gpu": gpu(),
        "threads": threads,
        "date": datetime.now(UTC).date().isoformat(),
        "seed of the turns": seed,
    }


def variables(threads: int) -> dict[str, str]:
    """Return the environment variables of a process that is timed.

    Libraries read them when they are imported. Two kinds are left out. What parity sets for its
    comparisons: with a passive OMP_WAIT_POLICY torch's threads sleep after each product, and a step
    takes up to twice as long. And what sets up a BLAS by hand: with OPENBLAS_CORETYPE=Haswell, as
    some machines have it for the same bits everywhere, products do without AVX-512.
    """
    one = " --xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if name not in OF_PARITY and not name.startswith(("OPENBLAS_", "MKL_"))
        },
        **dict.fromkeys(THREADS, str(threads)),
        "XLA_FLAGS": (os.environ.get("XLA_FLAGS", "") + one).strip(),
        "JAX_PLATFORMS": "cpu",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def held_to(number: int) -> Iterator[None]:
    """Hold this process to some cores in a block, and with it those that it starts.

    So libraries that count the cores themselves find as many as the threads they are to have.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def machine() -> str:
    """Return a name for the results file: GPU or processor, and its cores."""
    facts = gpu()
    words = facts["name"] if facts else f"{cpu()} {cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu() -> str:
    """Return the processor's name."""
    names = re.findall(r"model name\s*:\s*(.+)", CPUINFO.read_text()) if CPUINFO.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def gpu() -> dict[str, str] | None:
    """Return name, driver and memory of the first GPU, or None where there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    fields = ("name", "driver_version", "memory.total")
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    if done.returncode or not done.stdout.strip():
        return None
    values = done.stdout.splitlines()[0].split(", ")
    return dict(zip(fields, values, strict=True))


def environment_line(facts: JSON) -> str:
    """Return what the figures were measured on."""
    gpu = facts["gpu"]
    machine = facts["cpu"] + (f", {gpu['name']} (driver {gpu['driver_version']})" if gpu else "")
    workers = (worker for team in facts["workers"].values() for worker in team.values())
    versions = {name: v for worker in workers for name, v in worker["versions"].items()}
    libraries = ", ".join(f"{name} {v}" for name, v in versions.items() if name != "jaxlib")
    threads = " and ".join(map(str, facts["threads"]))
    return (
        f"{machine}; threads: {threads}; {libraries}; BLAS {facts.get('blas', 'unknown')}; Python "
        f"{facts['python']}; {facts['date']}, commit {facts.get('commit')}.\n"
    )


def _software() -> JSON:
    try:
        import torch
    except ModuleNotFoundError:
        return {"python": platform.python_version(), "numpy": np.__version__}
    from parity import devices

    return devices.environment(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
