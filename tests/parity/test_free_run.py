"""Free runs compared with torch's own drift, and accuracies over paired seeds."""

from __future__ import annotations

import json

import pytest
import torch

from parity.__main__ import main
from parity.training import free_run, paired
from scratchnn import recipes
from scratchnn.optim import SGD
from scratchnn.run.recipes import RECIPES

CPU = torch.device("cpu")


def run_of(name, dtype="float32", steps=30, **changes):
    recipe = recipes.get(name)
    if recipe.hidden:
        changes = {"hidden": (24, 16)} | changes  # small, and fast
    run = recipes.prepare(recipe.on(recipe.default_data, **changes), dtype=dtype)
    return free_run.train(run, CPU, steps)


def plant_momentum(monkeypatch):
    def velocity(self, g):
        self.state["velocity"] = 0.9 * self.state.get("velocity", 0) + g
        return self.state["velocity"]

    monkeypatch.setattr(SGD, "_velocity", velocity)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", ["mlp", "mlp-kronecker", "softmax-regression", "linear-regression"]
)
def test_free_run_holds(name, dtype):
    result = run_of(name, dtype)
    assert result.holds, result.verdict()
    assert len(result.apart) == len(result.control) == 30


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_free_run_fails_with_another_momentum(monkeypatch, dtype):
    plant_momentum(monkeypatch)
    result = run_of("mlp", dtype, steps=200)
    assert not result.holds
    assert "FAILS" in result.verdict()


def test_free_run_fails_with_another_rate_where_there_is_no_relu(monkeypatch):
    right = SGD.step
    monkeypatch.setattr(SGD, "step", lambda self, theta, grad: right(self, theta, grad * 1.01))
    assert not run_of("softmax-regression").holds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RECIPES)
def test_control_moves_for_every_recipe(name, dtype):
    result = run_of(name, dtype, steps=3)
    assert max(result.control) > 0
    assert result.control[0] > 0


def test_float64_may_drift_as_torch_does_from_itself():
    apart, control = [1e-15, 5e-11, 9e-11], [1e-16, 1e-11, 1e-13]
    assert free_run.FreeRun("float64", "cpu", True, apart, control).holds
    assert free_run.FreeRun("float64", "cpu", True, [9e-13] * 3, [1e-16] * 3).holds
    assert not free_run.FreeRun("float64", "cpu", True, apart[::-1], control).holds
    result = run_of("linear-regression", "float64", steps=1)
    assert "≤ 1e-12" in result.verdict()


def test_control_starts_from_one_ulp():
    result = run_of("mlp", "float64", steps=1)
    assert 0 < result.control[0] < 1e-15


def test_table_shows_round_steps_and_the_last():
    assert free_run.milestones(60) == [1, 2, 5, 10, 20, 50, 60]
    assert free_run.milestones(1) == [1]
    assert run_of("linear-regression", steps=7).table().splitlines()[-1].split()[0] == "7"


def test_main_draws_the_divergence(tmp_path, capsys):
    arguments = ["train", "mlp", "--mode", "free-run", "--steps", "12", "--dtype", "float32"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "torch, torch + 1 ulp" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"free-run.json", "free-run-float32.svg", "free-run-float32.png"}
    (found,) = json.loads((tmp_path / "free-run.json").read_text())
    assert len(found["apart"]) == len(found["control"]) == 12


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (3, 17), (10, 10), (40, 12), (0, 30)])
def test_mcnemar_is_the_exact_binomial_test(b, c):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert paired.mcnemar(b, c) == pytest.approx(expected)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 29, 100])
def test_student_t_is_that_of_the_tables(freedom):
    stats = pytest.importorskip("scipy.stats")
    assert paired.student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom))


def test_interval_is_the_paired_one_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    ours, theirs = [0.9, 0.93, 0.88, 0.95], [0.91, 0.9, 0.88, 0.92]
    pairs = [
        paired.Pair(i, *both, 0, 0, 100) for i, both in enumerate(zip(ours, theirs, strict=True))
    ]
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert paired.Paired("float32", "cpu", pairs).interval() == pytest.approx(tuple(expected))


def pairs_of(lost, seeds):
    """Seeds in which ours is right in 40 of 10,000 examples alone, and torch in some more."""
    return [
        paired.Pair(i, 0.96 - lost / 10_000, 0.96, 40, 40 + lost + i % 3 - 1, 10_000)
        for i in range(seeds)
    ]


def test_accuracy_fails_where_every_seed_is_a_little_worse():
    """A quarter of a point, which no seed alone would refuse, and one that chance may have."""
    worse, chance = (paired.Paired("float32", "cpu", pairs_of(lost, 10)) for lost in (25, 3))
    assert all(pair.p > paired.LEVEL / 10 for pair in worse.pairs)
    assert not worse.holds
    assert "the interval at 99.9% excludes 0" in worse.verdict()
    assert chance.holds


def test_accuracy_does_not_refuse_the_same_example_twice():
    """Equal differences have no spread of their own."""
    pairs = [paired.Pair(i, 0.5, 0.51, 0, 1, 100) for i in range(3)]
    assert paired.Paired("float32", "cpu", pairs).holds


def test_table_has_a_row_per_seed():
    assert paired.Paired("float32", "cpu", pairs_of(3, 4)).table().count("<tr>") == 5


def test_main_compares_accuracies_over_seeds(tmp_path, capsys):
    arguments = ["train", "softmax-regression", "--mode", "accuracy", "--seeds", "2"]
    assert main([*arguments, "--epochs", "2", "--out", str(tmp_path)]) == 0
    assert "accuracy holds in float32" in capsys.readouterr().out
    (found,) = json.loads((tmp_path / "accuracy.json").read_text())
    assert [pair["seed"] for pair in found["pairs"]] == [1, 2]
    assert found["pairs"][0]["torch"] > 0.5


def test_main_refuses_an_accuracy_that_is_worse(monkeypatch, capsys):
    monkeypatch.setattr(SGD, "step", lambda self, theta, grad: None)  # ours does not learn
    arguments = ["train", "softmax-regression", "--mode", "accuracy", "--seeds", "2"]
    assert main([*arguments, "--epochs", "2"]) == 1
    assert "accuracy FAILS" in capsys.readouterr().out


def test_main_says_that_a_line_has_no_accuracy(capsys):
    assert main(["train", "linear-regression", "--mode", "accuracy"]) == 2
    printed = capsys.readouterr()
    assert "accuracy needs a recipe with classes" in printed.err
    assert printed.out == ""
