"""Has every backend's results checked, and times all of them in turns, in random order."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.backends import BACKENDS, Backend
from benchmarks.cases import Case, NotRunError
from benchmarks.results import Row
from benchmarks.team import ROOT, Process, Team
from benchmarks.worker import environment

REST = 0.1  # seconds before a turn with several threads: idle pools spin for 25 ms and more
SHORT_REST = 0.005  # with one thread, where nobody spins
SLOW = 2.0  # seconds: what takes longer has fewer rounds
SLOW_ROUNDS = 5  # fewer have no quartiles
IMPORT_ROUNDS = 5
MEMORY_ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure: rounds of turns of some seconds each, whose order is drawn.

    `before` is called before each case, `say` with each row.
    """

    rounds: int = 9
    seconds: float = 0.02
    seed: int = 0
    before: Callable[[], None] = lambda: None
    say: Callable[[Row], None] = field(default=print)


def run(
    cases: Sequence[Case], backends: Sequence[Backend], threads: int, plan: Plan
) -> tuple[list[Row], dict[str, Any]]:
    """Check and measure every case on every backend that does such work.

    Return the rows, and what each worker says about versions and threads.
    """
    rows: list[Row] = []
    times = partial(_times, rng=np.random.default_rng(plan.seed))
    with Team(threads) as team:
        for case in cases:
            plan.before()
            able = [b for b in backends if b.does(case.group, case.kind)]
            present = [b for b in able if not team.absent(b)]
            measures = {"memory": _memory, "import": _imports}
            found = measures.get(case.kind, times)(case, present, team, plan)
            if case.group not in {row.case.group for row in rows}:  # said once a group
                found += [Row(case, b.name, threads, not_run=team.absent(b))
                          for b in able if b not in present]  # fmt: skip
            rows += found
            for row in found:
                plan.say(row)
        return rows, team.facts()


def _times(
    case: Case, backends: Sequence[Backend], team: Team, plan: Plan, rng: np.random.Generator
) -> list[Row]:
    rows = [_ready(case, backend, team, plan.seconds) for backend in backends]
    for _ in range(plan.rounds):
        turns = [row for row in rows if not row.not_run and not _has_enough(row)]
        for row in [turns[i] for i in rng.permutation(len(turns))]:
            time.sleep(REST if team.threads > 1 else SHORT_REST)
            try:
                answer = team.member(row.backend).ask("time", number=row.number)
            except RuntimeError as error:
                row.not_run, row.wrong = str(error), True
                continue
            row.values.append(answer["seconds"])
    return rows


def _has_enough(row: Row) -> bool:
    return len(row.values) >= SLOW_ROUNDS and row.values[0] > SLOW


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
            row.values.append(process.ask("memory", case=case.as_dict())["bytes"])
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
