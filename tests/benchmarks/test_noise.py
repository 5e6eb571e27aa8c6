"""A busy machine is noticed, a case is measured again, and what stays noise is said."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import environment, noise, runner, worker
from benchmarks.backends import BACKENDS
from benchmarks.cases import Case, cases
from benchmarks.results import Row
from benchmarks.runner import Plan, run
from tests.benchmarks.test_runner import CASES, Workers

STEADY = [1.0, 1.1, 1.2]
EPOCH = Case("epoch", "epoch", "MLP")


def step(group, name, seconds, **fields):
    return Row(Case(group, "step", name, **fields), "torch", 1, [seconds] * 3)


def test_steady_figures_are_no_noise():
    rows = [Row(EPOCH, name, 1, STEADY, others=0.1) for name in ("torch", "floor products")]
    assert not noise.mark(rows)


@pytest.mark.parametrize(
    ("values", "others", "why"),
    [
        (STEADY, 0.4, "other processes took 0.4 cores"),
        ([1.0, 2.0, 3.0, 1.0], 0.0, "its quartiles are 2.2 x apart"),
        ([1.0, 2.0, 3.0, 1.0], None, "its quartiles are 2.2 x apart"),
        ([-1.0, 0.0, 1.0], None, "its quartiles are inf x apart"),  # of imports, less nothing
    ],
)
def test_noise_of_a_single_row(values, others, why):
    (row,) = noise.mark([Row(EPOCH, "torch", 1, values, others=others)])
    assert row.noisy == why
    row.values, row.others = STEADY, None
    assert not noise.mark([row])
    assert not row.noisy


def test_floor_above_an_epoch_is_noise():
    """An epoch in NumPy has the floor's products in it; another library's may be faster."""

    def noisy(name, seconds, threads=1):
        rows = [Row(EPOCH, "floor products", 1, [77.8]), Row(EPOCH, name, threads, [seconds])]
        return [row.backend for row in noise.mark(rows)]

    assert noisy("scratchnn", 59.5) == ["floor products"]
    assert noisy("plain loop", 59.5) == ["floor products"]
    assert not noisy("scratchnn", 77.0)  # within the errors of medians
    assert not noisy("scratchnn", 59.5, threads=2)
    assert not noisy("JAX", 59.5)


def test_small_case_that_takes_longer_than_a_larger_one_is_noise():
    rows = [
        step("scaling", f"D = {D}", t, axis="D", value=D)
        for D, t in ((64, 1.0), (256, 4.4), (1024, 0.55), (4096, 5.0))
    ]
    assert [row.case.value for row in noise.mark(rows)] == [64, 256]
    assert rows[1].noisy == "D = 1024 takes less"
    rows[1].backend = "JAX"  # another series
    assert [row.case.value for row in noise.mark(rows)] == [64]


def test_cells_of_the_map_are_compared_where_one_is_larger_in_every_way():
    def cell(width, batch, seconds):
        return step("crossover", "c", seconds, sizes=(width, 10), batch=batch)

    rows = [cell(16, 4, 3.0), cell(64, 4, 1.0), cell(256, 1, 0.5)]
    assert [row.case.sizes[0] for row in noise.mark(rows)] == [16]  # 64, 4 is narrower than 256, 1


def proc(folder, busy, processes):
    """Write a /proc with the busy ticks of all cores, and processes: parent and ticks."""
    fields = [busy // 5, busy // 5, busy // 5, 7 * busy, 9 * busy, 3, busy // 5, busy // 5, 6, 6]
    cores = f"cpu  {' '.join(map(str, fields))}\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    (folder / "stat").write_text(cores)
    for pid, (parent, ticks) in processes.items():
        (folder / str(pid)).mkdir(exist_ok=True)
        zeros = "0 " * 9
        line = f"{pid} (a (b) c) S {parent} {zeros}{ticks} 1 1 1 0 0\n"
        (folder / str(pid) / "stat").write_text(line)


def test_other_work_is_all_but_ours(tmp_path, monkeypatch):
    """Ours are this process, its children and theirs; iowait and idle time are no work."""
    clock, ours = iter([100.0, 100.05, 102.0]), os.getpid()
    monkeypatch.setattr(environment, "PROC", tmp_path)
    monkeypatch.setattr(environment.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(environment.os, "sysconf", lambda _: 100, raising=False)
    first = {1: (0, 50), ours: (1, 10), 9990001: (ours, 20), 9990002: (9990001, 30)}
    proc(tmp_path, 1000, first)
    work = environment.OtherWork()
    assert work.cores() is None  # too short
    proc(tmp_path, 1500, {1: (0, 250), ours: (1, 20), 9990001: (ours, 120), 9990002: (9990001, 90)})
    assert work.cores() == (500 - 10 - 100 - 60) / 100 / 2


def test_other_work_is_unknown_where_there_is_no_proc(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PROC", tmp_path / "none")
    assert environment.others_now(0.0) is None


@pytest.fixture
def timed(monkeypatch):
    """Workers whose times a test says, a list of rounds for each attempt."""
    attempts = []

    def time(self, number):
        for rounds in attempts:
            if rounds:
                return {"seconds": rounds.pop(0)}
        return {"seconds": 1.0}

    monkeypatch.setattr(runner, "Process", Workers())
    monkeypatch.setattr(worker.gc, "collect", lambda: 0)
    monkeypatch.setattr(worker.Worker, "time", time)
    monkeypatch.setattr(runner, "others_now", lambda: 0.0)
    monkeypatch.setattr(runner.OtherWork, "cores", lambda self: None)
    return attempts


PLAN = Plan(rounds=3, seconds=0.0, retries=2, say=lambda _: None)


def test_run_measures_noise_again_and_keeps_the_quiet_attempt(timed):
    timed += [[1.0, 2.0, 4.0], [3.0, 3.1, 3.2]]
    (row,), _ = run([CASES["op"]], [BACKENDS["scratchnn"]], 1, PLAN)
    assert (row.values, row.attempts, row.noisy) == ([3.0, 3.1, 3.2], 2, "")


def test_run_gives_up_after_some_attempts_and_keeps_the_quietest(timed):
    timed += [[1.0, 2.0, 9.0], [1.0, 2.0, 4.0], [1.0, 2.0, 5.0]]
    said = []
    plan = Plan(rounds=3, seconds=0.0, retries=2, say=said.append)
    (row,), _ = run([CASES["op"]], [BACKENDS["scratchnn"]], 1, plan)
    assert (row.values, row.attempts) == ([1.0, 2.0, 4.0], 3)
    assert said == [row]
    assert "noisy: its quartiles are 2.0 x apart" in str(row)


def test_run_does_not_repeat_what_is_quiet(timed):
    timed += [STEADY]
    (row,), _ = run([CASES["op"]], [BACKENDS["scratchnn"]], 1, PLAN)
    assert row.attempts == 1


def test_run_measures_a_case_again_that_takes_longer_than_a_larger_one(timed):
    small, large = [c for c in cases("digits", quick=True) if c.axis == "D"]
    timed += [[5.0] * 3, [1.0] * 3, [0.5] * 3]
    rows, _ = run([small, large], [BACKENDS["scratchnn"]], 1, PLAN)
    assert {row.case.value: row.values for row in rows} == {64: [0.5] * 3, 256: [1.0] * 3}
    assert not any(row.noisy for row in rows)


def test_run_waits_for_a_quiet_machine_but_not_for_long(monkeypatch):
    asked, workers = [], SimpleNamespace(patience=1.5 * runner.WAIT)
    monkeypatch.setattr(runner, "others_now", lambda: asked.append(1) or 1.0)
    for total in (runner.WAIT, 1.5 * runner.WAIT, 1.5 * runner.WAIT):
        runner._wait_for_quiet(workers)
        assert len(asked) == total
    monkeypatch.setattr(runner, "others_now", lambda: asked.append(1))  # unknown
    runner._wait_for_quiet(SimpleNamespace(patience=9))
    assert len(asked) == 1.5 * runner.WAIT + 1


def test_committed_results_are_marked_as_they_say():
    from benchmarks.results import FOLDER, Results

    saved = Results.load(FOLDER / "amd-epyc-2-cores.json")
    found = noise.marked(saved)
    assert [bool(row.noisy) for row in found.rows] == [bool(row.noisy) for row in saved.rows]
    assert 0 < np.mean([bool(row.noisy) for row in found.rows]) < 0.1
