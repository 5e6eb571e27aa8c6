"""Every planted bug is seen by some check, and the committed matrix is that of the code."""

from __future__ import annotations

import pytest

from parity.checking import FLAWS, mutants
from parity.checking.causes import BY_KIND
from parity.checking.mutants import Mutant
from parity.cli import main
from parity.flaws import Flaw
from parity.flaws.training import FLAWS as TRAINING_FLAWS
from parity.ops import OPS
from scratchnn.optim import Adam

NAMED = 0.9  # of the planted bugs, the share whose cause a report must name


def test_bugs_of_operations_are_seen_and_named():
    assert {flaw.op for flaw in FLAWS if not flaw.backward} >= set(OPS)
    found = [mutants.of_operation(flaw) for flaw in FLAWS]
    assert not [mutant for mutant in found if mutant.survives]
    assert not [mutant for mutant in found if mutant.other], "a false cause"
    assert sum(mutant.named for mutant in found) >= NAMED * len(found)


@pytest.mark.parametrize("flaw", TRAINING_FLAWS, ids=lambda flaw: flaw.name)
def test_bug_of_training_is_seen(flaw):
    assert not mutants.of_training(flaw).survives


def test_a_bug_of_adam_is_seen_in_adamw_too():
    for flaw in TRAINING_FLAWS:
        if flaw.where is Adam:
            assert mutants.of_training(flaw).killed_by == ("Adam", "AdamW")


def test_training_without_a_bug_holds():
    assert mutants.trained() == ()


def test_what_is_no_bug_survives():
    """The checks say nothing against the right function."""
    for op in ("softmax", "cross_entropy"):
        assert mutants.of_operation(Flaw(op, OPS[op].ours)).survives


def test_each_bug_says_its_cause():
    assert not [flaw.name for flaw in FLAWS if not flaw.cause]
    assert {flaw.cause for flaw in FLAWS} >= {BY_KIND[kind] for kind in ("float64", "label")}


def test_saved_matrix_is_of_these_bugs_and_has_no_idle_check():
    saved = mutants.read(mutants.RESULTS)
    planted = [flaw.name for flaw in (*FLAWS, *TRAINING_FLAWS)]
    assert [mutant.bug for mutant in saved] == planted, (
        "measure docs/results/mutants.json again, as docs/mutants.md says"
    )
    assert not [mutant for mutant in saved if mutant.survives or mutant.other]
    assert all(mutants.checks_of(saved).values())


def test_main_mutants_fails_where_one_survives(monkeypatch, capsys):
    planted = [Mutant("softmax", "seen", ("options",)), Mutant("relu", "not seen", ())]
    monkeypatch.setattr(mutants, "run", lambda: iter(planted))
    assert main(["mutants"]) == 1
    assert "SURVIVES: relu: not seen" in capsys.readouterr().out
    del planted[1]
    assert main(["mutants"]) == 0
