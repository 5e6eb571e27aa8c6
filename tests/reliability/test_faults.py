"""What may befall a training, in the short form: a process of its own tries all faults.

`python -m tests.reliability --long` is the long form.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

if not hasattr(os, "fork"):
    pytest.skip("the faults happen to forks", allow_module_level=True)

from tests.reliability.faults import FAULTS  # noqa: E402 - needs fork


def tried(path, *arguments):
    """Return the rows of the faults that were tried, by name."""
    command = [sys.executable, "-m", "tests.reliability", *arguments, "--json", str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert path.exists(), done.stderr
    return {row["fault"]: row for row in json.loads(path.read_text())["faults"]}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return tried(tmp_path_factory.mktemp("faults") / "results.json")


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(rows, fault):
    assert rows[fault]["wrong"] == []
    assert rows[fault]["cases"] == FAULTS[fault][1]


@pytest.mark.long
def test_nothing_is_lost_in_many_cases(tmp_path):
    assert not [
        row["wrong"] for row in tried(tmp_path / "r.json", "--long").values() if row["wrong"]
    ]
