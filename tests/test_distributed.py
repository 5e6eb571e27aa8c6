"""Training on several ranks: the arithmetic by hand, ranks as threads, then mpiexec."""

import copy
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnn import SGD, History, RunFolder, data, distributed, evaluate, mlp, resume
from scratchnn.distributed import ALONE, Ranks, launch, ranks
from scratchnn.layers import Dense
from scratchnn.objectives import CrossEntropy
from scratchnn.run import cli, record
from tests.programs import on_ranks

ROOT = Path(__file__).parents[1]
MPIEXEC = shutil.which("mpiexec", path=Path(sys.executable).parent) or shutil.which("mpiexec")
SECONDS = 10  # in which a failure must have ended all ranks
TOLERANCE = 1e-12  # of parameters in float64, whose sums have another order
WEIGHTED = CrossEntropy(weight=np.linspace(0.1, 2, 10), ignore_index=3, label_smoothing=0.1)


class Fake:
    """A communicator of which this process is one rank. The message of the others is known."""

    def __init__(self, rank, size, others=0.0):
        self.rank, self.size, self.others = rank, size, others

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def Allreduce(self, _, message):
        message += self.others

    def bcast(self, value):
        return self.others if value is None else value


class Thread(Fake):
    """A communicator whose ranks are threads."""

    def __init__(self, rank, size, barrier, messages):
        super().__init__(rank, size)
        self.barrier, self.messages = barrier, messages

    def share(self, message):
        """Return what each rank gave."""
        self.messages[self.rank] = copy.deepcopy(message)
        self.barrier.wait(60)
        shared = copy.deepcopy(self.messages)
        self.barrier.wait(60)
        return shared

    def Allreduce(self, _, message):
        message[:] = sum(self.share(message))

    def bcast(self, value):
        return self.share(value)[0]


def on_threads(size, program):
    """Return what a function of Ranks returns on each of so many threads."""
    barrier, messages = Barrier(size), [None] * size

    def run(rank):
        try:
            return program(Ranks(Thread(rank, size, barrier, messages)))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


@pytest.fixture
def no_mpi(monkeypatch):
    """Let ranks do without MPI: the communicators above need no constant of it."""
    monkeypatch.setattr("scratchnn.distributed.ranks._mpi", lambda: SimpleNamespace(IN_PLACE=None))


@pytest.fixture
def mpi():
    """Skip where there is no MPI."""
    pytest.importorskip("mpi4py")
    if not MPIEXEC:
        pytest.skip("no mpiexec")


def on(ranks, *arguments, env=None):
    """Run Python on so many ranks."""
    command = [MPIEXEC, "-n", str(ranks), sys.executable, "-W", "error", *map(str, arguments)]
    return run(command, env)


def run(command, env=None):
    start = time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}),
    )
    done.seconds = time.monotonic() - start
    return done


def program(name):
    return ROOT / "tests/programs" / f"{name}.py"


def two_numbers():
    """Return the parameters of a network from 1 to 1 feature."""
    return mlp.Parameters.zeros([Dense(1, 1)], np.float64)


# The arithmetic


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_shard_parts_are_the_batch_and_differ_by_one_row_at_most(n, size):
    parts = [Ranks(Fake(rank, size)).shard(np.arange(n)) for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(n))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_average_weighs_shards_by_their_rows(no_mpi):
    """3 rows here with mean 8, 1 row elsewhere with mean 4: (3 · 8 + 4) / 4 = 7."""
    ranks = Ranks(Fake(0, 2, others=np.array([1.0, 1, 0.5, 2])))  # 1/4 of 4, 4 and 2; 2 hits
    grad = ranks.gradient(two_numbers())
    grad.theta[:] = 8
    assert ranks.average(grad, 6.0, 3, share=0.75) == (5.0, 5)
    np.testing.assert_array_equal(grad.theta, [7, 7])


