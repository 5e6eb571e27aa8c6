"""Starts a process for each backend, has its results checked, and times all of them in turns."""

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backends import BACKENDS, Backend
from benchmarks.cases import Case, NotRunError
from benchmarks.checks import Check, check, check_floor
from benchmarks.environment import gpu
from benchmarks.results import Row
from benchmarks.worker import environment

ROOT = Path(__file__).parents[1]
REST = 0.02  # seconds between two turns: an idle thread pool spins about as long
SLOW = 2.0  # seconds: what takes longer has fewer rounds
SLOW_ROUNDS = 3
PATIENCE = 600  # seconds for any answer
IMPORT_ROUNDS = 5
MEMORY_ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure: rounds of turns of some seconds each."""

    rounds: int = 9
    seconds: float = 0.02
    say: Callable[[str], None] = field(default=print)


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
        """Have a worker prepare a case, and compare its results with ours."""
        file = Path(self.folder.name) / "results.npz"
        self.member(backend.name).ask("prepare", case=case.as_dict(), results=str(file))
        with np.load(file) as results:
            return judge(case, backend, dict(results))

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


def run(
    cases: Sequence[Case], backends: Sequence[Backend], threads: int, plan: Plan
) -> tuple[list[Row], dict[str, Any]]:
    """Check and measure every case on every backend that does such work.

    Return the rows, and what each worker says about versions and threads.
    """
    rows: list[Row] = []
    with Team(threads) as team:
        for case in cases:
            able = [b for b in backends if b.does(case.group, case.kind)]
            present = [b for b in able if not team.absent(b)]
            measures = {"memory": _memory, "import": _imports}
            found = measures.get(case.kind, _times)(case, present, team, plan)
            if case.group not in {row.case.group for row in rows}:  # said once a group
                found += [Row(case, b.name, threads, not_run=team.absent(b))
                          for b in able if b not in present]  # fmt: skip
            rows += found
            for row in found:
                plan.say(str(row))
        return rows, team.facts()


def _times(case: Case, backends: Sequence[Backend], team: Team, plan: Plan) -> list[Row]:
    rows = [_ready(case, backend, team, plan.seconds) for backend in backends]
    turns = [row for row in rows if not row.not_run]
    for round_ in range(plan.rounds):
        for row in turns[round_ % len(turns) :] + turns[: round_ % len(turns)] if turns else []:
            if round_ >= SLOW_ROUNDS and row.values[0] > SLOW:
                continue
            time.sleep(REST)
            answer = team.member(row.backend).ask("time", number=row.number)
            row.values.append(answer["seconds"])
    return rows


def _ready(case: Case, backend: Backend, team: Team, seconds: float) -> Row:
    """Return a row with its check and the number of runs in a turn, or the reason for none."""
    row = Row(case, backend.name, team.threads)
    try:
        row.check = team.checked(case, backend)
        if not row.check.holds:
            raise RuntimeError(f"refused, its result is wrong: {row.check.what}")
        row.number = team.member(backend.name).ask("warm", seconds=seconds)["number"]
    except NotRunError as error:
        row.not_run = str(error)
    except RuntimeError as error:
        row.not_run, row.wrong = str(error), True
    return row


def _memory(case: Case, backends: Sequence[Backend], team: Team, plan: Plan) -> list[Row]:
    """Measure each epoch's memory in new processes, which have done nothing before."""
    rows = [_ready(case, backend, team, plan.seconds) for backend in backends]
    for row in [row for row in rows if not row.not_run] * min(plan.rounds, MEMORY_ROUNDS):
        row.unit = "bytes"
        process = Process(row.backend, team.threads)
        try:
            process.ask("prepare", case=case.as_dict(), results="")
            row.values.append(process.ask("memory")["bytes"])
        except (NotRunError, RuntimeError) as error:
            row.not_run = str(error)
        finally:
            process.close()
    return rows


def _imports(case: Case, backends: Sequence[Backend], team: Team, plan: Plan) -> list[Row]:
    """Time a new interpreter that imports a library, less one that imports nothing."""
    rows = [Row(case, backend.name, team.threads) for backend in backends]
    for _ in range(min(plan.rounds, IMPORT_ROUNDS)):
        nothing = _interpreter("pass", team.threads)
        for row in rows:
            try:
                script = _interpreter(BACKENDS[row.backend].imports, team.threads)
                row.values.append(script - nothing)
            except subprocess.CalledProcessError as error:
                row.not_run = error.stderr.strip().splitlines()[-1]
    return rows


def _interpreter(code: str, threads: int) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment(threads), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return time.perf_counter() - start
