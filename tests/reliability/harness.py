"""A training in a process of its own, what may befall it there, and what must hold afterwards.

The processes are forks of this one, which has imported everything: a training of the bundled digits
then takes 20 ms. None draws curves, which would take most of the time.
"""

from __future__ import annotations

import errno
import hashlib
import io
import locale  # argparse imports it late, when a process may be nobody
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from scratchnn.run import checkpoint, record, train_command
from scratchnn.run.cli import main
from scratchnn.run.history import HISTORY, parse

locale.getlocale()

TRAIN = ["train", "softmax-regression", "--momentum", "0.5", "--epochs", "3", "--log-every", "9"]
OFTEN = [*TRAIN, "--checkpoint-every", "7"]
FILES = ["best.npz", "checkpoint.npz", "history.jsonl", "previous.npz", "run.json"]


@dataclass
class Ended:
    """How a process ended: its exit status, or minus the signal, and what it printed."""

    status: int
    out: str
    err: str


class Child:
    """A process that runs the command.

    Options  arguments   of the command
             prepare     is called in the process before it
    """

    def __init__(self, arguments: list[str], prepare: Callable[[], None] = lambda: None) -> None:
        self.files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - see wait
        self.pid = os.fork()
        if self.pid == 0:
            self._run(arguments, prepare)

    def _run(self, arguments: list[str], prepare: Callable[[], None]) -> None:
        status = 70
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number, file in enumerate(self.files, 1):
                os.dup2(file.fileno(), number)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
            train_command._has_plots = lambda: False
            prepare()
            status = main(arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except KeyboardInterrupt:  # before `main` looks for it: scratchnn_command ends so, too
            status = 130
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(status)

    def wait(self) -> Ended:
        """Wait for its end."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        said = []
        for file in self.files:
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(status, *said)


def run(arguments: list[str], prepare: Callable[[], None] = lambda: None) -> Ended:
    """Run the command in a process to its end."""
    return Child(arguments, prepare).wait()


@dataclass
class Found:
    """What a fault did: how many cases were tried, what was wrong, what was measured, in words."""

    cases: int = 0
    wrong: list[str] = field(default_factory=list)
    said: str = ""

    def expect(self, right: bool, words: str) -> bool:
        """Note what is wrong where something is; return whether it is right."""
        if not right:
            self.wrong.append(words)
        return right


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that does not exist yet, and remove it after the block."""
    memory = Path("/dev/shm")  # no disk to wait for, where others use it
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="scratchnn-", dir=where) as path:
        yield Path(path) / "run"


@cache
def undisturbed(arguments: tuple[str, ...] = tuple(TRAIN)) -> tuple[str, list[dict]]:
    """Return the SHA-256 of θ and the history of a training that nothing befalls."""
    with folder() as path:
        ended = run([*arguments, "--out", str(path)])
        assert ended.status == 0, ended
        return result(path)


def result(path: Path) -> tuple[str, list[dict]]:
    """Return the SHA-256 of θ and the history in a folder, without its times."""
    network, _ = checkpoint.load(path / "checkpoint.npz")
    rows = parse(path / HISTORY, (path / HISTORY).read_bytes())
    kept = [{n: v for n, v in row.items() if "seconds" not in n} for row in rows]
    return hashlib.sha256(network.theta.tobytes()).hexdigest(), kept


def check_whole(path: Path, found: Found, words: str) -> None:
    """Expect that all files in a folder can be read, and are of one run."""
    try:
        if not (path / "run.json").exists():
            left = [name for name in FILES if (path / name).exists() and name != HISTORY]
            found.expect(not left, f"{words}: {left} without run.json")
            return
        run_id = record.read(path)["run"]
        content = (path / HISTORY).read_bytes()
        for name in ("checkpoint.npz", "previous.npz", "best.npz"):
            if (path / name).exists():
                _, place = checkpoint.load(path / name)
                found.expect(place["run"] == run_id, f"{words}: {name} of another run")
                if name != "best.npz":
                    then = content[: place["history"]["bytes"]]
                    same = hashlib.sha256(then).hexdigest() == place["history"]["sha256"]
                    found.expect(same, f"{words}: {name} of another history")
    except Exception as error:
        found.wrong.append(f"{words}: {error!r}")


def check_goes_on(path: Path, found: Found, words: str) -> None:
    """Expect that the run in a folder goes on to what it would have reached undisturbed.

    Where nothing had begun, the same command begins it.
    """
    check_whole(path, found, words)
    begun = (path / "run.json").exists()
    again = ["train", "--resume", str(path)]
    ended = run(again if begun else [*TRAIN, "--out", str(path)])
    if not found.expect(ended.status == 0, f"{words}: does not go on, {ended}"):
        return
    found.expect(result(path) == undisturbed(), f"{words}: goes on to another result")
    check_whole(path, found, f"{words}, and gone on")
    left = sorted(p.name for p in path.iterdir() if p.name not in FILES)
    found.expect(not left, f"{words}: leaves {left}")


class Tripwire:
    """Counts what a process does to files, and lets a call fail, or be the last.

    Options  at       the number of the call, from 1; 0: none
             error    its error number; None: the process is killed in it
             onwards  whether all calls after it fail, too
             share    of its content that a write has written when it fails
    """

    def __init__(
        self, at: int = 0, error: int | None = None, onwards: bool = False, share: float = 0.5
    ) -> None:
        self.at, self.error, self.onwards, self.share, self.calls = at, error, onwards, share, 0
        self.names: list[str] = []

    def trip(self, name: str) -> bool:
        """Count a call; return whether it is to fail."""
        self.calls += 1
        self.names.append(name)
        after = self.calls - self.at
        return self.at > 0 and (after == 0 or (after > 0 and self.onwards))

    def fail(self) -> None:
        """Let the call fail."""
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.error, os.strerror(self.error or 0))

    def install(self) -> None:
        """Stand between this process and its files from now on."""
        for name in ("fsync", "replace", "link", "unlink", "ftruncate", "mkdir"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        opened = io.open

        def open_counted(file: object, mode: str = "r", *rest: object, **more: object) -> object:
            if not set(mode) & set("wax"):
                return opened(file, mode, *rest, **more)
            if self.trip("open"):
                self.fail()
            return Written(opened(file, mode, *rest, **more), self)

        io.open = open_counted

    def _wrapped(self, name: str, function: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> object:
            if self.trip(name):
                self.fail()
            return function(*arguments, **options)

        return call


class Written:
    """An open file whose writes are counted; one that fails has written a share."""

    def __init__(self, file: io.IOBase, wire: Tripwire) -> None:
        self.file, self.wire = file, wire

    def write(self, content: bytes) -> int:
        if self.wire.trip("write"):
            whole = memoryview(content).cast("B")
            self.file.write(whole[: int(self.wire.share * len(whole))])
            self.file.flush()
            self.wire.fail()
        return self.file.write(content)

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE, errno.EDQUOT)
