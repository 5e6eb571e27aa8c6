"""A run: every backend's result is checked, then all are timed in turns, in random order.

Each backend works in a separate process, a worker; worker.py is what runs there.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import noise
from benchmarks.backends import BACKENDS, Backend
from benchmarks.cases import JSON, Case, NotRunError
from benchmarks.checks import check, check_floor
from benchmarks.environment import OtherWork, gpu, held_to, others_now, variables
from benchmarks.results import Check, Row
from scratchnn.ops.shared import AnyArray

ROOT = Path(__file__).parents[1]
PATIENCE = 1800  # seconds for any answer: compilers take minutes
REST = 0.1  # seconds before a turn with several threads: idle pools spin for 25 ms and more
SHORT_REST = 0.005  # before a turn with one thread
SLOW = 2.0  # seconds: what takes longer has fewer rounds
SLOW_ROUNDS = 5  # with fewer there are no quartiles
IMPORT_ROUNDS = 5
MEMORY_ROUNDS = 3
WAIT = 10  # seconds to wait for a quiet machine before a case is measured again,
WAIT_IN_ALL = 300  # and in a run, with each number of threads


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure.

    rounds    in each of them every backend has a turn
    seconds   that a turn takes, or one run where that takes longer
    retries   how often a case is measured again where its figures are noise
    seed      of the order of the turns
    before    called before each case
    say       called with each row; again with a row that replaces it
    """

    rounds: int = 9
    seconds: float = 0.02
    retries: int = 2
    seed: int = 0
    before: Callable[[], None] = lambda: None
    say: Callable[[Row], None] = print


def run(
    cases: Sequence[Case], backends: Sequence[Backend], threads: int, plan: Plan
) -> tuple[list[Row], JSON]:
    """Check and measure every case on every backend that does such work.

    Return the rows, and what each worker says about versions and threads.
    """
    rows: list[Row] = []
    with Workers(threads, np.random.default_rng(plan.seed)) as workers:
        for case in cases:
            found = _measured(case, backends, workers, plan)
            if case.group not in {row.case.group for row in rows}:  # said once per group
                absent = [b for b in _able(case, backends) if workers.absent(b)]
                found += [Row(case, b.name, threads, not_run=workers.absent(b)) for b in absent]
            rows += found
            _say(found, plan)
        return _without_contradictions(rows, backends, workers, plan), workers.facts()


def _measured(case: Case, backends: Sequence[Backend], workers: Workers, plan: Plan) -> list[Row]:
    """Return a case's rows on the backends that are here, with what each took of the run."""
    plan.before()
    present = [b for b in _able(case, backends) if not workers.absent(b)]
    measure = {"memory": _memory, "import": _imports}.get(case.kind, _times)
    start = time.perf_counter()
    rows = measure(case, present, workers, plan)
    for row in rows:
        row.cost = (time.perf_counter() - start) / len(rows)
    return rows


def _able(case: Case, backends: Sequence[Backend]) -> list[Backend]:
    return [b for b in backends if b.does(case.group, case.kind)]


def _say(rows: Sequence[Row], plan: Plan) -> None:
    noise.mark(rows)
    for row in rows:
        plan.say(row)


def _without_contradictions(
    rows: list[Row], backends: Sequence[Backend], workers: Workers, plan: Plan
) -> list[Row]:
    """Measure cases again that take longer than larger ones. Keep what contradicts less."""
    alone = {case: noise.mark([r for r in rows if r.case == case]) for case in _cases(rows)}
    odd = [case for case in _cases(noise.mark(rows)) if not alone[case]]
    for case in odd if plan.retries else ():
        fresh = _measured(case, backends, workers, plan)
        old = [row for row in rows if row.case == case and row.key in {r.key for r in fresh}]
        rest = [row for row in rows if row not in old]
        if len(noise.mark(rest + fresh)) < len(noise.mark(rows)):
            rows = rest + fresh
            _say(fresh, plan)
    return rows


def _cases(rows: Sequence[Row]) -> list[Case]:
    return list(dict.fromkeys(row.case for row in rows))


def _times(case: Case, backends: Sequence[Backend], workers: Workers, plan: Plan) -> list[Row]:
    """Time all backends in turns; where noise is found, again. Keep the quietest attempt."""
    ready = [_ready(case, backend, workers, plan) for backend in backends]
    attempts = [_rounds(ready, workers, plan)]
    while noise.mark(attempts[-1]) and len(attempts) <= plan.retries:
        _wait_for_quiet(workers)
        again = [replace(row, values=[], attempts=len(attempts) + 1) for row in ready]
        attempts.append(_rounds(again, workers, plan))
    quietest = min(attempts, key=lambda rows: (len(noise.mark(rows)), noise.spread(rows)))
    for row in quietest:
        row.attempts = len(attempts)
    return quietest


def _rounds(rows: list[Row], workers: Workers, plan: Plan) -> list[Row]:
    """Give every row its turn in each round, in random order."""
    rows, others = [replace(row, values=[]) for row in rows], OtherWork()
    for _ in range(plan.rounds):
        turns = [row for row in rows if not row.not_run and not _has_enough(row)]
        for row in [turns[i] for i in workers.rng.permutation(len(turns))]:
            time.sleep(REST if workers.threads > 1 else SHORT_REST)
            try:
                answer = workers.of(row.backend).ask("time", number=row.number)
            except RuntimeError as error:
                row.not_run, row.wrong = str(error), True
                continue
            row.values.append(answer["seconds"])
    cores = others.cores()
    for row in rows:
        row.others = None if row.not_run else cores
        row.values = [] if row.not_run else row.values
    return rows


