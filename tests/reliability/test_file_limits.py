"""A limit of the size of files, `ulimit -f`: what it ends stays whole, and goes on without it."""

import os

import pytest

if not hasattr(os, "fork"):
    pytest.skip("the limit is that of a fork", allow_module_level=True)

import resource

from scratchnn.run import record
from tests.reliability.harness import Found, check_whole, folder, result, run, undisturbed

TRAIN = ["train", "softmax-regression", "--epochs", "40", "--checkpoint-every", "epoch"]


def limited(size):
    """Return what limits the files of a process, for `run`."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


def test_limit_that_the_history_reaches_costs_a_few_epochs():
    """The checkpoints fit, all with the history that belongs to them."""
    with folder() as path:
        ended = run([*TRAIN, "--out", str(path)], limited(9000))
        assert ended.status == 3
        waits, go_on, error = ended.err.splitlines()[-3:]
        assert "a row of the history waits, the training goes on" in waits
        assert go_on == f"scratchnn: the run stopped; go on: scratchnn train --resume {path}"
        words = "File too large: raise the limit of file sizes, `ulimit -f`"
        assert error == f"scratchnn: {path / 'history.jsonl'}: {words}"
        check_whole(path, found := Found(), "limited")
        assert found.wrong == []
        assert record.read(path)["status"] == "failed"
        assert 20 < len(record.read(path)["history"]) < 40
        assert run(["train", "--resume", str(path)]).status == 0
        assert result(path) == undisturbed(tuple(TRAIN))


@pytest.mark.parametrize(
    ("size", "name", "again"),
    [(1000, "run.json", [*TRAIN, "--out"]), (4000, "checkpoint.npz", ["train", "--resume"])],
)
def test_limit_that_lets_nothing_begin_is_said_at_once(size, name, again):
    with folder() as path:
        ended = run([*TRAIN, "--out", str(path)], limited(size))
        assert (ended.status, ended.out) == (3, "")
        assert f"{path / name}: File too large: raise the limit" in ended.err
        assert run([*again, str(path)]).status == 0
        assert result(path) == undisturbed(tuple(TRAIN))
