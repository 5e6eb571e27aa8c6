"""What shows in other surroundings, in company, or in time: the same bits, and no more memory.

Each is a function of a number of cases that returns what it found.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scratchnn import SGD, History, data, fit, mlp
from scratchnn.history import Epoch
from scratchnn.run.folder import RunFolder
from scratchnn.run.history import HISTORY
from tests.reliability.harness import (
    TRAIN,
    Child,
    Found,
    check_whole,
    folder,
    result,
    run,
    undisturbed,
)

KEPT = ["--log-every", "9"]
GROWTH = 2 << 20  # bytes that a training may grow by, beside its history
ROW = 1_000  # bytes of a row of the history, at most


def same_seed(cases: int) -> Found:
    """The same seed in other processes: hash seeds, locales, -O, threads, and from its run.json."""
    found = Found()
    tried: list[tuple[dict[str, str], list[str], list[str]]] = [
        ({"PYTHONHASHSEED": "99"}, ["-O"], []),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, [], ["--threads", "1"]),
        ({"PYTHONHASHSEED": "0"}, ["-OO"], ["--threads", "2"]),
        ({"LC_ALL": "tr_TR.UTF-8"}, ["-X", "dev", "-W", "ignore"], ["--threads", "4"]),
        ({"OMP_NUM_THREADS": "2"}, [], []),
        ({"OPENBLAS_NUM_THREADS": "4"}, [], []),
    ]
    for case in range(cases):
        variables, flags, more = tried[case % len(tried)]
        found.cases += 1
        with folder() as path:
            command = [sys.executable, *flags, "-m", "scratchnn", *TRAIN, *more]
            environment = {**os.environ, **variables}
            ended = subprocess.run(
                [*command, "--out", str(path)], env=environment, capture_output=True, check=False
            )
            words = f"{variables} {flags} {more}"
            if found.expect(ended.returncode == 0, f"{words}: {ended}"):
                found.expect(result(path) == undisturbed(), f"{words}: another result")
                again = path.with_name("again")
                run(["train", "--config", str(path / "run.json"), *KEPT, "--out", str(again)])
                found.expect(result(again) == undisturbed(), f"{words}: run.json repeats another")
    return found


def threads_side_by_side(cases: int) -> Found:
    """Trainings in eight threads of one process: each as if it were alone."""
    train, test = data.digits()

    def trained(seed: int) -> bytes:
        network = mlp.init([64, 10], rng=seed)
        options = {"epochs": 2, "batch_size": 64, "rng": seed}
        fit(network, train, test, optimizer=SGD(0.5, 0.5), **options)
        return network.theta.tobytes()

    found = Found(cases)
    with ThreadPoolExecutor(8) as pool:
        side_by_side = list(pool.map(trained, range(cases)))
    for seed, theta in enumerate(side_by_side):
        found.expect(theta == trained(seed), f"seed {seed}")
    return found


def memory(cases: int) -> Found:
    """So many epochs: beyond the rows of the history, memory does not grow."""
    train, test = data.digits()
    found, network, history = Found(cases), mlp.init([64, 10], rng=1), History()
    with folder() as path:
        kept = RunFolder(path, every=100)
        options = {"batch_size": 256, "rng": 1, "evaluation": False, "history": history}

        def at(row: Epoch) -> None:
            if row.epoch == cases // 2:
                tracemalloc.start()

        optimizer = SGD(0.1, 0.5)
        fit(network, train, test, optimizer=optimizer, epochs=cases, checkpoint=kept, on_epoch=at,
            **options)  # fmt: skip
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    rows = cases - cases // 2
    found.expect(grown < 20_000 + 1_000 * rows, f"{grown:,} bytes for {rows} epochs")
    return found


def memory_over_time(seconds: int) -> Found:
    """So many seconds of training by the command: after the first of them, none is gained.

    The limit is GROWTH, and ROW for each epoch: the history holds a row of it.
    """
    found, pause = Found(seconds), min(1, seconds / 20)
    samples, early = int(seconds / pause), max(int(seconds / pause / 30), 10)
    sizes, rows = [], []
    with folder() as path:
        child = Child(["train", "mlp", "--epochs", "10000000", "--out", str(path)])
        for _ in range(samples):
            time.sleep(pause)
            sizes.append(resident(child.pid))
            rows.append((path / HISTORY).read_bytes().count(b"\n") if path.exists() else 0)
        os.kill(child.pid, signal.SIGINT)
        ended = child.wait()
        found.expect(ended.status == 130, f"{ended}")
        check_whole(path, found, f"after {seconds} s")
    before, after = max(sizes[:early]), max(sizes[early:])
    limit = before + GROWTH + ROW * (rows[-1] - rows[early - 1])
    found.said = (
        f"{seconds:,} s of training, {rows[-1]:,} epochs: {before / 1e6:.1f} MB at most in the "
        f"first {early * pause:.0f} s, {after / 1e6:.1f} MB at most after them; the limit is "
        f"{limit / 1e6:.1f} MB: {GROWTH / 1e6:.1f} more, and {ROW:,} bytes per epoch"
    )
    found.expect(after < limit, found.said)
    return found


def resident(pid: int) -> int:
    """Return how many bytes of a process are in memory."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()
