"""The faults: each is a function of a number of cases that returns what it found."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratchnn import mlp
from scratchnn.data import DataError
from scratchnn.layers import describe
from scratchnn.run import checkpoint, record
from tests.reliability import data_faults
from tests.reliability.endurance import memory, memory_over_time, same_seed, threads_side_by_side
from tests.reliability.harness import (
    ERRORS,
    OFTEN,
    TRAIN,
    Child,
    Found,
    Tripwire,
    check_goes_on,
    check_whole,
    folder,
    result,
    run,
    undisturbed,
)
from tests.reliability.wrong_arguments import wrong_arguments

UNCOLLECTED = re.compile(
    r"Exception ignored in: <function ZipFile\.__del__.*?ValueError: seek of closed file\n", re.S
)


def kill_at_random(cases: int) -> Found:
    """kill -9 at random moments, of the run and of what goes on with it."""
    found, rng = Found(), random.Random(1)
    seconds = duration()
    for case in range(cases):
        found.cases += 1
        with folder() as path:
            child = Child([*OFTEN, "--out", str(path)])
            time.sleep(rng.uniform(0, seconds))
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            words = f"killed, case {case}"
            check_whole(path, found, words)
            if (path / "run.json").exists() and case % 2:
                child = Child(["train", "--resume", str(path), "--log-every", "9"])
                time.sleep(rng.uniform(0, seconds))
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
            check_goes_on(path, found, words)
    return found


def duration() -> float:
    """Return the seconds that a training takes here."""
    with folder() as path:
        start = time.monotonic()
        run([*OFTEN, "--out", str(path)])
        return time.monotonic() - start


def calls_of_a_run() -> int:
    """Return how often a training with a checkpoint an epoch opens, writes, syncs, renames."""
    with folder() as path:
        wire, read, write = Tripwire(), *os.pipe()

        def prepare() -> None:
            wire.install()
            end = os._exit

            def tell(status: int) -> None:
                os.write(write, str(wire.calls).encode())
                end(status)

            os._exit = tell  # type: ignore[assignment]

        run([*EACH, "--out", str(path)], prepare)
        return int(os.read(read, 99))


RECIPE = "softmax-regression"
EACH = [*TRAIN, "--checkpoint-every", "epoch"]
ROUNDS = 20


def kill_at_each_call(cases: int) -> Found:
    """kill -9 in each open, write, sync, link and rename, 20 times in each.

    A write has written another share of its content each time, from nothing to all.
    """
    found = Found()
    for number in chosen(ROUNDS * calls_of_a_run(), cases):
        at, part = 1 + (number - 1) // ROUNDS, (number - 1) % ROUNDS
        found.cases += 1
        with folder() as path:
            wire = Tripwire(at, share=part / (ROUNDS - 1))
            ended, words = run([*EACH, "--out", str(path)], wire.install), f"call {at}, {part}"
            found.expect(ended.status == -signal.SIGKILL, f"{words}: {ended}")
            check_goes_on(path, found, f"killed in {words}")
    return found


def error_at_each_call(cases: int) -> Found:
    """Disk full, EIO, EACCES, EMFILE and quota in each call, that one alone or all from it on."""
    found, calls = Found(), calls_of_a_run()
    everything = [
        (at, error, onwards)
        for at in range(1, calls + 1)
        for error in ERRORS
        for onwards in (False, True)
    ]
    for number in chosen(len(everything), cases):
        at, error, onwards = everything[number - 1]
        found.cases += 1
        words = f"{os.strerror(error)} in call {at}" + " and all after it" * onwards
        with folder() as path:
            ended = run([*EACH, "--out", str(path)], Tripwire(at, error, onwards).install)
            found.expect(ended.status in (0, 3), f"{words}: {ended}")
            found.expect("Traceback" not in own_words(ended.err), f"{words}: {ended.err}")
            if ended.status == 3:
                last = ended.err.splitlines()[-1]
                found.expect(str(path.parent) in last, f"{words}: names no file: {last}")
            if ended.status == 0 and not onwards:
                found.expect(result(path) == undisturbed(), f"{words}: another result")
            if path.exists():
                left = [p.name for p in path.iterdir() if "partial" in p.name]
                found.expect(onwards or not left, f"{words}: leaves {left}")
            check_goes_on(path, found, words)
    return found


def own_words(err: str) -> str:
    """Return what we wrote to standard error.

    NumPy 2.1 leaves an archive open that could not be written, and Python says so when it is
    collected.
    """
    return UNCOLLECTED.sub("", err)


def chosen(of: int, cases: int) -> list[int]:
    """Return all numbers from 1, or so many of them, evenly, with the last."""
    return [1 + i * of // min(cases, of) for i in range(min(cases, of))]


def signals_at_random(cases: int) -> Found:
    """SIGINT once, SIGINT twice, SIGTERM, SIGHUP and SIGXCPU in turn, at random moments."""
    found, rng, seconds = Found(), random.Random(2), duration()
    kinds = [[signal.SIGINT], [signal.SIGINT] * 2]
    kinds += [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGXCPU]]
    for case in range(cases):
        found.cases += 1
        sent = kinds[case % len(kinds)]
        with folder() as path:
            child = Child([*OFTEN, "--out", str(path)])
            for number in sent:
                time.sleep(rng.uniform(0, seconds / len(sent)))
                os.kill(child.pid, number)
            ended, words = child.wait(), f"{'+'.join(s.name for s in sent)}, case {case}"
            found.expect("Traceback" not in own_words(ended.err), f"{words}: {ended.err}")
            begun = (path / "checkpoint.npz").exists() and record.read(path)["status"] != "done"
            right = {0, 128 + sent[0]} | (set() if sent[0] == signal.SIGINT else {-sent[0]})
            found.expect(ended.status in right, f"{words}: exit {ended.status}, {ended.err}")
            if begun and ended.status == 128 + sent[0] and len(sent) == 1:
                found.expect("whole epoch" in ended.err, f"{words}: says {ended.err!r}")
            check_goes_on(path, found, words)
    return found


def two_in_one_folder(cases: int) -> Found:
    """Two trainings that start in one folder at once: one is refused, and the other is whole."""
    found = Found()
    for case in range(cases):
        found.cases += 1
        with folder() as path:
            children = [Child([*OFTEN, "--out", str(path)]) for _ in range(2)]
            first, second = sorted((child.wait() for child in children), key=lambda e: e.status)
            words = f"two, case {case}"
            found.expect((first.status, second.status) == (0, 3), f"{words}: {first}, {second}")
            said = "is in use" in second.err or "holds a run" in second.err
            found.expect(said and second.err.count("\n") == 2, f"{words}: {second.err!r}")
            check_goes_on(path, found, words)
    return found


def outs_that_cannot_be(cases: int) -> Found:
    """An --out that cannot be written is refused with a line, before anything is trained."""
    found, names = Found(), ["run.json", "history.jsonl", "checkpoint.npz", "previous.npz"]
    names += ["best.npz", "curves.svg", "curves.png"]

    def nobody() -> None:
        os.setegid(65534)
        os.seteuid(65534)

    def prepared(path: Path, case: int) -> tuple[str, Callable[[], None]]:
        if case < len(names):
            (path / names[case]).mkdir(parents=True)
            return str(path), lambda: None
        path.mkdir()
        (path / "file").write_text("")
        (path / "readonly").mkdir(mode=0o555)
        if os.getuid() == 0:
            path.parent.chmod(0o755)
        who = nobody if os.getuid() == 0 else lambda: None
        return [
            (str(path / "file"), lambda: None),
            (str(path / "file" / "below"), lambda: None),
            (str(path / "readonly"), who),
            (str(path / "readonly" / "below"), who),
            (str(path / ("x" * 300)), lambda: None),
            ("/dev/null", lambda: None),
            ("/proc/run", lambda: None),
            (str(path / "a\0b"), lambda: None),
            ("", lambda: None),
        ][case - len(names)]

    for case in range(min(cases, len(names) + 9)):
        found.cases += 1
        with folder() as path:
            out, prepare = prepared(path, case)
            ended, words = run([*TRAIN, "--out", out], prepare), f"--out {out!r}"
            found.expect(ended.status in (2, 3), f"{words}: {ended}")
            found.expect(not ended.out, f"{words}: trained, {ended.out}")
            lines = [line for line in ended.err.splitlines() if "no curves" not in line]
            found.expect(len(lines) == 1 and "Traceback" not in ended.err, f"{words}: {lines}")
            name = Path(out).name[:20].replace("\0", "\\x00")
            found.expect(name in lines[0], f"{words}: {lines}")
    return found


def outputs_that_fail(cases: int) -> Found:
    """Standard output full, closed, a pipe that ends; standard error, too: the run is kept."""
    found = Found()

    def full(*numbers: int) -> Callable[[], None]:
        def prepare() -> None:
            for number in numbers:
                os.dup2(os.open("/dev/full", os.O_WRONLY), number)

        return prepare

    def closed(*numbers: int) -> Callable[[], None]:
        def prepare() -> None:
            for number in numbers:
                os.close(number)
                setattr(sys, ("stdin", "stdout", "stderr")[number], None)

        return prepare

    def ended_pipe() -> None:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)

    tried = [
        (full(1), [], 0),
        (full(1), ["--json"], 3),
        (full(1, 2), [], 0),
        (closed(1), [], 0),
        (closed(2), [], 0),
        (closed(0, 1, 2), [], 0),
        (ended_pipe, [], 141),
    ]
    for case, (prepare, more, status) in enumerate(tried[:cases]):
        found.cases += 1
        with folder() as path:
            ended, words = run([*TRAIN, *more, "--out", str(path)], prepare), f"output {case}"
            found.expect(ended.status == status, f"{words}: {ended}")
            found.expect("Traceback" not in own_words(ended.err), f"{words}: {ended.err}")
            if status != 141:
                found.expect(result(path) == undisturbed(), f"{words}: another result")
            check_goes_on(path, found, words)
    return found


def damaged_checkpoints(cases: int) -> Found:
    """A checkpoint cut at every byte and with each bit flipped: refused, or the same network."""
    found, rng = Found(), random.Random(3)
    with folder() as path:
        run([*OFTEN, "--out", str(path)])
        file = path / "checkpoint.npz"
        content, (network, said) = file.read_bytes(), checkpoint.load(file)
        cuts = [content[:length] for length in chosen(len(content), cases // 4)]
        bits = rng.sample(range(8 * len(content)), 8 * len(content))  # each of them once
        for case in range(cases):
            found.cases += 1
            if case < len(cuts):
                words, damaged = f"cut at {len(cuts[case])}", cuts[case][:-1]
            else:
                bit = bits[(case - len(cuts)) % len(bits)]
                words, changed = f"bit {bit}", bytearray(content)
                changed[bit // 8] ^= 1 << bit % 8
                damaged = bytes(changed)
            file.write_bytes(damaged)
            try:
                loaded, description = checkpoint.load(file)
            except DataError as error:
                found.expect(str(file) in str(error), f"{words}: names no file, {error}")
            except Exception as error:
                found.wrong.append(f"{words}: {error!r}")
            else:  # a byte that means nothing, as of a time
                same = loaded.theta.tobytes() == network.theta.tobytes()
                found.expect(same and description == said, f"{words}: silently another network")
    return found


def hostile_checkpoints(cases: int) -> Found:
    """Contents that a checkpoint does not have, with a right SHA-256: exit 3 and a line."""
    found = Found()
    theta, layers = np.zeros(650, np.float32), mlp.layers([64, 10])
    good = {"theta": theta, "layers": layers, "description": {"recipe": RECIPE, "data": "digits"}}
    changes: list[dict[str, Any]] = [
        *({"theta": theta.astype(dtype)} for dtype in ("i4", "?", "U3", "M8[s]", "c8", "V4")),
        *({"theta": theta[:n]} for n in (0, 1, 649)),
        {"theta": theta.reshape(65, 10)},
        *({"description": words} for words in ([1], 5, None, "x", True, {})),
        *({"description": {"recipe": what, "data": "digits"}} for what in ([], {}, 1, None, "x")),
        *({"description": {"recipe": RECIPE, "data": what}} for what in ([], {}, 1, None, "x")),
        {"theta": theta[:585], "layers": mlp.layers([64, 9])},
        {"description": {"recipe": "logistic-regression", "data": "digits"}},
        {"description": {"recipe": "linear-regression", "data": "line"}},
        *({"description": {**good["description"], "transform": what}} for what in ([1], 5, "x")),
        {"bomb": "theta"}, {"bomb": "layers"}, {"bomb": "description"}, {"bomb": "state_v"},
        {"raw": b""}, {"raw": b"PK"}, {"raw": b"[1]"}, {"raw": b"\x93NUMPY"}, {"special": "fifo"},
        {"special": "folder"}, {"special": "/dev/zero"}, {"special": "sparse"},
    ]  # fmt: skip
    for change in changes[:cases]:
        found.cases += 1
        with folder() as path:
            path.mkdir()
            file, words = path / "net.npz", str(change)[:60]
            file = write_hostile(file, good, change)
            ended = run(["evaluate", str(file)], limit_memory)
            found.expect(ended.status == 3, f"{words}: {ended}")
            right = ended.err.count("\n") == 1 and "Traceback" not in ended.err
            found.expect(right and str(file) in ended.err, f"{words}: {ended.err!r}")
    return found


def limit_memory() -> None:
    """Leave this process 200 MB more than it has: a bomb of 256 MB does not fit."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bytes_now = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (bytes_now + 200_000_000, resource.RLIM_INFINITY))
    signal.alarm(20)  # for what waits for ever


