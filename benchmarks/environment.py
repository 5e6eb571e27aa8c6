"""What the figures depend on: processor, GPU, driver, BLAS, versions, threads, commit, load."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")


class Load:
    """How busy the machine is over a run, our own work and the compilers' included.

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


def environment(threads: list[int], seed: int) -> dict[str, Any]:
    """Return the facts of this machine as a run begins; `seed` is that of the order of the turns.

    What is known at its end, load and workers, is to be added.
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


def _software() -> dict[str, Any]:
    try:
        import torch
    except ModuleNotFoundError:
        import numpy as np

        return {"python": platform.python_version(), "numpy": np.__version__}
    from parity import devices

    return devices.environment(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
