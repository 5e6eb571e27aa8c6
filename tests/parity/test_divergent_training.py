"""A training that diverges is called so, and what judges nobody is not shown as a judgement."""

from __future__ import annotations

import numpy as np
import pytest

import parity
from scratchnn.optim import SGD

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def diverging():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 5)), rng.normal(size=(64, 2))
    runs = {
        epochs: parity.train(
            [5, 4, 2], X, y, optimizer=SGD(5.0), objective="mse_loss", epochs=epochs
        )
        for epochs in (1, 3, 6)
    }
    return {epochs: (run, str(run)) for epochs, run in runs.items()}


def test_a_loss_that_grows_without_an_overflow_diverges(diverging):
    run, text = diverging[3]
    assert run.holds
    assert run.diverged is None
    assert run.grown[1] > 1e100
    assert "; the training diverges: its loss grew from 1.01 to " in text
    assert run.as_dict()["grown"] == run.grown


def test_an_infinite_bound_is_not_shown(diverging):
    run, text = diverging[6]
    assert run.holds
    table = text.splitlines()[2:8]
    assert not any("inf ×" in line or "> nan" in line or "≤ inf" in line for line in table)
    assert table[-1].endswith("not judged: the training has diverged")
    assert f"from step {run.unbounded.step} on some bounds are infinite" in text


def test_training_that_goes_well_does_not_diverge(diverging):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 5)), rng.normal(size=(64, 2))
    run = parity.train([5, 4, 2], X, y, optimizer=SGD(0.1), objective="mse_loss", epochs=2)
    assert run.grown is None
    assert "diverge" not in str(run)