def test_average_takes_nothing_from_a_rank_without_rows(no_mpi):
    ranks = Ranks(Fake(1, 2, others=np.array([1.0, 2, 3, 4])))
    grad = ranks.gradient(two_numbers())
    grad.theta[:] = np.nan
    assert ranks.average(grad, np.nan, 0, share=0.0) == (3.0, 4)
    np.testing.assert_array_equal(grad.theta, [1, 2])


def test_average_sends_the_gradient_that_it_is_given(no_mpi):
    ranks, network = Ranks(Fake(0, 2)), two_numbers()
    first, second = ranks.gradient(network), ranks.gradient(network)
    for grad in (first, second):
        grad.theta[:] = 8
    ranks.average(first, 6.0, 3, share=0.75)
    np.testing.assert_array_equal((first.theta, second.theta), [[6, 6], [8, 8]])
    again = copy.deepcopy(first)
    ranks.average(again, 6.0, 3, share=0.5)
    np.testing.assert_array_equal((first.theta, again.theta), [[6, 6], [3, 3]])


def test_own_rng_is_each_ranks_own_and_leaves_the_common_one_alike():
    """What ranks draw for their rows, in numbers that differ, does not part their orders."""
    common = [np.random.default_rng(1) for _ in range(2)]
    own = [Ranks(Fake(rank, 2)).own(rng) for rank, rng in enumerate(common)]
    assert own[0].random() != own[1].random()
    own[1].random()
    assert common[0].random() == common[1].random() == np.random.default_rng(1).random()


def test_alone_changes_nothing():
    value, rng = object(), np.random.default_rng(1)
    assert ALONE.own(rng) is rng
    assert (ALONE.rank, ALONE.size, ALONE.threads()) == (0, 1, None)
    grad = ALONE.gradient(two_numbers())
    assert ALONE.average(grad, 0.5, 3, share=1.0) == (0.5, 3)
    assert ALONE.sum([1, 2.5]) == [1, 2.5]
    assert ALONE.same(value) is value


def test_page_shows_code_that_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/distributed.md").read_text(), re.S)
    names = {}
    exec(code, names)
    assert np.isfinite(names["network"].theta).all()


# Ranks as threads


def same_as_one(histories, history):
    """Compare the histories of all ranks with that of one process."""
    for row in histories[1:]:
        assert row == histories[0]
    for column in ("running_accuracy", "train_accuracy", "test_accuracy"):
        assert [row[column] for row in histories[0]] == history.column(column)
    for column in ("running_loss", "train_loss", "test_loss"):
        theirs = np.array([row[column] for row in histories[0]])
        assert abs(theirs - history.column(column)).max() <= TOLERANCE