def write_hostile(file: Path, good: dict[str, Any], change: dict[str, Any]) -> Path:
    """Write a file of a network with a change; return its path."""
    if "raw" in change:
        file.write_bytes(change["raw"])
        return file
    if "special" in change:
        match change["special"]:
            case "fifo":
                os.mkfifo(file)
            case "folder":
                file.mkdir()
            case "sparse":
                with file.open("wb") as sparse:
                    sparse.truncate(8 << 30)
            case other:
                file.symlink_to(other)
        return file
    content = good | change
    layers = json.dumps([describe(layer) for layer in content["layers"]])
    text, theta = json.dumps(content["description"]), content["theta"]
    arrays = {"theta": theta, "layers": np.array(layers), "description": np.array(text)}
    arrays["sha256"] = np.array(checkpoint._digest(layers, theta, {}, text))
    arrays["format"] = np.array(2)
    arrays.pop(change.get("bomb", ""), None)
    if "bomb" not in change:
        np.savez(file, **arrays)
        return file
    np.savez_compressed(file, **arrays)
    with (
        zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{change['bomb']}.npy", "w", force_zip64=True) as member,
    ):
        head = {"descr": "<f4", "fortran_order": False, "shape": (1 << 26,)}
        np.lib.format.write_array_header_1_0(member, head)
        for _ in range(256):  # 256 MB of zeros in 1 MB
            member.write(bytes(1 << 20))
    return file


