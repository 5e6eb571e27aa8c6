"""The run: workers are checked before they are timed, and what cannot run says why."""

import functools
import os
from dataclasses import replace

import numpy as np
import pytest

import parity
from benchmarks import environment, inputs, runner, worker
from benchmarks.backends import BACKENDS, Backend
from benchmarks.cases import Case, NotRunError, cases
from benchmarks.runner import Plan, run
from scratchnn.extras import MissingExtraError

QUIET = Plan(rounds=2, seconds=0.001, retries=0, say=lambda _: None)
CASES = {case.kind: case for case in reversed(cases("digits", quick=True))}


class Workers:
    """Makes workers in this process, notes what they are asked, and may bend their results."""

    def __init__(self):
        self.bend, self.asked = (lambda name, results: None), []

    def __call__(self, name, threads):
        return Worker(name, threads, self)


class Worker:
    """A worker in this process, with what the runner uses of a `runner.Process`."""

    def __init__(self, name, threads, workers):
        self.name, self.workers, self.inside = name, workers, worker.Worker(name, threads)
        self.popen = self

    def poll(self):
        return None

    def close(self):
        pass

    def ask(self, do, **arguments):
        self.workers.asked.append((self.name, do))
        answer = self.inside.answer({"do": do, **arguments})
        if do == "prepare" and answer == {}:
            self.workers.bend(self.name, arguments["results"])
        if "not run" in answer:
            raise NotRunError(answer["not run"])
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer


@pytest.fixture
def workers(monkeypatch):
    inside = Workers()
    monkeypatch.setattr(runner, "Process", inside)
    monkeypatch.setattr(worker.gc, "collect", lambda: 0)  # slow with as many objects as here
    return inside


def test_run_times_in_turns_after_the_checks(workers):
    rows, facts = run([CASES["op"]], [BACKENDS["scratchnn"], BACKENDS["torch"]], 1, QUIET)
    assert [(row.backend, len(row.values), row.check.holds) for row in rows] == [
        ("scratchnn", 2, True),
        ("torch", 2, True),
    ]
    assert min(row.summary.low for row in rows) > 0
    asked = [(name, do) for name, do in workers.asked if do != "facts"]
    ready = [(name, do) for name in ("scratchnn", "torch") for do in ("prepare", "warm")]
    assert asked[:4] == ready
    assert {name for name, do in asked[4:6]} == {name for name, do in asked[6:]}
    assert [do for name, do in asked[4:]] == ["time"] * 4
    assert facts["torch"]["versions"]["torch"]


def test_run_draws_the_order_of_each_round(workers):
    """Every backend once a round, in the generator's order, whatever the seed."""
    names = ("scratchnn", "torch", "scikit-learn")

    def turns(seed):
        workers.asked.clear()
        plan = replace(QUIET, rounds=5, seed=seed)
        run([CASES["inference"]], [BACKENDS[name] for name in names], 1, plan)
        return [name for name, do in workers.asked if do == "time"]

    rng = np.random.default_rng(3)
    assert turns(3) == [names[i] for _ in range(5) for i in rng.permutation(3)]
    assert turns(4) != turns(3)


def test_run_looks_at_the_machine_before_each_case(workers):
    looks = []
    run([CASES["op"], CASES["op"]], [], 1, replace(QUIET, before=lambda: looks.append(1)))
    assert len(looks) == 2


def test_load_is_that_of_begin_and_end_and_the_largest(monkeypatch):
    loads = iter([(0.104, 0.2, 0.3), (5.0, 0.2, 0.3), (1.0, 2.0, 3.0)])
    monkeypatch.setattr(environment.os, "getloadavg", lambda: next(loads), raising=False)
    load = environment.Load()
    load.look()
    load.look()
    assert load.facts() == {
        "begin": [0.1, 0.2, 0.3],
        "end": [1.0, 2.0, 3.0],
        "largest": [5.0, 0.2, 0.3],
    }


