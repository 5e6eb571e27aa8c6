"""Training on several ranks: the arithmetic by hand, then the real thing under mpiexec."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from parity.lockstep import FREE_RUN_TOLERANCE
from scratchnn import SGD, data, evaluate, fit, mlp
from scratchnn.distributed import ALONE, Ranks
from tests.programs import on_ranks

ROOT = Path(__file__).parents[1]
MPIEXEC = shutil.which("mpiexec", path=Path(sys.executable).parent) or shutil.which("mpiexec")
SECONDS = 10  # in which a failure must have ended all ranks


class Fake:
    """A communicator of which this process is one rank; the others' message is known."""

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
        command, capture_output=True, text=True, cwd=ROOT, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}),
    )  # fmt: skip
    done.seconds = time.monotonic() - start
    return done


def program(name):
    return ROOT / "tests/programs" / f"{name}.py"


# The arithmetic


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_shard_parts_are_the_batch_and_differ_by_one_row_at_most(n, size):
    parts = [Ranks(Fake(rank, size)).shard(np.arange(n)) for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(n))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_average_weighs_shards_by_their_rows(mpi):
    """3 rows here with mean 8, 1 row elsewhere with mean 4: (3 · 8 + 4) / 4 = 7."""
    ranks = Ranks(Fake(0, 2, others=np.array([1.0, 1, 0.5, 2])))  # 1/4 of 4, 4 and 2; 2 hits
    grad = ranks.gradient(mlp.Parameters.zeros([1, 1], np.float64))
    grad.theta[:] = 8
    assert ranks.average(grad, 6.0, 3, share=0.75) == (5.0, 5)
    np.testing.assert_array_equal(grad.theta, [7, 7])


def test_average_takes_nothing_from_a_rank_without_rows(mpi):
    ranks = Ranks(Fake(1, 2, others=np.array([1.0, 2, 3, 4])))
    grad = ranks.gradient(mlp.Parameters.zeros([1, 1], np.float64))
    grad.theta[:] = np.nan
    assert ranks.average(grad, np.nan, 0, share=0.0) == (3.0, 4)
    np.testing.assert_array_equal(grad.theta, [1, 2])


def test_average_sends_the_gradient_that_it_is_given(mpi):
    ranks, network = Ranks(Fake(0, 2)), mlp.Parameters.zeros([1, 1], np.float64)
    first, second = ranks.gradient(network), ranks.gradient(network)
    for grad in (first, second):
        grad.theta[:] = 8
    ranks.average(first, 6.0, 3, share=0.75)
    np.testing.assert_array_equal((first.theta, second.theta), [[6, 6], [8, 8]])
    again = copy.deepcopy(first)
    ranks.average(again, 6.0, 3, share=0.5)
    np.testing.assert_array_equal((first.theta, again.theta), [[6, 6], [3, 3]])


def test_average_refuses_a_gradient_that_has_no_room_for_the_figures():
    grad = mlp.Parameters.zeros([1, 1])
    with pytest.raises(TypeError, match=r"grad must come from Ranks\.gradient, got Parameters"):
        Ranks(Fake(0, 2)).average(grad, 6.0, 3, share=0.75)


def test_own_rng_is_each_ranks_own_and_leaves_the_common_one_alike():
    """What ranks draw for their rows, in numbers that differ, does not part their orders."""
    common = [np.random.default_rng(1) for _ in range(2)]
    own = [Ranks(Fake(rank, 2)).own(rng) for rank, rng in enumerate(common)]
    assert own[0].random() != own[1].random()
    own[1].random()
    assert common[0].random() == common[1].random() == np.random.default_rng(1).random()


def test_fit_starts_with_the_velocity_of_the_first_rank():
    """It goes on with a training that this rank knows nothing of."""
    train, _ = data.digits()
    velocity, optimizer = np.ones(650), SGD(0.1, 0.5)
    ranks = Ranks(Fake(1, 2, others=velocity))
    fit(mlp.init([64, 10], rng=1), train, optimizer=optimizer, epochs=0, ranks=ranks)
    assert optimizer.velocity is velocity


def test_alone_changes_nothing():
    value, rng = object(), np.random.default_rng(1)
    assert ALONE.own(rng) is rng
    assert (ALONE.rank, ALONE.size, ALONE.threads()) == (0, 1, None)
    grad = ALONE.gradient(mlp.Parameters.zeros([1, 1]))
    assert ALONE.average(grad, 0.5, 3, share=1.0) == (0.5, 3)
    assert ALONE.sum([1, 2.5]) == [1, 2.5]
    assert ALONE.same(value) is value