FAULTS: dict[str, tuple[Callable[[int], Found], int, int]] = {
    "kill -9 at random moments, and go on": (kill_at_random, 15, 500),
    "kill -9 at each open, write, sync, rename of all saves": (kill_at_each_call, 60, 1_000_000),
    "SIGINT once, twice, SIGTERM, SIGHUP, SIGXCPU": (signals_at_random, 10, 200),
    "two runs in one folder": (two_in_one_folder, 5, 50),
    "disk full, EIO, EACCES, EMFILE, quota at each call": (error_at_each_call, 40, 1_000_000),
    "an --out that cannot be written": (outs_that_cannot_be, 16, 16),
    "standard output full, closed, a pipe that ends": (outputs_that_fail, 7, 7),
    "checkpoint cut at every byte, each bit flipped": (damaged_checkpoints, 2_000, 100_000),
    "hostile arrays and bombs in a checkpoint": (hostile_checkpoints, 41, 41),
    "same seed: processes, threads 1, 2, 4, locale, -O": (same_seed, 2, 120),
    "same seed: eight threads at once": (threads_side_by_side, 8, 160),
    "memory over epochs": (memory, 300, 20_000),
    "memory over seconds of training": (memory_over_time, 2, 1_800),
    "wrong kinds, shapes and values of arguments": (wrong_arguments, 3_000, 60_000),
}


def _of_data(fault: Callable[[int], list[str]]) -> Callable[[int], Found]:
    return lambda cases: Found(cases, fault(cases))


FAULTS |= {name: (_of_data(fault), *cases) for name, (fault, *cases) in data_faults.FAULTS.items()}
