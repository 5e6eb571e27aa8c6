"""The model of a data-parallel step: by hand, fitted to numbers that obey it, and run for real."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import mpi_scaling
from benchmarks.mpi_scaling import Compute, Network
from parity.bounds import unit_roundoff

COMPUTE, NETWORK = Compute(step=2**-10, row=2**-16), Network(message=2**-20, byte=2**-30)


def test_network_seconds_by_hand():
    """4 ranks: 2 log2 4 = 4 messages, and 2 · 3/4 of the bytes."""
    assert NETWORK.seconds(4, 1024) == 4 * 2**-20 + 1.5 * 1024 * 2**-30
    assert NETWORK.seconds(1, 1024) == 0


def test_step_seconds_by_hand():
    """64 rows on 4 ranks: 16 rows each."""
    expected = 2**-10 + 16 * 2**-16 + NETWORK.seconds(4, 512)
    assert mpi_scaling.step_seconds(COMPUTE, NETWORK, 64, 4, 512) == expected


def relative_error(fitted, truth):
    return max(
        abs(a / b - 1) for a, b in zip(vars(fitted).values(), vars(truth).values(), strict=True)
    )


def test_fits_find_the_constants_of_numbers_that_obey_the_model():
    """Within the condition of the least squares times u, and its few operations."""
    rows, sizes = (16, 64, 256, 1024), (16, 4096, 2**20)
    fitted = mpi_scaling.fit_compute(rows, [COMPUTE.seconds(n) for n in rows])
    growth = np.linalg.cond([[1 / COMPUTE.seconds(n), n / COMPUTE.seconds(n)] for n in rows])
    assert relative_error(fitted, COMPUTE) <= 16 * growth * unit_roundoff(float)
    seconds = [NETWORK.seconds(8, size) for size in sizes]
    fitted = mpi_scaling.fit_network(8, sizes, seconds)
    growth = np.linalg.cond([[6 / s, 1.75 * n / s] for n, s in zip(sizes, seconds, strict=True)])
    assert relative_error(fitted, NETWORK) <= 16 * growth * unit_roundoff(float)


@pytest.fixture
def results():
    """What a machine of 2 cores would measure that obeys the model, but for 4 ranks."""
    steps = {
        ranks: {
            str(n): mpi_scaling.step_seconds(COMPUTE, NETWORK, n, ranks, 2**20)
            for n in mpi_scaling.BATCHES
        }
        for ranks in (1, 2, 4)
    }
    return {
        "cores": 2,
        "load": 0.0,
        "numpy": "2",
        "bytes": 2**20,
        "compute": vars(COMPUTE),
        "network": vars(NETWORK),
        "runs": [{"ranks": ranks, "steps": steps[ranks]} for ranks in steps],
    }


def test_check_table_holds_the_model_against_what_was_measured(results):
    rows = mpi_scaling.check_table(results).splitlines()[2:]
    assert rows[0] == "| 1 | 64 | 1.95 | 1.95 | 1.00 | 1.00 |"
    assert rows[3] == "| 2 | 64 | 2.44 | 2.44 | 1.00 | 0.80 |"
    assert rows[6].startswith("| 4 on 2 cores | 64 |")
    assert rows[6].split("|")[4:6] == [" - ", " - "]
    results["runs"][1]["steps"]["64"] *= 2
    assert "| 2 | 64 | 4.89 | 2.44 | 0.50 | 0.40 |" in mpi_scaling.check_table(results)


def test_paper_table_by_hand(results):
    """Messages that take no time; of 64 rows on 1,000 ranks, the slowest ranks have one."""
    *_, last = mpi_scaling.paper_table(results, Network(0, 0)).splitlines()
    faster = (2**-10 + 64 * 2**-16) / (2**-10 + 2**-16)
    assert last.startswith(f"| 1,000 | 0.00 | {faster:.1f} × |")
    assert last.endswith("| 100% |")


def test_mpi_scaling_measures_and_saves(tmp_path):
    pytest.importorskip("mpi4py")
    command = [sys.executable, "-m", "benchmarks.mpi_scaling", "--quick", "--json"]
    done = subprocess.run(
        [*command, str(tmp_path / "mpi.json")],
        capture_output=True,
        text=True,
        cwd=mpi_scaling.ROOT,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "mpi.json").read_text())
    assert [run["ranks"] for run in results["runs"]] == [1, 2]
    assert mpi_scaling.check_table(results) in done.stdout
    assert all(seconds > 0 for run in results["runs"] for seconds in run["steps"].values())