@pytest.mark.parametrize(("threads", "rest"), [(1, runner.SHORT_REST), (2, runner.REST)])
def test_run_lets_the_pools_of_several_threads_come_to_rest(workers, monkeypatch, threads, rest):
    rests = []
    monkeypatch.setattr(runner.time, "sleep", rests.append)
    run([CASES["op"]], [BACKENDS["scratchnn"]], threads, QUIET)
    assert rests == [rest] * QUIET.rounds


def test_run_refuses_a_wrong_backend_before_timing_it(workers):
    def bend(name, results):
        if name == "torch":
            arrays = dict(np.load(results))
            arrays["float64"] = arrays["float64"] + 1e-9
            np.savez(results, **arrays)

    workers.bend = bend
    rows, _ = run([CASES["step"]], [BACKENDS["scratchnn"], BACKENDS["torch"]], 1, QUIET)
    ours, theirs = rows
    assert ours.check.holds
    assert len(ours.values) == 2
    assert theirs.wrong
    assert theirs.not_run.startswith("refused, its result is wrong: θ in float64")
    assert not theirs.values
    assert ("torch", "time") not in workers.asked


@pytest.mark.parametrize("form", ["shape", "dtype", "missing"])
def test_run_goes_on_after_results_of_another_form(workers, form):
    def bend(name, results):
        arrays = dict(np.load(results))
        value = {"shape": arrays["1"][:-1], "dtype": arrays["1"].astype(np.float64)}
        np.savez(results, **{"0": arrays["0"]} | ({"1": value[form]} if form in value else {}))

    workers.bend = bend
    (row,), _ = run([CASES["op"]], [BACKENDS["scratchnn"]], 1, QUIET)
    assert row.wrong
    assert row.not_run.startswith("refused, its result cannot be compared")


def test_run_says_once_a_group_that_a_backend_is_missing(workers, monkeypatch):
    def need(name, extra):
        raise MissingExtraError(f"this needs {name}, which is not installed: [{extra}]")

    monkeypatch.setattr("benchmarks.backends.need", need)
    ops = [case for case in cases("digits", quick=True) if case.kind == "op"][:2]
    rows, _ = run(ops, [BACKENDS["scratchnn"], BACKENDS["JAX"]], 1, QUIET)
    assert [(row.backend, bool(row.not_run)) for row in rows] == [
        ("scratchnn", False),
        ("JAX", True),
        ("scratchnn", False),
    ]
    assert "this needs jax" in rows[1].not_run
    assert not rows[1].wrong


def test_run_needs_no_process_to_know_that_there_is_no_gpu(workers, monkeypatch):
    monkeypatch.setattr(runner, "gpu", lambda: None)
    (row,), _ = run([CASES["step"]], [BACKENDS["CUDA graph"]], 1, QUIET)
    assert row.not_run == "there is no GPU here"
    assert not workers.asked


def test_run_goes_on_after_a_failure(workers, monkeypatch):
    monkeypatch.setattr(worker.Worker, "prepare", lambda self, **_: 1 / 0)
    (row,), _ = run([CASES["op"]], [BACKENDS["scratchnn"]], 1, QUIET)
    assert row.wrong
    assert row.not_run == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("kind", ["memory", "import"])
def test_run_measures_memory_and_imports_in_new_processes(kind):
    (row,), _ = run([CASES[kind]], [BACKENDS["scratchnn"]], 1, QUIET)
    assert row.not_run is None
    assert len(row.values) == 2
    assert row.unit == ("bytes" if kind == "memory" else "s")
    assert min(row.values) > 0


class Hoarder:
    """A backend whose trainer holds data of 256 MiB and needs 64 MiB more in an epoch."""

    data_bytes = 2**28

    def trainer(self, case, dtype):
        small = case.examples == 2 * case.batch
        self.held, self.libraries = None if small else np.ones(2**25), np.ones(2**24)
        inputs.dataset(case)  # and what the checks would take, which nobody should be charged for
        return self

    def epoch(self):
        np.ones(2**23)


