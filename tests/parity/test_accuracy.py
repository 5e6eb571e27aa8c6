"""The oracle is right, ulps are ulps, our operations hold the criterion, and textbooks' do not."""

import json
from dataclasses import replace

import mpmath
import numpy as np
import pytest

from parity import accuracy
from parity.accuracy import (
    FAMILIES,
    MEASURED,
    NAN_ON_MASKS,
    TERMS,
    Cell,
    draw,
    is_lost,
    libraries,
    limit,
    right_answers,
    ulps,
)
from parity.cli import main
from tests.helpers import DTYPES

QUANTITIES = {f"{name}{suffix}" for name in MEASURED for suffix in ("", " gradient")}


def drawn(z, dy=1.0, yes=1.0, share=0.5, likely=0.5, labels=0, dloss=1.0):
    """Return one row of everything that is drawn."""
    wide = {"z": z, "dy": dy, "yes": yes, "share": share, "likely": likely}
    wide = {name: np.array(np.broadcast_to(x, (1, len(z))), float) for name, x in wide.items()}
    return {**wide, "labels": np.array([labels]), "dloss": np.array([dloss])}


def test_oracle_hand_values():
    found = right_answers(drawn([np.log(3.0), 0.0], likely=[0.25, 0.75], labels=1, dloss=-2.0), 1)
    close = {
        "softmax": [[0.75, 0.25]],
        "softmax gradient": [[0, 0]],  # of ones
        "log_softmax gradient": [[-0.5, 0.5]],
        "logsumexp": [np.log(4)],
        "logsumexp gradient": [[-1.5, -0.5]],
        "cross_entropy": [np.log(4)],
        "cross_entropy gradient": [[-1.5, 1.5]],
        "cross_entropy, probabilities": [np.log(4) - np.log(3) / 4],
        "cross_entropy, probabilities gradient": [[-1, 1]],
        "sigmoid": [[0.75, 0.5]],
        "sigmoid gradient": [[3 / 16, 1 / 4]],
        "softplus": [[np.log(4), np.log(2)]],
        "softplus gradient": [[0.75, 0.5]],
        "tanh": [[0.8, 0]],
        "tanh gradient": [[1 - 0.8**2, 1]],
        "bce, t in {0, 1}": [[np.log(4 / 3), np.log(2)]],
        "bce, t in {0, 1} gradient": [[-0.25, -0.5]],
        "bce, t in (0, 1) gradient": [[0.25, 0]],
    }
    without = set(found) - set(close) - {"log_softmax", "bce, t in (0, 1)"}  # tested below
    assert not without, f"add a value in closed form of: {without}"
    for op, value in close.items():
        np.testing.assert_allclose(found[op].value, value, rtol=1e-15, atol=1e-16, err_msg=op)


def test_oracle_equals_mpmath_with_many_digits():
    z = [0.0, -50.5, 3.25, -745.0]
    t = [2.0**-60, 2.0**-58, 1.0, 2.0**-57]  # whose sum is beyond float64
    found = right_answers(drawn(z, labels=2, share=0.25, likely=t), 1)
    with mpmath.workdps(400):
        e = [mpmath.exp(z_k) for z_k in z]
        p = [e_k / sum(e) for e_k in e]
        s = [1 / (1 + mpmath.exp(-mpmath.mpf(z_k))) for z_k in z]
        exact = {
            "softmax": p,
            "log_softmax": [mpmath.log(p_k) for p_k in p],
            "log_softmax gradient": [1 - 4 * p_k for p_k in p],
            "cross_entropy gradient": [p_k - (k == 2) for k, p_k in enumerate(p)],
            "cross_entropy, probabilities gradient": [
                p_k * mpmath.fsum(t) - t_k for p_k, t_k in zip(p, t, strict=True)
            ],
            "sigmoid gradient": [s_k * (1 - s_k) for s_k in s],
            "softplus": [mpmath.log(1 + e_k) for e_k in e],
            "softplus gradient": s,
            "tanh": [mpmath.tanh(z_k) for z_k in z],
            "tanh gradient": [1 - mpmath.tanh(z_k) ** 2 for z_k in z],
            "bce, t in (0, 1)": [-(mpmath.log(s_k) + 3 * mpmath.log(1 - s_k)) / 4 for s_k in s],
            "bce, t in {0, 1} gradient": [s_k - 1 for s_k in s],
        }
    for op, values in exact.items():
        assert found[op].value[0].tolist() == [float(value) for value in values], op


