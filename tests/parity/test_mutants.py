"""Every planted bug is seen by some check, and the committed matrix is that of the code."""

from __future__ import annotations

import numpy as np
import pytest

import scratchnn.functional as F
from parity.checking import mutants
from parity.checking.diagnosis import BY_KIND
from parity.checking.mutants import Mutant
from parity.cli import main
from parity.flaws import FLAWS, Flaw
from parity.flaws.training import FLAWS as TRAINING_FLAWS
from parity.judge import judge
from parity.ops import OPS, as_tuple

FEW = 15  # examples
OFF = 1 + 1e-3  # what is planted, not what is tolerated


@pytest.mark.parametrize("op", OPS)
def test_bugs_of_an_operation_are_seen_and_named(op):
    planted = [flaw for flaw in FLAWS if flaw.op == op]
    assert {flaw.backward for flaw in planted} >= {False}
    found = [mutants.of_operation(flaw, FEW) for flaw in planted]
    assert not [mutant for mutant in found if mutant.survives]
    assert not [mutant for mutant in found if not mutant.named]


@pytest.mark.parametrize("flaw", TRAINING_FLAWS, ids=lambda flaw: flaw.name)
def test_bug_of_training_is_seen(flaw):
    assert not mutants.of_training(flaw).survives


def test_training_without_a_bug_holds():
    assert mutants.trained() == ()


def test_what_is_no_bug_survives():
    """The checks say nothing against the right function."""
    for op in ("softmax", "cross_entropy"):
        assert mutants.of_operation(Flaw(op, OPS[op].ours), FEW).survives


def test_each_bug_says_its_cause():
    assert not [flaw.name for flaw in FLAWS if not flaw.cause]
    assert {flaw.cause for flaw in FLAWS} >= {BY_KIND[kind] for kind in ("float64", "label")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_no_bound_is_so_wide_that_a_thousandth_is_not_seen(name, dtype, monkeypatch):
    """In the value, and in each gradient."""
    op = OPS[name]
    case, ours, backward = op.typical(dtype), op.ours, op.backward

    def failing():
        return [i for i, verdict in enumerate(judge(op, case)) if not verdict.holds]

    assert failing() == []
    with monkeypatch.context() as patch:
        patch.setattr(F, op.function, lambda **case: ours(**case) * dtype(OFF))
        assert failing() == [0]
    for i in range(len(op.inputs)):

        def off(dy, i=i, **case):
            gradients = as_tuple(backward(dy, **case))
            return tuple(g * dtype(OFF) if k == i else g for k, g in enumerate(gradients))

        with monkeypatch.context() as patch:
            patch.setattr(F, f"{op.function}_backward", off)
            assert failing() == [1 + i]


def test_saved_matrix_is_of_these_bugs_and_has_no_idle_check():
    saved = mutants.read(mutants.RESULTS)
    assert [mutant.bug for mutant in saved] == [flaw.name for flaw in (*FLAWS, *TRAINING_FLAWS)]
    assert not [mutant for mutant in saved if mutant.survives]
    assert all(mutants.checks_of(saved).values())


def test_main_mutants_fails_where_one_survives(monkeypatch, capsys):
    planted = [Mutant("softmax", "seen", ("oracle",)), Mutant("relu", "not seen", ())]
    monkeypatch.setattr(mutants, "run", lambda: iter(planted))
    assert main(["mutants"]) == 1
    assert "SURVIVES: relu: not seen" in capsys.readouterr().out
    del planted[1]
    assert main(["mutants"]) == 0