@pytest.mark.parametrize("objective", ["cross_entropy", WEIGHTED], ids=["plain", "weighted"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_fit_on_ranks_equals_one_process(no_mpi, size, objective):
    """With weights a shard counts by those of its rows; on 4 ranks the shards are unequal."""
    network, history, rows = on_ranks.train(ALONE, objective=objective)
    results = on_threads(size, lambda ranks: on_ranks.train(ranks, objective=objective))
    seen = np.concatenate([seen for *_, seen in results])
    np.testing.assert_array_equal(np.sort(seen), np.sort(rows))  # each row once per epoch
    for parameters, _, _ in results:
        assert abs(parameters.theta - network.theta).max() <= TOLERANCE
        np.testing.assert_array_equal(parameters.theta, results[0][0].theta)
    same_as_one([history.as_dicts() for _, history, _ in results], history)


def test_fit_on_ranks_starts_with_the_network_the_velocity_and_the_rng_of_the_first(no_mpi, digits):
    train, _ = digits
    velocity = np.ones(650)

    def program(ranks):
        network, optimizer = mlp.init([64, 10], rng=ranks.rank), SGD(0.1, 0.5)
        if ranks.rank == 0:
            optimizer.state = {"velocity": velocity}
        distributed.fit(
            network, train, optimizer=optimizer, epochs=1, evaluation=False, rng=None, ranks=ranks
        )
        return network.theta, optimizer.state["velocity"]

    first, second = on_threads(2, program)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("objective", ["cross_entropy", WEIGHTED], ids=["plain", "weighted"])
def test_evaluate_on_ranks_covers_all_rows(no_mpi, digits, objective):
    train, _ = digits
    network = mlp.init([64, 10], rng=1, dtype=np.float64)
    whole = evaluate(network, train, objective)
    first, second = on_threads(
        2, lambda ranks: distributed.evaluate(network, train, objective, ranks=ranks)
    )
    assert first == second
    assert first.accuracy == whole.accuracy
    assert abs(first.loss - whole.loss) <= TOLERANCE


@pytest.mark.parametrize("size", [1, 2])
def test_batch_in_which_nothing_counts_moves_nothing(no_mpi, size):
    X, target = np.ones((4, 2)), np.zeros(4, int)
    dataset = data.Dataset("ignored", X, target, tuple("ab"))

    def program(ranks):
        network = mlp.init([2, 2], rng=1)
        objective = CrossEntropy(ignore_index=0)
        distributed.fit(
            network, dataset, optimizer=SGD(0.1), objective=objective, epochs=2, batch_size=2,
            evaluation=False, ranks=ranks,
        )  # fmt: skip
        return network.theta

    for theta in on_threads(size, program):
        np.testing.assert_array_equal(theta, mlp.init([2, 2], rng=1).theta)


def test_resume_on_ranks_in_the_middle_of_an_epoch(no_mpi, tmp_path, digits):
    """The folder is copied there, as if the run had been killed. Augmentation draws by rank."""
    train, test = digits

    def noisy(images, rng):
        return images + rng.integers(2, size=images.shape, dtype=np.uint8)

    train = dataclasses.replace(train, augment=noisy)

    def program(keep, ranks, on_batch=None):
        network, history = mlp.init([64, 10], rng=1, dtype=np.float64), History()
        distributed.fit(
            network, train, test, optimizer=SGD(0.1, 0.5), epochs=2, batch_size=500, rng=1,
            ranks=ranks, checkpoint=keep if ranks.rank == 0 else None, history=history,
            on_batch=on_batch if ranks.rank == 0 else None,
        )  # fmt: skip
        return network.theta, history.column("running_loss")

    def copy_folder(batch):
        if (batch.epoch, batch.number) == (2, 1):
            shutil.copytree(tmp_path / "run", tmp_path / "killed")

    keep = RunFolder(tmp_path / "run", every=1)
    (whole, losses), _ = on_threads(2, lambda ranks: program(keep, ranks, copy_folder))
    keep = resume(tmp_path / "killed")
    for theta, again in on_threads(2, lambda ranks: program(keep, ranks)):
        np.testing.assert_array_equal(theta, whole)
        assert again == losses


# Ranks under mpiexec


def test_fit_under_mpiexec_equals_one_process(mpi, tmp_path):
    done = on(2, program("on_ranks"), tmp_path)
    assert done.returncode == 0, done.stderr
    network, history, rows = on_ranks.train(ALONE)
    results = [np.load(tmp_path / f"rank{rank}.npz") for rank in range(2)]
    histories = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    seen = np.concatenate([result["seen"] for result in results])
    np.testing.assert_array_equal(np.sort(seen), np.sort(rows))
    for result in results:
        assert abs(result["theta"] - network.theta).max() <= TOLERANCE
        np.testing.assert_array_equal(result["theta"], results[0]["theta"])
        np.testing.assert_array_equal(result["unseeded"], results[0]["unseeded"])
    same_as_one(histories, history)


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.long)])
def test_fit_on_ranks_equals_torchs_distributed_data_parallel(tmp_path, size):
    """On unequal shards only with weighted losses: DDP counts the ranks, and not their rows."""
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "tests.programs.ddp", str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(rank), str(size)], cwd=ROOT, stderr=-1, text=True)
        for rank in range(size)
    ]
    for process in processes:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint
    network, *_ = on_ranks.train(ALONE)  # the tests above: all ranks have the same
    for name, alike in (("weighted", True), ("plain", False)):
        difference = abs(np.load(tmp_path / f"{name}.npy") - network.theta).max()
        assert (difference <= TOLERANCE) == alike


