"""No false alarm, no missed flaw, no false cause among the fixtures that nobody tuned."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")  # some fixtures are functions of tensors

from tests.parity import verdicts

FIXTURES = verdicts.fixtures()
SAVED = {
    row["name"]: row for row in json.loads(verdicts.RESULTS.read_text(encoding="utf-8"))["fixtures"]
}


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture["name"])
def test_the_verdict_is_the_grade_of_the_fixture(fixture):
    found = verdicts.verdict(fixture)
    assert found["grade"] == fixture["grade"], found
    place = {"forward": "value", "gradient": "gradient"}.get(fixture["where"])
    if place and fixture["grade"] != "differs":
        assert found[place] == fixture["grade"], found
    assert found["causes"] == SAVED[fixture["name"]]["causes"]
    assert found["lines"] <= (40 if found["grade"] in ("right", "differs") else 80)


def test_most_flaws_are_named():
    lost = [row for row in SAVED.values() if row["expected"] in ("wrong", "unstable")]
    assert sum("unknown" not in row["causes"] for row in lost) >= 0.9 * len(lost)
