"""The search finds what is wrong, names who, and prints a program that shows it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, theirs
from parity.ops import OPS
from parity.search import reproduction, search
from scratchnn.ops.softmax import logsumexp_backward

ROOT = Path(__file__).parents[2]
EXAMPLES = 40
right_logsumexp = theirs.logsumexp


def without_dlse(dlse, z, axis, keepdims):
    return logsumexp_backward(np.ones_like(dlse), z, axis, keepdims=keepdims)


def too_large(z, axis, keepdims):
    return right_logsumexp(z, axis, keepdims=keepdims) * 1.25


def printed_by(program, capsys):
    capsys.readouterr()
    exec(program, {})
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("side", "module", "name", "wrong"),
    [
        ("NumPy", F, "logsumexp_backward", without_dlse),
        ("torch cpu", theirs, "logsumexp", too_large),
    ],
)
def test_search_shrinks_a_failure_and_names_the_side(
    side, module, name, wrong, monkeypatch, capsys
):
    monkeypatch.setattr(module, name, wrong)
    cell = search(OPS["logsumexp"], examples=EXAMPLES)
    assert not cell.holds
    assert cell.failure.guilty == (side,)
    output = printed_by(cell.failure.code, capsys)
    assert cell.failure.message in output
    assert f"  {side}" in output
    assert "LEFT its bound" in output
    assert sum(map(str.isdigit, cell.failure.code.partition("array([")[2].partition("]")[0])) <= 4


def test_search_takes_an_exception_for_a_failure(monkeypatch, capsys):
    def refuse(z, **options):
        raise ValueError("z must be kind")

    monkeypatch.setattr(F, "softmax", refuse)
    cell = search(OPS["softmax"], examples=EXAMPLES)
    assert cell.failure.message == "ValueError: z must be kind"
    assert cell.failure.guilty == ()
    with pytest.raises(ValueError, match="z must be kind"):
        printed_by(cell.failure.code, capsys)


def test_search_does_not_hide_an_error_of_its_own():
    def nothing(draw, dtype):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search(replace(OPS["softmax"], generate=nothing), examples=EXAMPLES)


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


def test_search_fails_where_the_float32_bound_does_not_see_tf32(monkeypatch):
    monkeypatch.setattr("parity.search.judge", lambda *_: [])
    cell = search(OPS["linear"], "tf32", examples=EXAMPLES)
    assert (cell.refused, cell.failure, cell.holds) == (0, None, False)


def test_reproduction_of_the_real_table_says_that_all_is_well():
    case = {
        "X": np.ones((2, 3), np.float32),
        "W": np.ones((3, 1), np.float32),
        "b": np.ones(1, np.float32),
    }
    program = reproduction(OPS["linear"], case, 7, precision="tf32", analysis="worst-case")
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert output.count("is within its bound") == 2 * 4
    assert "LEFT" not in output


def test_reproduction_keeps_every_option_of_a_case(capsys):
    for op in OPS.values():
        output = printed_by(reproduction(op, op.typical(np.float32)), capsys)
        assert output.count("is within its bound") == 2 * (1 + len(op.inputs))


@pytest.mark.parametrize("analysis", ["mixed", "worst-case", "probabilistic"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "tf32"])
def test_no_bound_is_exceeded_by_any_analysis(analysis, dtype):
    """A few cases of each; docs/results/ops.json has 100,000 of them."""
    for op in OPS.values():
        if dtype != "tf32" or op.products:
            cell = search(op, dtype, examples=10, random_seed=5, analysis=analysis)
            assert cell.holds, cell.failure


def test_search_judges_by_the_analysis():
    """4 √n is a fifth of n = 400, the number of terms in every sum here."""
    rng = np.random.default_rng(0)
    sizes = {"X": (400, 400), "W": (400, 400), "b": (400,)}
    case = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    op = replace(OPS["linear"], generate=lambda draw, dtype: case)
    worst_case, probabilistic = (
        search(op, examples=1, analysis=kind).sides["NumPy"].error.ratio
        for kind in ("worst-case", "probabilistic")
    )
    assert 4 * worst_case < probabilistic


def test_analysis_orders_the_bounds():
    rng = np.random.default_rng(0)
    X, W, b = rng.normal(size=(400, 400)), rng.normal(size=(400, 3)), np.zeros(3)
    u, bound = bounds.unit_roundoff(np.float32), {}
    dY = rng.normal(size=(400, 3))
    for kind in bounds.ANALYSES:
        with bounds.analysis(kind):
            *_, db = bounds.linear_backward(dY, X, W, b, u=u)
            bound[kind] = bounds.linear(X, W, b, u=u).max(), db.max()
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