def test_oracle_keeps_masks():
    found = right_answers(drawn([0.0, -np.inf], labels=1), 1)
    assert found["cross_entropy"].value == np.inf
    np.testing.assert_array_equal(found["log_softmax"].value, [[0, -np.inf]])
    np.testing.assert_array_equal(found["cross_entropy gradient"].value, [[1, -1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulps_of_neighbours(dtype):
    info = np.finfo(dtype)
    for value in (1.0, 1.5, -3.0, 1e-30, float(info.tiny), float(info.smallest_subnormal), 0.0):
        right = dtype(value)
        value, result = float(right), np.array([right, np.nextafter(right, dtype(np.inf))])
        np.testing.assert_array_equal(ulps(result, np.array([value, value])), [0, 1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulps_of_what_is_not_finite(dtype):
    none = 2 / np.finfo(dtype).eps
    result = np.array([np.inf, -np.inf, np.nan, np.inf, 1.0, 1e30], dtype)
    value = np.array([np.inf, np.inf, 1.0, 1.0, np.inf, 1.0])
    np.testing.assert_array_equal(ulps(result, value), [0, none, none, none, none, none])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_result_of_zero_has_no_digit_right(dtype):
    (error,) = ulps(np.zeros(1, dtype), np.array([1e-10]))
    assert is_lost(error, dtype)
    assert not is_lost(error / 8, dtype)


def test_criterion_is_twice_the_best_or_4_ulp():
    cell = Cell("op", "family", 2, "float32", 1, {"ours": (9, 9), "torch": (5, 8), "JAX": (7, 7)})
    assert limit(cell.errors) == 10
    assert cell.holds
    assert not replace(cell, errors=cell.errors | {"SciPy": (3, 3)}).holds
    assert not replace(cell, errors=cell.errors | {"ours": (9, 2**23)}).holds
    assert replace(cell, errors={"ours": (4, 4), "torch": (0, 0)}).holds


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulps_of_terms_are_larger_where_they_cancel(dtype):
    value, terms = np.array([2.0**-10]), np.array([1.5])
    result = np.nextafter(value.astype(dtype), dtype(1))
    np.testing.assert_array_equal(ulps(result, value), 1)
    np.testing.assert_array_equal(ulps(result, value, terms), 2.0**-10)


def test_criterion_of_a_sum_may_hold_by_its_terms():
    near, far = {"ours": (3, 3), "torch": (1, 1)}, {"ours": (300, 900), "torch": (100, 100)}
    cell = Cell("softmax gradient", "family", 2, "float32", 1, far, near)
    assert cell.holds > cell.holds_plainly
    assert not replace(cell, of_terms=far).holds
    assert not replace(cell, of_terms={}).holds
    assert accuracy.summary([cell, replace(cell, errors=near), replace(cell, of_terms={})]) == (
        "2 of 3 cells hold the criterion, 1 of them in ulps of the result.\n"
        "- softmax gradient, family, C = 2, float32: 99.9 % within 300 ulp, limit 200, maximum 900"
    )
    assert "| softmax gradient, by its terms | 3 | 1 |" in accuracy.table([cell], "float32")


@pytest.fixture(scope="module")
def small():
    """The cells of ours, torch's and the textbook's on a few rows."""
    tables = {name: libraries.load(name) for name in ("ours", "torch", "textbook")}
    found = []
    for dtype in DTYPES:
        for family in FAMILIES:
            for classes, rows in ((2, 40), (10, 10)):
                task = family, rows, classes, dtype
                found += accuracy.cells(*task, right_answers(draw(*task), rows), tables)
    return found


def test_every_operation_of_ours_holds_the_criterion(small):
    assert {cell.op for cell in small} == QUANTITIES
    assert len(small) == 2 * 2 * (len(FAMILIES) * len(QUANTITIES) - len(NAN_ON_MASKS))
    assert not [str(cell) for cell in small if not cell.holds]


def test_everybody_is_measured(small):
    assert all(set(cell.errors) - {"textbook"} == {"ours", "torch"} for cell in small)
    assert {cell.op for cell in small if cell.of_terms} == set(TERMS)


def test_a_wrong_operation_breaks_the_criterion():
    """One that computes as textbooks do."""
    task = "one dominant", 20, 2, np.float32
    wrong = {"ours": libraries.textbook()}
    found = list(accuracy.cells(*task, right_answers(draw(*task), 20), wrong))
    broken = {cell.op for cell in found if cell.errors and not cell.holds}
    assert {"log_softmax", "cross_entropy", "cross_entropy gradient"} <= broken


def test_losses_have_a_result_for_every_row_and_the_rest_for_a_few():
    found = right_answers(draw("standard normal", 6, 3, np.float32), 2)
    losses = {"logsumexp", "cross_entropy", "cross_entropy, probabilities"}
    assert {name: answer.value.shape for name, answer in found.items()} == {
        name: (6,) if name in losses else (2, 3) for name in QUANTITIES
    }
    assert all(answer.terms.shape == answer.value.shape for answer in found.values())


def test_terms_are_no_smaller_than_the_result():
    for family in FAMILIES:
        found = right_answers(draw(family, 4, 3, np.float64), 4)
        for name in TERMS:
            value, terms = found[name]
            finite = np.isfinite(value)
            assert (abs(value[finite]) <= terms[finite] * (1 + 1e-12)).all(), (family, name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("op", "family"),
    [
        ("log_softmax", "one dominant"),  # log(1 + tiny) = 0
        ("cross_entropy", "one dominant"),
        ("cross_entropy gradient", "one dominant"),  # p - 1 = 0
        ("softmax gradient", "one dominant"),  # dp - mean = 0
        ("logsumexp gradient", "±1e30"),  # p = exp(z - lse) = [1, 1]
        ("sigmoid gradient", "uniform"),  # 1 - p = 0
        ("bce, t in {0, 1}", "uniform"),
        ("bce, t in {0, 1} gradient", "uniform"),
    ],
)
def test_textbook_formula_has_no_digit_right(small, op, family, dtype):
    errors = [
        cell.errors["textbook"][1]
        for cell in small
        if (cell.op, cell.family, cell.dtype) == (op, family, dtype.__name__)
    ]
    assert is_lost(max(errors), dtype)


def test_missing_library_is_left_out(monkeypatch):
    def missing():
        raise ModuleNotFoundError("no jax")

    monkeypatch.setitem(libraries.LIBRARIES, "JAX", missing)
    assert libraries.load("JAX") is None
    assert "jax" not in libraries.versions()


@pytest.mark.parametrize(("error", "status"), [(1.0, 0), (9.0, 1)])
def test_command_prints_saves_and_judges(error, status, monkeypatch, tmp_path, capsys):
    cells = [
        Cell("softmax", "uniform", 2, dtype, 9, {"ours": (error, error), "torch": (1.0, 1.0)})
        for dtype in ("float32", "float64")
    ]
    monkeypatch.setattr(accuracy, "measure", lambda quick: iter(cells))
    path = tmp_path / "new/accuracy.json"
    assert main(["accuracy", "--quick", "--json", str(path)]) == status
    assert accuracy.read(path) == [
        replace(cell, errors={k: list(v) for k, v in cell.errors.items()}) for cell in cells
    ]
    assert json.loads(path.read_text())["environment"]["quick"] is True
    printed = capsys.readouterr().out
    assert f"| softmax | {error:.2g} | 1 |" in printed
    assert ("broken: softmax, uniform, C = 2, float32" in printed) == bool(status)


def test_results_file_holds_the_criterion():
    found = accuracy.read(accuracy.RESULTS)
    assert {cell.op for cell in found} <= QUANTITIES
    assert {(c.family, c.classes, c.dtype) for c in found} == {
        (family, classes, dtype.__name__)
        for family in FAMILIES
        for classes in accuracy.CLASSES
        for dtype in DTYPES
    }
    assert set(found[0].errors) >= {"ours", "torch", "textbook"}
    assert {cell.op for cell in found if cell.of_terms} <= set(TERMS)
    assert not [str(cell) for cell in found if not cell.holds]


def test_results_file_has_enough_elements():
    assert all(cell.elements >= 2000 for cell in accuracy.read(accuracy.RESULTS))