@pytest.mark.parametrize(
    ("mishap", "message"), [("raise", "RuntimeError: planted"), ("kill", "Killed (signal 9)")]
)
def test_failure_of_one_rank_ends_all_with_a_message(mpi, mishap, message, tmp_path):
    done = on(2, program("on_ranks"), tmp_path, mishap)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert done.seconds < SECONDS


# The command


def test_train_on_ranks_speaks_and_saves_once(mpi, tmp_path):
    train = ["train", "softmax-regression", "--epochs", "2", "--dtype", "float64"]
    done = on(2, "-m", "scratchnn", *train, "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    what, _, *rows, saved = done.stdout.splitlines()
    assert what.endswith("2 epochs, 2 ranks, 1 thread")
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert saved.startswith("saved in")
    assert cli.main([*train, "--out", str(tmp_path / "one")]) == 0
    two, one = (np.load(tmp_path / name / "checkpoint.npz")["theta"] for name in ("two", "one"))
    assert abs(two - one).max() <= TOLERANCE
    assert record.read(tmp_path / "two")["settings"]["ranks"] == 2


def test_train_on_ranks_stops_at_a_signal_and_goes_on(mpi, tmp_path):
    out, whole = tmp_path / "run", tmp_path / "whole"
    train = ["-m", "scratchnn", "train", "softmax-regression", "--momentum", "0.5", "--epochs"]
    command = [MPIEXEC, "-n", "2", sys.executable, *train, "100000", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, env=environment) as process:
        while not process.stdout.readline().startswith(b"    3 "):
            assert process.poll() is None
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 143
    found = record.read(out)
    assert found["status"] == "interrupted"
    epochs = len(found["history"]) + 1
    done = on(2, "-m", "scratchnn", "train", "--resume", out, "--epochs", epochs)
    assert done.returncode == 0, done.stderr
    assert on(2, *train, epochs, "--out", whole).returncode == 0
    assert record.read(out)["theta"] == record.read(whole)["theta"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["softmax-regression", "--learning-rate", "1e300"], 1, "scratchnn: the loss is"),
        pytest.param(
            ["multilayer"], 2, "scratchnn train: argument RECIPE", marks=pytest.mark.long
        ),
        pytest.param(
            ["mlp", "--data", "mnist", "--data-dir", "/nowhere"], 3, "scratchnn: /nowhere",
            marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_train_on_ranks_says_once_what_all_ranks_find_wrong(mpi, arguments, status, message):
    done = on(2, "-m", "scratchnn", "train", *arguments)
    assert done.returncode == status
    assert done.stderr.count(message) == 1
    assert "Traceback" not in done.stderr


def test_train_on_ranks_says_which_rank_fails_alone(mpi, tmp_path):
    train = ["-n", "1", sys.executable, "-m", "scratchnn", "train", "mlp"]
    done = run([MPIEXEC, *train, ":", *train, "--data", "mnist", "--data-dir", str(tmp_path)])
    assert done.returncode == 3
    assert f"rank 1 of 2: scratchnn: {tmp_path}" in done.stderr
    assert done.seconds < SECONDS


def test_train_under_a_launcher_without_mpi4py_names_the_extra(capsys, monkeypatch):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    distributed.launch.world.cache_clear()
    try:
        assert cli.main(["recipes"]) == 2
    finally:
        distributed.launch.world.cache_clear()
    out, err = capsys.readouterr()
    assert "pip install -e '.[mpi]'" in err
    assert not out


def test_ranks_share_the_cores_of_a_machine(mpi):
    code = "from scratchnn.distributed.launch import world; print(f'[{world().threads()}]')"
    cores = len(os.sched_getaffinity(0))
    assert on(2, "-c", code).stdout.count(f"[{max(1, cores // 2)}]") == 2


def test_shards_without_a_mean_are_refused():
    """A shard of rows of weight 0 has smoothed losses, and nothing to divide them by."""
    weight = np.array([0.0, 1.0, 1.0], np.float32)
    goal = CrossEntropy(weight=weight, label_smoothing=0.1)
    two = Ranks()
    two.size = 2
    options = {"optimizer": SGD(0.1), "rng": 1, "epochs": 1, "batch_size": 4}
    classes = data.Dataset("ones", np.ones((8, 2)), np.arange(8) % 3, tuple("abc"))
    network = mlp.init([2, 3], rng=1)
    with pytest.raises(ValueError, match="label_smoothing with a class of weight 0"):
        distributed.fit(network, classes, objective=goal, ranks=two, **options)
    distributed.fit(network, classes, objective=goal, ranks=ALONE, **options)


# What ends all ranks, without MPI


@pytest.mark.parametrize(
    ("end", "status"),
    [(SystemExit(3), 3), (SystemExit("words"), 1), (SystemExit(), 0), (RuntimeError("planted"), 1)],
)
def test_a_command_on_a_rank_ends_with_a_status(end, status, capsys):
    def command():
        raise end

    assert launch._status(command) == status
    assert ("planted" in capsys.readouterr().err) == isinstance(end, RuntimeError)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_fails_ends_all(monkeypatch, capsys, rank):
    """Under mpiexec a test sees it from outside: MPI_Abort ends the process at once."""
    ended = []
    comm = Fake(rank, 2)
    comm.Abort = ended.append
    for name in ("PATIENCE", "FORWARDING"):
        monkeypatch.setattr(launch, name, 0.0)
    monkeypatch.setattr(launch, "world", lambda: Ranks(comm))
    monkeypatch.setattr(launch.signals, "ignore", lambda: None)

    def command():
        print("the reason", file=sys.stderr)
        return 2

    assert launch.together(command) == 2
    assert ended == [2]
    assert capsys.readouterr().err == "rank 1 of 2: the reason\n" * rank or not rank
    assert launch.together(lambda: 0) == 0
    assert ended == [2]


def test_an_error_of_a_program_ends_all_ranks(monkeypatch, capsys):
    ended, comm = [], Fake(1, 2)
    comm.Abort = ended.append
    monkeypatch.setattr(launch, "FORWARDING", 0.0)
    monkeypatch.setattr(launch, "launched", lambda: True)
    monkeypatch.setattr(launch, "need", lambda *_: SimpleNamespace(COMM_WORLD=comm))
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    launch.world.__wrapped__()  # it is kept for the process
    sys.excepthook(ValueError, ValueError("planted"), None)
    assert ended == [1]
    assert "rank 1 of 2:\nValueError: planted" in capsys.readouterr().err
    comm.size = 1
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    launch.world.__wrapped__()  # it is kept for the process
    assert sys.excepthook is sys.__excepthook__  # one rank has no others to end


def test_cores_are_counted_where_the_system_names_none(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert ranks._cores() == {0, 1, 2}


def test_a_rank_without_rows_takes_the_same_steps(no_mpi):
    """Batches of one row on two ranks: one of them has nothing to add."""
    train, _ = data.digits()
    few = dataclasses.replace(train, X=train.X[:3], target=train.target[:3])

    def trained(ranks):
        network = mlp.init([64, 10], rng=1, dtype=np.float64)
        distributed.fit(
            network, few, optimizer=SGD(0.1), epochs=2, batch_size=1, rng=1, ranks=ranks
        )
        return network.theta

    alone = trained(ALONE)
    for theta in on_threads(2, trained):
        np.testing.assert_allclose(theta, alone, rtol=0, atol=TOLERANCE)
