"""What ours and torch's operations do at their edges, and with arrays of every layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import scratchnn
import scratchnn.functional as F
from parity import bounds
from parity.convert import to_array, to_tensors
from parity.judge import compare, run_torch
from parity.ops import OPS, as_tuple
from tests.parity.edges import EDGES, INF, NAN, f32, labels, zeros


def ours_of(op, case, dy):
    value = np.asarray(op.ours(**case))
    return [value, *as_tuple(op.backward(dy.astype(value.dtype, copy=False), **case))]


def torch_of(op, case, dy):
    value = op.theirs(**to_tensors(case))
    return run_torch(op, case, dy.astype(to_array(value).dtype))


def shape_of_value(op, case):
    return np.shape(op.ours(**case))


def upstream(op, case):
    """Return a random dy, or 1 for a loss that is one number."""
    shape = shape_of_value(op, case)
    return np.random.default_rng(0).normal(size=shape) if shape else np.ones(())


def same(quantity, ours, theirs, case):
    """Compare exactly, but for finite numbers of order 1, that many roundings apart."""
    arrays = [value for value in case.values() if isinstance(value, np.ndarray)]
    dtypes = [array.dtype for array in arrays if array.dtype.kind == "f"]
    dtypes += [np.dtype(case["dtype"])] if case.get("dtype") else []
    coarsest = max(dtypes, key=lambda dtype: np.finfo(dtype).eps)
    roundings = max(array.size for array in arrays) + bounds.EXP_ULPS + bounds.LOG_ULPS
    growth = bounds.gamma(roundings, bounds.unit_roundoff(coarsest))
    size = np.abs(np.where(np.isfinite(theirs), theirs, 0)).max(initial=1)
    return compare(quantity, ours, theirs, bounds.tolerance(growth * size, coarsest))


def select(*, different, refused):
    return [
        edge for edge in EDGES if (edge.why != "", edge.refused is not None) == (different, refused)
    ]


@pytest.mark.parametrize("edge", select(different=False, refused=False), ids=str)
def test_edge_means_what_it_means_in_torch(edge):
    op = OPS[edge.op]
    dy = upstream(op, edge.case)
    try:
        torchs = torch_of(op, edge.case, dy)
    except RuntimeError as error:
        if "Found dtype" in str(error):
            pytest.skip("this torch has no gradient where the arguments have two precisions")
        raise
    results = zip(("value", *op.inputs), ours_of(op, edge.case, dy), torchs, strict=True)
    for name, ours, theirs in results:
        difference = same(name, ours, theirs, edge.case)
        assert difference.holds, f"{difference}: {ours} and {theirs}"


@pytest.mark.parametrize("edge", select(different=False, refused=True), ids=str)
def test_both_refuse(edge):
    with pytest.raises(edge.refused):
        OPS[edge.op].ours(**edge.case)
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError, NotImplementedError)):
        torch_of(OPS[edge.op], edge.case, np.ones(()))


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("edge", select(different=True, refused=True), ids=str)
def test_ours_alone_refuses(edge):
    with pytest.raises(edge.refused):
        OPS[edge.op].ours(**edge.case)
    OPS[edge.op].theirs(**to_tensors(edge.case))


@pytest.mark.parametrize("edge", select(different=True, refused=False), ids=str)
def test_ours_is_meant_to_differ(edge):
    op = OPS[edge.op]
    dy = np.ones(shape_of_value(op, edge.case))
    ours = ours_of(op, edge.case, dy)
    expected = [edge.value, *(edge.gradients or ())]
    for name, actual, wanted in zip(("value", *op.inputs), ours, expected, strict=False):
        assert same(name, actual, wanted, edge.case).holds, (name, actual, wanted)
    assert not _torch_does_the_same(op, edge, dy, ours), "no longer differs: move the row"


def _torch_does_the_same(op, edge, dy, ours):
    try:
        theirs = torch_of(op, edge.case, dy)
        pairs = zip(ours, theirs, strict=True)
        return all(same("", *pair, edge.case).holds for pair in pairs)
    except (RuntimeError, TypeError):  # torch refuses, or has another dtype
        return False


def test_relu_backward_lets_an_infinite_gradient_show():
    with np.errstate(invalid="ignore"):
        dz = F.relu_backward(f32(INF, INF, 1), f32(0, 1, 0))
    assert np.array_equal(dz, f32(NAN, INF, 0), equal_nan=True)  # torch: 0, inf, 0


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_finite_logits_that_overflow_warn(name):
    z = f32(3e38, -3e38, 0)
    with pytest.warns(RuntimeWarning, match="overflow"):
        ours = OPS[name].ours(z=z, axis=-1)
    assert np.array_equal(ours, to_array(OPS[name].theirs(torch.tensor(z), -1)))


def transposed(x):
    return x.T.copy().T


def strided(x):
    return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x


def reversed_(x):
    return x[::-1].copy()[::-1] if x.ndim else x


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def broadcast(x):
    return np.broadcast_to(x[:1], x.shape) if x.ndim else x


@pytest.mark.parametrize("layout", [transposed, strided, reversed_, read_only, broadcast])
@pytest.mark.parametrize("name", OPS)
def test_layout_in_memory_does_not_matter(name, layout):
    op = OPS[name]
    case = {
        k: layout(v) if isinstance(v, np.ndarray) else v for k, v in op.typical(np.float32).items()
    }
    plain = {k: np.array(v, order="C") if isinstance(v, np.ndarray) else v for k, v in case.items()}
    dy = layout(upstream(op, plain).astype(np.float32))
    results = zip(ours_of(op, case, dy), torch_of(op, plain, dy.copy()), strict=True)
    for ours, theirs in results:
        assert same(name, ours, theirs, plain).holds


@pytest.mark.parametrize("name", OPS)
def test_inputs_are_not_modified(name):
    op = OPS[name]
    case, same_case = op.typical(np.float32), op.typical(np.float32)
    dy = upstream(op, case).astype(np.float32)
    before = dy.copy()
    op.ours(**case)
    op.backward(dy, **case)
    assert np.array_equal(dy, before)
    for key, value in case.items():
        assert np.array_equal(value, same_case[key]), key


@pytest.mark.parametrize("name", OPS)
def test_upstream_gradient_is_taken_in_the_precision_of_the_result(name):
    op = OPS[name]
    case = op.typical(np.float32)
    dy = upstream(op, case)
    expected = as_tuple(op.backward(dy.astype(np.float32), **case))
    for result, gradient in zip(as_tuple(op.backward(dy, **case)), expected, strict=True):
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, gradient)


@pytest.mark.parametrize("scalar", [float, np.float64])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", OPS)
def test_float32_stays_float32_beside_scalars(name, reduction, scalar):
    op = OPS[name]
    case = {k: scalar(v) if isinstance(v, float) else v for k, v in op.typical(np.float32).items()}
    dy = np.ones(shape_of_value(op, case), np.float32)
    if not dy.ndim:
        case["reduction"], dy = reduction, scalar(1)
    for result in (op.ours(**case), *as_tuple(op.backward(dy, **case))):
        assert result.dtype == np.float32


NAN_VALUES = [edge for edge in select(different=False, refused=False) if "reduction" in edge.case]


@pytest.mark.parametrize("edge", NAN_VALUES, ids=str)
def test_strict_refuses_a_nan_without_a_warning(edge):
    ours = OPS[edge.op].ours
    if np.isnan(ours(**edge.case)).any():
        with pytest.raises(ValueError, match=r"nan in row|only entry|nothing"):
            scratchnn.strict(ours)(**edge.case)
    else:
        scratchnn.strict(ours)(**edge.case)


def test_strict_lets_an_ignored_row_be():
    z, target = f32([NAN, 1], [-INF, -INF], [0, 0]), labels(-100, -100, 1)
    loss, backward = scratchnn.strict(F.cross_entropy), scratchnn.strict(F.cross_entropy_backward)
    assert loss(z, target) == np.log(f32(2))
    assert np.array_equal(backward(1.0, z, target)[:2], zeros(2, 2))
    with pytest.raises(ValueError, match="cross_entropy is nan in row 0"):
        loss(z, labels(1, -100, 1))