def test_memory_is_that_of_an_epoch_beyond_libraries_and_data(monkeypatch):
    """The epoch's 64 MiB; any other array, none of them smaller, would take it out of the range."""
    cached = functools.cache(lambda *_: np.ones(2**24))
    monkeypatch.setattr(inputs, "_load", cached)
    monkeypatch.setattr(inputs, "dataset", lambda case: inputs._load(case.data))
    process = worker.Worker("scratchnn", 1)
    process.library = Hoarder()
    answer = process.answer({"do": "memory", "case": CASES["memory"].as_dict()})
    assert 2**25 < answer["bytes"] < 2 * 2**26


@pytest.mark.parametrize("name", ["scratchnn", "torch", "torch DataLoader", "JAX", "scikit-learn"])
def test_trainers_count_the_data_that_they_hold(name):
    """The bytes of the pixels for scratchnn, floats for the others; and the targets."""
    try:
        trainer = BACKENDS[name].open().trainer(CASES["memory"], "float32")
    except NotRunError as error:
        pytest.skip(str(error))
    data = inputs.dataset(CASES["memory"])
    size = 1 if name == "scratchnn" else 4
    targets = (4 if name == "JAX" else 8) * data.target.size  # JAX has no int64
    assert trainer.data_bytes == size * data.X.size + targets
    assert name == "scikit-learn" or trainer.problem.X.size == 0


def test_process_that_dies_is_reported_with_its_last_words():
    process = runner.Process("no such backend", 1)
    try:
        with pytest.raises(RuntimeError, match="KeyError: 'no such backend'"):
            process.ask("facts")
    finally:
        process.close()


def test_worker_has_its_threads_and_cores_and_the_defaults_of_torch():
    """Parity makes torch's threads sleep after each product: a step then takes twice as long."""
    assert parity.__name__  # it has set the variable here
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    cores = environment.cores()
    process = runner.Process("torch", 1)
    try:
        facts = process.ask("facts")
        if hasattr(os, "sched_getaffinity"):
            assert len(os.sched_getaffinity(process.popen.pid)) == 1
    finally:
        process.close()
    assert environment.cores() == cores
    assert facts["threads"] == 1
    assert set(facts["pools"].values()) == {1}
    assert facts["variables"]["OMP_NUM_THREADS"] == "1"
    assert facts["variables"]["OMP_WAIT_POLICY"] is None


@pytest.mark.parametrize(
    "name", [b.name for b in BACKENDS.values() if b.does("epoch", "epoch") and not b.is_cuda]
)
def test_every_backend_has_a_case_on_the_digits(name):
    """Every one that is installed trains, or says why not; on_torch's compiler takes its time."""
    if name == "torch.compile":
        pytest.skip("python -m benchmarks --quick --backends torch.compile runs it")
    process = worker.Worker(name, 1)
    case: Case = next(c for c in cases("digits", quick=True) if c.kind == "epoch")
    answer = process.answer({"do": "prepare", "case": case.as_dict(), "results": ""})
    assert answer == {} or list(answer) == ["not run"]
    if answer == {}:
        assert process.answer({"do": "warm", "seconds": 0.0})["number"] == 1
        assert process.answer({"do": "time", "number": 1})["seconds"] > 0


def test_backend_names_can_be_listed_with_commas():
    assert all("," not in name and name == b.name for name, b in BACKENDS.items())
    assert isinstance(BACKENDS["JAX"], Backend)


def test_run_goes_on_when_a_worker_fails_in_its_turn(workers, monkeypatch):
    def time(self, number):
        return {"seconds": 1 / (self.name != "torch")}

    monkeypatch.setattr(worker.Worker, "time", time)
    rows, _ = run([CASES["op"]], [BACKENDS["scratchnn"], BACKENDS["torch"]], 1, QUIET)
    assert [(row.values, row.wrong) for row in rows] == [([1.0, 1.0], False), ([], True)]