def test_evaluate_of_all_ranks_covers_all_rows():
    """What one rank sums up, and what the other does, are all examples."""
    train, _ = data.digits()
    network = mlp.init([64, 10], rng=1)
    sums = []
    for rank in range(2):
        ranks = Ranks(Fake(rank, 2))
        ranks.sum = lambda values: sums.append(values) or values
        evaluate(network, train, ranks=ranks)
    whole = evaluate(network, train)
    loss, correct, examples = np.sum(sums, axis=0)
    assert (loss / examples, correct / examples, examples) == (*whole, len(train))


def test_page_shows_code_that_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/distributed.md").read_text(), re.S)
    names = {}
    exec(code, names)
    assert np.isfinite(names["network"].theta).all()


# The real thing


@pytest.mark.parametrize("size", [1, 2, 4])
def test_fit_on_ranks_equals_one_process(mpi, size, tmp_path):
    done = on(size, program("on_ranks"), tmp_path)
    assert done.returncode == 0, done.stderr
    network, history, rows = on_ranks.train(ALONE)
    results = [np.load(tmp_path / f"rank{rank}.npz") for rank in range(size)]
    histories = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(size)]
    seen = np.concatenate([result["seen"] for result in results])
    np.testing.assert_array_equal(np.sort(seen), np.sort(rows))  # each row once an epoch
    for result, rows in zip(results, histories, strict=True):
        assert abs(result["theta"] - network.theta).max() <= FREE_RUN_TOLERANCE
        np.testing.assert_array_equal(result["theta"], results[0]["theta"])
        np.testing.assert_array_equal(result["unseeded"], results[0]["unseeded"])
        assert rows == histories[0]
    for column in ("running_accuracy", "train_accuracy", "test_accuracy"):
        assert [row[column] for row in histories[0]] == history.column(column)
    for column in ("running_loss", "train_loss", "test_loss"):
        theirs = np.array([row[column] for row in histories[0]])
        assert abs(theirs - history.column(column)).max() <= FREE_RUN_TOLERANCE


@pytest.mark.parametrize("size", [2, 4])
def test_fit_on_ranks_equals_torchs_distributed_data_parallel(tmp_path, size):
    """On unequal shards only with weighted losses: DDP counts the ranks, and not their rows."""
    command = [sys.executable, "-m", "tests.programs.ddp", str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(rank), str(size)], cwd=ROOT, stderr=-1, text=True)
        for rank in range(size)
    ]
    for process in processes:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint
    network, *_ = on_ranks.train(ALONE)  # the test above: all ranks have the same
    for name, alike in (("weighted", True), ("plain", False)):
        difference = abs(np.load(tmp_path / f"{name}.npy") - network.theta).max()
        assert (difference <= FREE_RUN_TOLERANCE) == alike


@pytest.mark.parametrize(
    ("mishap", "message"), [("raise", "RuntimeError: planted"), ("kill", "Killed (signal 9)")]
)
def test_failure_of_one_rank_ends_all_with_a_message(mpi, mishap, message, tmp_path):
    done = on(3, program("on_ranks"), tmp_path, mishap)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert done.seconds < SECONDS


# The command


def test_train_on_ranks_speaks_and_saves_once(mpi, tmp_path):
    train = ["train", "softmax-regression", "--epochs", "2", "--dtype", "float64"]
    done = on(4, "-m", "scratchnn", *train, "--out", tmp_path / "four")
    assert done.returncode == 0, done.stderr
    what, _, *rows, saved = done.stdout.splitlines()
    assert what.endswith("2 epochs, 4 ranks")
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert saved.startswith("saved in")
    on(1, "-m", "scratchnn", *train, "--out", tmp_path / "one")
    four, one = (np.load(tmp_path / name / "parameters.npz")["theta"] for name in ("four", "one"))
    assert abs(four - one).max() <= FREE_RUN_TOLERANCE
    assert json.loads((tmp_path / "four/history.json").read_text())["ranks"] == 4


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["softmax-regression", "--learning-rate", "1e300"], 1, "scratchnn: the loss is"),
        (["multilayer"], 2, "scratchnn train: argument RECIPE"),
        (["mlp", "--data", "mnist", "--data-dir", "/nowhere"], 3, "scratchnn: /nowhere"),
    ],
)
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


def test_train_under_a_launcher_without_mpi4py_names_the_extra():
    code = (
        "import sys; sys.modules['mpi4py'] = None; "
        "from scratchnn.cli import main; sys.exit(main(['recipes']))"
    )
    done = run([sys.executable, "-c", code], env={"PMI_RANK": "0"})
    assert done.returncode == 2
    assert "scratchnn[mpi]" in done.stderr
    assert not done.stdout


def test_ranks_share_the_cores_of_a_machine(mpi):
    code = "from scratchnn.launch import world; print(f'[{world().threads()}]')"
    cores = len(os.sched_getaffinity(0))
    for size in (2, 4):
        assert on(size, "-c", code).stdout.count(f"[{max(1, cores // size)}]") == size