def _has_enough(row: Row) -> bool:
    return len(row.values) >= SLOW_ROUNDS and row.values[0] > SLOW


def _wait_for_quiet(workers: Workers) -> None:
    """Wait until others leave the machine alone; not long, and in a whole run not often."""
    for _ in range(WAIT):
        cores = others_now() if workers.patience else None
        if cores is None or cores <= noise.BUSY:
            return
        workers.patience -= 1


def _ready(case: Case, backend: Backend, workers: Workers, plan: Plan) -> Row:
    """Return a row with its check and the number of runs in a turn, or the reason for none."""
    row = _checked(case, backend, workers)
    if not row.not_run:
        try:
            row.number = workers.of(backend.name).ask("warm", seconds=plan.seconds)["number"]
        except RuntimeError as error:
            row.not_run, row.wrong = str(error), True
    return row


def _checked(case: Case, backend: Backend, workers: Workers) -> Row:
    row = Row(case, backend.name, workers.threads)
    try:
        row.check = workers.checked(case, backend)
        if not row.check.holds:
            raise RuntimeError(f"refused, its result is wrong: {row.check.what}")
    except NotRunError as error:
        row.not_run = str(error)
    except RuntimeError as error:
        row.not_run, row.wrong = str(error), True
    return row


def _memory(case: Case, backends: Sequence[Backend], workers: Workers, plan: Plan) -> list[Row]:
    """Measure each epoch's memory in new processes, which have done nothing before."""
    rows = [_checked(case, backend, workers) for backend in backends]
    for row in [row for row in rows if not row.not_run] * min(plan.rounds, MEMORY_ROUNDS):
        row.unit = "bytes"
        process = Process(row.backend, workers.threads)
        try:
            row.values.append(process.ask("memory", case=case.as_dict())["bytes"])
        except (NotRunError, RuntimeError) as error:
            row.not_run = str(error)
        finally:
            process.close()
    return rows


def _imports(case: Case, backends: Sequence[Backend], workers: Workers, plan: Plan) -> list[Row]:
    """Time a new interpreter that imports a library, less one that imports nothing."""
    rows = [Row(case, backend.name, workers.threads) for backend in backends]
    for _ in range(min(plan.rounds, IMPORT_ROUNDS)):
        nothing = _interpreter("pass", workers.threads)
        for row in rows:
            try:
                script = _interpreter(BACKENDS[row.backend].imports, workers.threads)
                row.values.append(script - nothing)
            except subprocess.CalledProcessError as error:
                row.not_run = error.stderr.strip().splitlines()[-1]
    return rows


def _interpreter(code: str, threads: int) -> float:
    command, start = [sys.executable, "-c", code], time.perf_counter()
    subprocess.run(
        command, cwd=ROOT, env=variables(threads), check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start


class Process:
    """A worker, as seen from the process that asks it."""

    def __init__(self, name: str, threads: int) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        with held_to(threads):
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", name, str(threads)],
                cwd=ROOT,
                env=variables(threads),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
            )

    def ask(self, do: str, **arguments: object) -> JSON:
        """Return the answer to a request.

        Raises   NotRunError that says why not; RuntimeError where the worker failed
        """
        assert self.popen.stdin
        try:
            print(json.dumps({"do": do, **arguments}), file=self.popen.stdin, flush=True)
        except BrokenPipeError:
            raise RuntimeError(f"its process ended: {self._last_words()}") from None
        answer: JSON = json.loads(self._line())
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


class Workers(AbstractContextManager["Workers"]):
    """The workers of one number of threads. Each is started when it is first needed.

    rng        draws the order of the turns
    patience   seconds that may still be spent in waiting for a quiet machine
    """

    def __init__(self, threads: int, rng: np.random.Generator) -> None:
        self.threads, self.rng, self.patience = threads, rng, WAIT_IN_ALL
        self.folder = tempfile.TemporaryDirectory()
        self.processes: dict[str, Process] = {}
        self.reasons: dict[str, str | None] = {}

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.close()
        self.folder.cleanup()

    def of(self, name: str) -> Process:
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
            self.of(backend.name).ask("facts")
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
        self.of(backend.name).ask("prepare", case=case.as_dict(), results=str(file))
        with np.load(file) as results:
            found = dict(results)
        try:
            return judge(case, backend, found)
        except (KeyError, TypeError, ValueError) as error:  # what a backend should not have made
            raise RuntimeError(f"refused, its result cannot be compared: {error}") from error

    def facts(self) -> JSON:
        """Return what each worker that has done something says about versions and threads."""
        found = {}
        for name, process in self.processes.items():
            with suppress(NotRunError, RuntimeError):
                found[name] = process.ask("facts")
        return found


def judge(case: Case, backend: Backend, results: dict[str, AnyArray]) -> Check:
    """Compare a backend's results with ours, or a floor's with what it should have done."""
    if backend.is_floor:
        return check_floor(case, str(backend.options["part"]), results)
    return check(case, results, tf32=backend.tf32)
