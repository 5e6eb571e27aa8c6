"""A backend that does other work is refused; ours and torch's pass."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.backends import BACKENDS
from benchmarks.backends.floor import Bytes, stored
from benchmarks.backends.on_numpy import OnNumpy
from benchmarks.backends.on_torch import OnTorch
from benchmarks.cases import MLP, SOFTMAX_REGRESSION, Case, NotRunError, cases
from benchmarks.checks import check, check_floor, step_bound, train
from benchmarks.inputs import SEED, problem, short
from benchmarks.ops import NAMES, row
from benchmarks.worker import results_of
from scratchnn import SGD, data, fit
from scratchnn.data import as_float

DIGITS = [case for case in cases("digits", quick=True) if case.kind not in ("import", "memory")]
BY_TITLE = {case.title: case for case in DIGITS}


def case_of(kind: str, name: str) -> Case:
    return next(c for c in DIGITS if c.group == kind and c.name.startswith(name))


@pytest.mark.parametrize("title", BY_TITLE)
def test_check_passes_what_we_and_torch_do(title):
    case = BY_TITLE[title]
    for backend in (OnNumpy(), OnTorch()):
        found = check(case, results_of(backend, case))
        assert found.holds, found.what


@pytest.mark.parametrize("kind", ["step", "epoch"])
@pytest.mark.parametrize("name", [SOFTMAX_REGRESSION, MLP])
def test_check_passes_the_plain_loop(name, kind):
    """Its mean loss is the one that `fit` reports, too."""
    case, loop = case_of(kind, name), BACKENDS["plain loop"].open()
    found = check(case, results_of(loop, case))
    assert found.holds, found.what
    p, (train, _) = problem(case, "float64"), data.digits(normalize=name == MLP)
    few = replace(train, X=p.X, target=p.target, transform=as_float)
    optimizer = SGD(case.learning_rate, momentum=case.momentum)
    options = {"batch_size": case.batch, "rng": SEED, "evaluation": False}
    history = fit(p.start, few, optimizer=optimizer, epochs=1, **options)
    loss = loop.trainer(case, "float64").epoch()
    assert loss == pytest.approx(history.epochs[0].running_loss, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_check_refuses_an_operation_that_is_off_by_a_hundredth(name):
    """In its value, or in any of its gradients."""
    case = replace(case_of("op", f"{name} ("), shape=(8, 6, 4) if row(name).products else (8, 5))
    results = results_of(OnNumpy(), case)
    for key, array in results.items():
        assert not check(case, results | {key: array * np.float32(1.01)}).holds


PLANTED = {
    "twice the rate": {"learning_rate": 2.0},
    "no momentum": {"momentum": 0.0},
    "another batch size": {"batch": 0.5},
}


@pytest.mark.parametrize("bug", PLANTED)
@pytest.mark.parametrize("name", [SOFTMAX_REGRESSION, MLP])
def test_check_refuses_another_training(bug, name):
    case = case_of("epoch", name)
    ((field, factor),) = PLANTED[bug].items()
    if not getattr(case, field):
        pytest.skip("softmax regression has no momentum here")
    value = type(getattr(case, field))(getattr(case, field) * factor)
    results = results_of(OnNumpy(), replace(case, **{field: value}))
    assert not check(case, results).holds


def test_check_refuses_a_wrong_order_and_a_wrong_start():
    case = case_of("epoch", SOFTMAX_REGRESSION)
    results = results_of(OnNumpy(), case)
    assert check(case, results).holds
    assert not check(case, results | {"order": results["order"][::-1]}).holds
    assert not check(case, results | {"float32": results["float32"] + np.float32(1e-4)}).holds


def test_check_refuses_wrong_probabilities_and_batches():
    inference, loading = case_of("inference", MLP), case_of("loading", "")
    p = results_of(OnNumpy(), inference)
    assert not check(inference, {"0": p["0"][:, ::-1]}).holds
    batches = results_of(OnNumpy(), loading)
    assert not check(loading, batches | {"1": batches["1"][::-1]}).holds


@pytest.mark.parametrize("name", [SOFTMAX_REGRESSION, MLP])
@pytest.mark.parametrize("part", ["products", "bytes", "float bytes"])
def test_check_floor_refuses_other_numbers(part, name):
    """Any product that is off by a thousandth, or any batch."""
    case = case_of("epoch", name)
    results = results_of(BACKENDS[f"floor {part}"].open(), case)
    layers = len(case.sizes) - 1
    assert len(results) == (3 * layers - 1 if part == "products" else 1)
    assert check_floor(case, part, results).holds
    for key, array in results.items():
        assert not check_floor(case, part, results | {key: array * np.float32(1.001)}).holds


def test_floor_moves_the_bytes_that_are_stored():
    """The pixels for scratchnn, gathered as they are and written once as floats."""
    case = case_of("epoch", MLP)
    assert stored(case, "bytes").dtype == np.uint8
    assert stored(case, "float bytes").dtype == np.float32
    p = problem(case, "float32")
    narrow, wide = (Bytes(p, stored(case, part)) for part in ("bytes", "float bytes"))
    assert narrow.gathered.dtype == np.uint8
    assert wide.gathered is wide.batch
    first = narrow.order[: case.batch]
    narrow.order = wide.order = first
    np.testing.assert_array_equal(narrow.result()[0], stored(case, "bytes")[first])
    np.testing.assert_array_equal(wide.result()[0], p.X[first])


def test_tf32_needs_its_own_roundoff():
    """Products of 10 bits, simulated here, leave float32's bound and keep to TF32's."""
    case = case_of("step", SOFTMAX_REGRESSION)
    on = OnTorch(tf32=True)
    with on.precision:
        results = results_of(on, case)
    assert "float32" in check(case, results).what
    assert not check(case, results).holds
    assert check(case, results, tf32=BACKENDS["CUDA resident TF32"].tf32).holds


@pytest.mark.parametrize("name", [name for name, b in BACKENDS.items() if b.is_cuda])
def test_check_passes_cuda(name):
    backend = BACKENDS[name]
    try:
        on = backend.open()
    except NotRunError as error:
        pytest.skip(str(error))
    for case in DIGITS:
        if backend.does(case.group, case.kind):
            found = check(case, results_of(on, case), tf32=backend.tf32)
            assert found.holds, f"{case.title}: {found.what}"


@pytest.mark.parametrize("name", [SOFTMAX_REGRESSION, MLP])
def test_step_bound_holds_and_says_something(name):
    """float32 is within the bound of float64, which for most of θ is a hundredth of its move."""
    case = replace(short(case_of("epoch", name)), examples=64, batch=64)
    single, double = problem(case, "float32"), problem(case, "float64")
    rows = np.arange(64)
    error = abs(train(single, rows) - train(double, rows))
    limit = step_bound(single)
    assert (error <= limit).all()
    moved = abs(train(double, rows) - double.start.theta)
    assert np.median(limit[moved > 0] / moved[moved > 0]) < 0.01
