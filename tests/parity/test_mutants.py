"""Every planted bug is seen by some check, and the committed matrix is that of the code."""

import pytest

from parity import mutants
from parity.__main__ import main
from parity.flaws import FLAWS, Flaw
from parity.flaws.training import FLAWS as TRAINING_FLAWS
from parity.mutants import Mutant
from parity.ops import OPS
from parity.training.optimizer import check_sgd

FEW = 30  # examples


@pytest.mark.parametrize("op", OPS)
def test_bugs_of_an_operation_are_seen(op):
    planted = [flaw for flaw in FLAWS if flaw.op == op]
    assert {flaw.backward for flaw in planted} >= {False}
    found = [mutants.of_operation(flaw, FEW) for flaw in planted]
    assert not [mutant for mutant in found if mutant.survives]


@pytest.mark.parametrize("flaw", TRAINING_FLAWS, ids=lambda flaw: flaw.name)
def test_bug_of_training_is_seen(flaw):
    assert not mutants.of_training(flaw).survives


def test_training_without_a_bug_holds():
    assert check_sgd().holds
    assert mutants._lockstep() == ()


def test_what_is_no_bug_survives():
    """The battery says nothing of the right function."""
    for op in ("softmax", "cross_entropy"):
        assert mutants.of_operation(Flaw(op, OPS[op].ours), FEW).survives


def test_saved_matrix_is_of_these_bugs_and_has_no_idle_check():
    saved = mutants.read(mutants.RESULTS)
    planted = [flaw.name for flaw in (*FLAWS, *TRAINING_FLAWS)]
    assert [mutant.bug for mutant in saved] == planted
    assert len(planted) >= 40
    assert not [mutant for mutant in saved if mutant.survives]
    assert all(mutants.checks_of(saved).values())


def test_main_mutants_fails_where_one_survives(monkeypatch, capsys):
    planted = [Mutant("softmax", "seen", ("oracle",)), Mutant("relu", "not seen", ())]
    monkeypatch.setattr(mutants, "run", lambda: iter(planted))
    assert main(["mutants"]) == 1
    assert "SURVIVES: relu: not seen" in capsys.readouterr().out
    del planted[1]
    assert main(["mutants"]) == 0
