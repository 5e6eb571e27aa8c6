"""What the figures depend on: processor, GPU, driver, BLAS, versions, threads, commit."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")


def environment(threads: list[int], workers: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of this machine, and what each worker said about itself."""
    return {
        **_software(),
        "machine": machine(),
        "cpu": cpu(),
        "gpu": gpu(),
        "threads": threads,
        "date": datetime.now(UTC).date().isoformat(),
        "workers": workers,
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
