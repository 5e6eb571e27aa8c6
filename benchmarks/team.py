"""The processes of a run, one a backend, and the check of what they return."""

import json
import selectors
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backends import Backend
from benchmarks.cases import Case, NotRunError
from benchmarks.checks import Check, check, check_floor
from benchmarks.environment import gpu
from benchmarks.worker import environment

ROOT = Path(__file__).parents[1]
PATIENCE = 1800  # seconds for any answer: compilers take minutes


class Process:
    """A worker, seen from here."""

    def __init__(self, name: str, threads: int) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(threads)],
            cwd=ROOT, env=environment(threads), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises   NotRunError for one that says why not; RuntimeError when the worker failed
        """
        assert self.popen.stdin
        try:
            print(json.dumps({"do": do, **arguments}), file=self.popen.stdin, flush=True)
        except BrokenPipeError:
            raise RuntimeError(f"its process ended: {self._last_words()}") from None
        answer: dict[str, Any] = json.loads(self._line())
        if "not run" in answer:
            raise NotRunError(answer["not run"])
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer

    def close(self) -> None:
        """End the process."""
        self.popen.kill()
        self.popen.communicate()
        self.errors.close()

    def _line(self) -> str:
        assert self.popen.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self.popen.kill()
                raise RuntimeError(f"no answer within {PATIENCE} s")
        line = self.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"its process ended: {self._last_words()}")
        return line

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1] if lines else f"exit status {self.popen.wait()}"


class Team(AbstractContextManager["Team"]):
    """The workers of one thread count, started when they are first needed."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.folder = tempfile.TemporaryDirectory()
        self.processes: dict[str, Process] = {}
        self.reasons: dict[str, str | None] = {}

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.close()
        self.folder.cleanup()

    def member(self, name: str) -> Process:
        """Return the worker of a backend."""
        if name not in self.processes or self.processes[name].popen.poll() is not None:
            self.processes[name] = Process(name, self.threads)
        return self.processes[name]

    def absent(self, backend: Backend) -> str | None:
        """Return why a backend cannot be used here at all, or None where it can."""
        if backend.name not in self.reasons:
            self.reasons[backend.name] = self._reason(backend)
        return self.reasons[backend.name]

    def _reason(self, backend: Backend) -> str | None:
        if backend.is_cuda and not gpu():
            return "there is no GPU here"
        try:
            self.member(backend.name).ask("facts")
        except NotRunError as error:
            return str(error)
        except RuntimeError:
            return None  # each case will say so
        return None

    def checked(self, case: Case, backend: Backend) -> Check:
        """Have a worker prepare a case, and compare its results with ours.

        Raises   NotRunError; RuntimeError for a worker that failed, or results of another form
        """
        file = Path(self.folder.name) / "results.npz"
        self.member(backend.name).ask("prepare", case=case.as_dict(), results=str(file))
        with np.load(file) as results:
            found = dict(results)
        try:
            return judge(case, backend, found)
        except (KeyError, TypeError, ValueError) as error:  # what a backend should not have made
            raise RuntimeError(f"refused, its result cannot be compared: {error}") from error

    def facts(self) -> dict[str, Any]:
        """Return what each worker that has done something says about versions and threads."""
        found = {}
        for name, process in self.processes.items():
            with suppress(NotRunError, RuntimeError):
                found[name] = process.ask("facts")
        return found


def judge(case: Case, backend: Backend, results: dict[str, Any]) -> Check:
    """Compare a backend's results with ours, or a floor's with what it should have done."""
    if backend.module == "floor":
        return check_floor(case, backend.options["part"], results)
    return check(case, results, backend.roundoff)
