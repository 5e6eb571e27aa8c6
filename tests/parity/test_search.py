"""The search finds what is wrong, names who, and prints a program that shows it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import scratchnn.functional as F
from parity import bounds
from parity.literal import literal
from parity.ops import OPS
from parity.report import ops as ops_report
from parity.search import search
from parity.search.reproduction import code

ROOT = Path(__file__).parents[2]
EXAMPLES = 40


def diagonal_alone(dy, z, axis):
    p = F.softmax(z, axis)
    return (dy * p * (1 - p),)


def plant(monkeypatch, name, **changed):
    monkeypatch.setitem(OPS, name, replace(OPS[name], **changed))
    return OPS[name]


def printed_by(program, capsys):
    capsys.readouterr()
    exec(program, {})
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("side", "changed"),
    [
        ("NumPy", {"backward": diagonal_alone}),
        ("torch cpu", {"torch": lambda z, axis: torch.softmax(z, axis).roll(1, axis)}),
    ],
)
def test_search_shrinks_a_failure_and_names_the_side(side, changed, monkeypatch, capsys):
    cell = search(plant(monkeypatch, "softmax", **changed), examples=EXAMPLES)
    assert not cell.holds
    assert cell.failure.guilty == (side,)
    output = printed_by(cell.failure.code, capsys)
    assert cell.failure.message in output
    assert f"  {side}[" in output
    assert "LEFT its bound" in output
    assert sum(map(str.isdigit, cell.failure.code.partition("array([")[2].partition("]")[0])) <= 4
    assert cell.failure.code in ops_report.failure(cell)
    assert f"softmax in float32: {side} left its bound" in ops_report.failure(cell)


def test_search_takes_an_exception_for_a_failure(monkeypatch, capsys):
    def refuse(z, axis):
        raise ValueError("z must be kind")

    cell = search(plant(monkeypatch, "softmax", ours=refuse), examples=EXAMPLES)
    assert cell.failure.message == "ValueError: z must be kind"
    assert "softmax in float32: the operation raised" in ops_report.failure(cell)
    with pytest.raises(ValueError, match="z must be kind"):
        printed_by(cell.failure.code, capsys)


def test_search_reports_both_sides_of_what_holds():
    cell = search(OPS["sigmoid"], examples=EXAMPLES)
    assert cell.holds
    assert cell.cases == EXAMPLES
    assert set(cell.sides) == {"NumPy", "torch cpu"}
    for worst in cell.sides.values():
        assert 0 < worst.error.ratio <= 1
        assert worst.ulps >= worst.error.ulps > 0


def test_search_with_one_seed_finds_the_same():
    first, again, other = (
        search(OPS["softmax"], examples=EXAMPLES, random_seed=number) for number in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", ["linear", "linear, without a bias", "kronecker_linear"])
def test_search_refuses_tf32_judged_as_float32(name):
    cell = search(OPS[name], "tf32", examples=EXAMPLES)
    assert cell.holds
    assert cell.refused > EXAMPLES / 2
    products = [name, *(f"{name}, d{argument}" for argument in OPS[name].inputs if argument != "b")]
    assert set(cell.refusals) == {f"torch cpu: {product}" for product in products}
    assert "as it must be" in ops_report.refusals([cell])[0]


def test_search_fails_where_the_float32_bound_does_not_see_tf32(monkeypatch):
    monkeypatch.setattr("parity.search.judge", lambda *_: [])
    cell = search(OPS["linear"], "tf32", examples=EXAMPLES)
    assert (cell.refused, cell.failure, cell.holds) == (0, None, False)
    assert "the bound sees nothing" in ops_report.refusals([cell])[0]


def test_code_of_the_real_table_says_that_all_is_well():
    case = {
        "X": np.ones((2, 3), np.float32),
        "W": np.ones((3, 1), np.float32),
        "b": np.ones(1, np.float32),
    }
    program = code(OPS["linear"], case, 7, precision="tf32", analysis="worst-case")
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert output.count("is within its bound") == 2 * 4
    assert "LEFT" not in output


@pytest.mark.parametrize(
    "value",
    [
        np.array([[0.1, np.inf], [np.nan, -0.0]], np.float32),
        np.array(1e-45, np.float32),
        np.array([1 / 3, -np.inf]),
        np.zeros((0, 3)),
        np.inf,
        np.array([1, 2]),
        None,
        0.1,
        "mean",
    ],
)
def test_literal_keeps_every_bit(value):
    again = eval(literal(value), {"np": np})
    if isinstance(value, np.ndarray):
        assert (again.dtype, again.shape) == (value.dtype, value.shape)
        assert again.tobytes() == value.tobytes()
    else:
        assert again == value


@pytest.mark.parametrize("analysis", ["mixed", "worst-case", "probabilistic"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "tf32"])
def test_no_bound_is_exceeded_by_any_analysis(analysis, dtype):
    """A few cases of each; docs/results/ops.json has 100,000 of them."""
    for op in OPS.values():
        if dtype != "tf32" or op.products:
            cell = search(op, dtype, examples=10, random_seed=5, analysis=analysis)
            assert cell.holds, ops_report.failure(cell)


def test_search_judges_by_the_analysis():
    """4 √n is a fifth of n = 400, the number of terms in every sum here."""
    rng = np.random.default_rng(0)
    sizes = {"X": (400, 400), "W": (400, 400), "b": (400,)}
    case = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    op = replace(OPS["linear"], cases=lambda _: st.just(case))
    worst_case, probabilistic = (
        search(op, examples=1, analysis=kind).sides["NumPy"].error.ratio
        for kind in ("worst-case", "probabilistic")
    )
    assert 4 * worst_case < probabilistic


def test_analysis_orders_the_bounds():
    rng = np.random.default_rng(0)
    X, W, b = rng.normal(size=(2, 400)), rng.normal(size=(400, 3)), np.zeros(3)
    u, bound = bounds.unit_roundoff(np.float32), {}
    dY = rng.normal(size=(400, 3))
    for kind in bounds.ANALYSES:
        with bounds.analysis(kind):
            db = bounds.linear_backward_parameters(dY, dY, u)[1]
            bound[kind] = bounds.linear(X, W, b, u).max(), db.max()
    assert bound["mixed"][0] == bound["probabilistic"][0] < bound["worst-case"][0] / 4
    assert bound["mixed"][1] == bound["worst-case"][1] > 4 * bound["probabilistic"][1]


def test_analysis_refuses_another_name():
    with (
        pytest.raises(ValueError, match=r"analysis must be one of mixed, .*, got 'hopeful'"),
        bounds.analysis("hopeful"),
    ):
        pass


def test_gamma_is_infinite_where_the_worst_case_says_nothing():
    u = bounds.unit_roundoff(np.float32)
    assert bounds.gamma(2**24, u) == np.inf
    assert bounds.gamma_product(2**24, u) == 4 * 2**12 * u
