"""The edges of every operation, ours and torch's: docs/edge-cases.md is this table in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import scratchnn
import scratchnn.functional as F
from parity import bounds
from parity.convert import to_array, to_tensor
from parity.ops import OPS
from parity.verdict import compare

INF, NAN = np.inf, np.nan


def f32(*values: Any) -> np.ndarray:
    """Return a float32 array of this one value, or of these."""
    return np.asarray(values[0] if len(values) == 1 else values, np.float32)


def f64(*values: Any) -> np.ndarray:
    return f32(*values).astype(np.float64)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@dataclass(frozen=True)
class Edge:
    """An input at the edge of an operation, and what is ours where it is not torch's.

    `value` and `gradients` are ours, given a reason `why` they differ from torch's; None is as
    torch. `refused` is our error; torch refuses as well unless there is a `why`.
    """

    op: str
    what: str
    case: dict[str, Any]
    why: str = ""
    value: Any = None
    gradients: tuple[Any, ...] | None = None
    refused: type[Exception] | None = None

    def __str__(self) -> str:
        return f"{self.op}: {self.what}"


Z = f32([0.5, 1, 2], [1, 0, -1])
P = f32([0.25, 0.5, 0.25], [1, 0, 0])
W = f32(0.5, 2, 1)
IGNORED = "what is in an ignored row does not count"
PRECISION = "weights take the precision of the logits"
REFUSED = "torch warns at most, and broadcasts (N, 1) - (N,) to (N, N)"

LOGITS = {
    "partly -inf": f32(-INF, 0, 1),
    "all but one -inf": f32(-INF, 0),
    "all -inf": f32(-INF, -INF),
    "inf": f32(INF, 0),
    "inf twice": f32(INF, INF, 0),
    "inf and -inf": f32(INF, -INF),
    "nan": f32(NAN, 0),
    "nan at last": f32(0, NAN),
    "nan and inf": f32(NAN, INF, 0),
    "rows, good and bad": f32([0, 1], [-INF, -INF], [NAN, 1], [INF, 0], [2, -INF]),
    "one class": f32([[3], [4]]),
    "one class, -inf": f32([[-INF], [INF], [NAN]]),
    "no rows": zeros(0, 3),
    "no classes": zeros(2, 0),
    "nothing": zeros(0),
    "no rows and no classes": zeros(0, 0),
    "one-dimensional": f32(0.5, 1, 2),
    "0-d": f32(3),
    "0-d, nan": f32(NAN),
    "0-d, inf": f32(INF),
    "0-d, -inf": f32(-INF),
    "float64": f64(-INF, 0, 1),
}
SOFTMAX = [
    Edge(op, what, {"z": z, "axis": -1})
    for op in ("softmax", "log_softmax", "logsumexp")
    for what, z in LOGITS.items()
] + [
    Edge(op, f"{what}, axis 0", {"z": z, "axis": 0})
    for op in ("softmax", "log_softmax", "logsumexp")
    for what, z in LOGITS.items()
    if z.ndim != 1
]

CLASSES = [
    Edge("cross_entropy", f"{what}, {reduction}", {**case, "reduction": reduction})
    for reduction in ("none", "mean", "sum")
    for what, case in {
        "no rows": {"z": zeros(0, 3), "target": labels()},
        "no rows, smoothed": {"z": zeros(0, 3), "target": labels(), "label_smoothing": 0.1},
        "no pixels": {"z": zeros(2, 3, 0), "target": np.zeros((2, 0), int)},
        "all ignored": {"z": Z, "target": labels(-100, -100)},
        "all ignored, weighted": {"z": Z, "target": labels(-100, -100), "weight": W},
        "all ignored, smoothed": {"z": Z, "target": labels(-100, -100), "label_smoothing": 0.1},
        "one ignored, all else": {
            "z": Z, "target": labels(-100, 2), "weight": W, "label_smoothing": 0.1,
        },
        "zero weights": {"z": Z, "target": labels(0, 0), "weight": f32(0, 1, 1)},
        "zero weights, smoothed": {
            "z": Z, "target": labels(0, 0), "weight": zeros(3), "label_smoothing": 0.1,
        },
        "a zero weight": {"z": Z, "target": labels(0, 1), "weight": f32(0, 1, 1)},
        "negative weights": {"z": Z, "target": labels(0, 1), "weight": f32(-2, 1, 1)},
        "one example": {"z": Z[0], "target": np.array(1)},
        "one example, smoothed": {"z": Z[0], "target": np.array(1), "label_smoothing": 0.1},
        "one example, ignored": {"z": Z[0], "target": np.array(-100)},
        "one class": {"z": f32([[3], [4]]), "target": labels(0, 0)},
        "ignore_index a class": {"z": Z, "target": labels(1, 0), "ignore_index": 1},
        "ignore_index negative": {"z": Z, "target": labels(-1, 0), "ignore_index": -1},
        "smoothing 1": {"z": Z, "target": labels(0, 0), "label_smoothing": 1.0},
        "uint8 labels": {"z": Z, "target": labels(0, 2).astype(np.uint8)},
        "inf at the target": {"z": f32([[INF, 0]]), "target": labels(0)},
        "inf elsewhere": {"z": f32([[INF, 0]]), "target": labels(1)},
        "-inf at the target": {"z": f32([[-INF, 0]]), "target": labels(0)},
        "-inf elsewhere": {"z": f32([[-INF, 0]]), "target": labels(1)},
        "-inf at a target of weight 0": {
            "z": f32([[-INF, 0]]), "target": labels(0), "weight": f32(0, 1),
        },
        "-inf, smoothed": {"z": f32([[-INF, 0]]), "target": labels(1), "label_smoothing": 0.1},
        "row of -inf": {"z": f32([[-INF, -INF], [0, 1]]), "target": labels(0, 1)},
        "row with nan": {"z": f32([[NAN, 1], [0, 1]]), "target": labels(0, 1)},
        "probabilities, no rows": {"z": zeros(0, 3), "target": zeros(0, 3)},
        "probabilities, one example": {"z": Z[0], "target": P[0]},
        "probabilities, weighted and smoothed": {
            "z": Z, "target": P, "weight": W, "label_smoothing": 0.1,
        },
        "probabilities, smoothing 1": {"z": Z, "target": P, "label_smoothing": 1.0},
        "probabilities, all of weight 0": {"z": Z, "target": P, "weight": zeros(3)},
        "probabilities below 0 and above 1": {"z": Z, "target": f32([-0.5, 1, 2], [1, 0, 0])},
        "probability 0 at -inf": {"z": f32([[-INF, 0]]), "target": f32([[0, 1]])},
        "probability 1 at -inf": {"z": f32([[-INF, 0]]), "target": f32([[1, 0]])},
        "probabilities, row of -inf": {"z": f32([[-INF, -INF]]), "target": f32([[0, 1]])},
        "probabilities with nan": {"z": f32([[0, 1]]), "target": f32([[NAN, 1]])},
        "probabilities in float64": {"z": Z, "target": P.astype(np.float64)},
        "float64 logits, float32 probabilities": {"z": Z.astype(np.float64), "target": P},
    }.items()
]  # fmt: skip

NLL = [
    Edge("nll_loss", f"{what}, {reduction}", {**case, "reduction": reduction})
    for reduction in ("none", "mean", "sum")
    for what, case in {
        "no rows": {"log_p": zeros(0, 3), "target": labels()},
        "all ignored": {"log_p": -Z, "target": labels(-100, -100)},
        "nan in an ignored row": {"log_p": f32([NAN, -1], [-1, -2]), "target": labels(-100, 1)},
        "zero weights": {"log_p": -Z, "target": labels(0, 0), "weight": f32(0, 1, 1)},
        "one example": {"log_p": Z[0], "target": np.array(1)},
        "one example, ignored": {"log_p": Z[0], "target": np.array(-100)},
        "-inf": {"log_p": f32([-INF, 0], [0, -INF]), "target": labels(0, 0)},
        "-inf of weight 0": {
            "log_p": f32([-INF, 0], [0, -INF]), "target": labels(0, 1), "weight": f32(0, 1),
        },
        "nan": {"log_p": f32([[NAN, 0]]), "target": labels(0)},
        "nan elsewhere": {"log_p": f32([[NAN, 0]]), "target": labels(1)},
        "one class": {"log_p": f32([[0], [-1]]), "target": labels(0, 0)},
    }.items()
]  # fmt: skip

REFUSALS = [
    *(
        Edge(op, what, {"z": zeros(2, 3), "axis": axis}, refused=error)
        for op in ("softmax", "log_softmax")
        for what, axis, error in (
            ("several axes", (0, 1), TypeError), ("no axis", None, TypeError),
            ("half an axis", 0.5, TypeError), ("an axis that is not there", 2, IndexError),
        )
    ),
    Edge("cross_entropy", "label C", {"z": Z, "target": labels(3, 0)}, refused=ValueError),
    Edge("cross_entropy", "label -1", {"z": Z, "target": labels(-1, 0)}, refused=ValueError),
    Edge("nll_loss", "label C", {"log_p": Z, "target": labels(3, 0)}, refused=ValueError),
    Edge("cross_entropy", "labels (N, 1)", {"z": Z, "target": labels(0, 0)[:, None]},
         refused=ValueError),
    Edge("cross_entropy", "smoothing 1.5", {"z": Z, "target": labels(0, 0), "label_smoothing": 1.5},
         refused=ValueError),
    Edge("cross_entropy", "probabilities and ignore_index",
         {"z": Z, "target": P, "ignore_index": 0}, refused=ValueError),
    Edge("cross_entropy", "weight of another length",
         {"z": Z, "target": labels(0, 0), "weight": f32(1, 2)}, refused=ValueError),
    Edge("cross_entropy", "integer logits",
         {"z": np.array([[1, 2], [3, 4]]), "target": labels(0, 0)}, refused=TypeError),
    Edge("softmax", "integer logits", {"z": np.array([1, 2]), "axis": -1}, refused=TypeError),
    Edge("log_softmax", "integer logits", {"z": np.array([1, 2]), "axis": -1}, refused=TypeError),
    Edge("cross_entropy", "0-d", {"z": f32(1), "target": np.array(0)}, refused=ValueError),
    Edge("nll_loss", "no classes", {"log_p": zeros(0), "target": np.array(0)}, refused=ValueError),
    Edge("cross_entropy", "no classes", {"z": zeros(2, 0), "target": labels(0, 0)},
         refused=ValueError),
    Edge("binary_cross_entropy_with_logits", "(N, 1) and (N,)",
         {"z": zeros(2, 1), "target": zeros(2)}, refused=ValueError),
    Edge("huber_loss", "δ = 0", {"prediction": Z, "target": P, "delta": 0.0}, refused=ValueError),
    Edge("huber_loss", "δ = -1", {"prediction": Z, "target": P, "delta": -1.0},
         refused=ValueError),
    Edge("smooth_l1_loss", "β = -1", {"prediction": Z, "target": P, "beta": -1.0},
         refused=ValueError),
    Edge("mse_loss", "unknown reduction", {"prediction": Z, "target": P, "reduction": "median"},
         refused=ValueError),
    Edge("linear", "bias of another length", {"X": Z, "W": zeros(3, 2), "b": zeros(3)},
         refused=ValueError),
    Edge("linear", "features that differ", {"X": Z, "W": zeros(2, 3), "b": zeros(3)},
         refused=ValueError),
]  # fmt: skip

BINARY = [
    Edge("binary_cross_entropy_with_logits", f"{what}, {reduction}",
         {**case, "reduction": reduction})
    for reduction in ("none", "mean", "sum")
    for what, case in {
        "nothing": {"z": zeros(0), "target": zeros(0)},
        "0-d": {"z": f32(1), "target": f32(1)},
        "inf": {"z": f32(INF, INF, INF), "target": f32(0, 0.5, 1)},
        "-inf, a sure no": {"z": f32([-INF]), "target": f32([0])},
        "nan": {"z": f32(NAN, 0), "target": f32(0.5, NAN)},
        "targets beyond [0, 1]": {"z": f32(1, -1), "target": f32(2, -1)},
        "weights 0": {"z": Z, "target": P, "weight": zeros(3), "pos_weight": f32([2])},
        "a weight a row": {"z": Z, "target": P, "weight": f32([[1], [2]])},
        "weights in float64": {"z": Z, "target": P, "weight": f64(1, 2, 3)},
        "pos_weight 0": {"z": Z, "target": P, "pos_weight": zeros(3)},
        "target in float64": {"z": Z, "target": P.astype(np.float64)},
    }.items()
]  # fmt: skip

REGRESSION = [
    Edge(op, f"{what}, {reduction}",
         {"prediction": prediction, "target": target, "reduction": reduction})
    for op in ("squared_loss", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss")
    for reduction in ("none", "mean", "sum")
    for what, prediction, target in (
        ("nothing", zeros(0), zeros(0)),
        ("0-d", f32(1.5), f32(1)),
        ("equal", f32(1, 2), f32(1, 2)),
        ("at the joint", f32(1, -1, 2, 0.5, 0), zeros(5)),
        ("infinite", f32(INF, -INF, 1), f32(0, 1, INF)),
        ("inf - inf", f32(INF, 1), f32(INF, 0)),
        ("nan", f32(NAN, 1, 0), f32(0, NAN, 0.25)),
        ("target in float64", Z, P.astype(np.float64)),
        ("prediction in float64", Z.astype(np.float64), P),
    )
    if not (op == "l1_loss" and what in ("nan", "inf - inf"))
    if not (op == "huber_loss" and "float64" in what)
] + [
    Edge("smooth_l1_loss", f"β = 0, {reduction}",
         {"prediction": f32(1, 0, -2), "target": f32(0, 0, 1), "beta": 0.0, "reduction": reduction})
    for reduction in ("none", "mean", "sum")
]  # fmt: skip

DIVERGENCE = [
    Edge("kl_div", f"{what}, {reduction}", {**case, "reduction": reduction})
    for reduction in ("none", "mean", "sum", "batchmean")
    for what, case in {
        "no rows": {"log_q": zeros(0, 3), "target": zeros(0, 3)},
        "0-d": {"log_q": f32(-1), "target": f32(0.5)},
        "one-dimensional": {"log_q": f32(-1, -2), "target": f32(0.5, 0.25)},
        "p = 0": {"log_q": f32([[-1, -2]]), "target": f32([[0, 1]])},
        "p = 0, log": {"log_q": f32([[-1, -2]]), "target": f32([[-INF, 0]]), "log_target": True},
        "q = 0": {"log_q": f32([[-INF, 0]]), "target": f32([[0.5, 0.5]])},
        "q = 0 = p": {"log_q": f32([[-INF, 0]]), "target": f32([[0, 1]])},
        "p < 0": {"log_q": f32([[-1, 0]]), "target": f32([[-0.5, 1]])},
        "nan": {"log_q": f32([[NAN, 0]]), "target": f32([[0.5, NAN]])},
        "target in float64": {"log_q": -Z, "target": P.astype(np.float64)},
    }.items()
]  # fmt: skip

ELEMENTWISE = [
    Edge(op, what, {"z": z})
    for op in ("relu", "sigmoid")
    for what, z in {
        "nothing": zeros(0, 3),
        "0-d": f32(-1),
        "infinite": f32(INF, -INF, 0, -0.0, 1e-45),
        "large": f32(3.4e38, -3.4e38, 100, -100),
    }.items()
]

ELEMENTWISE.append(Edge("sigmoid", "nan", {"z": f32(NAN, 1)}))

LINEAR = [
    Edge("linear", "no rows", {"X": zeros(0, 3), "W": Z.T, "b": f32(1, 2)}),
    Edge("linear", "one example", {"X": f32(1, 2, 3), "W": Z.T, "b": f32(1, 2)}),
    Edge("linear", "no features", {"X": zeros(2, 0), "W": zeros(0, 2), "b": f32(1, 2)}),
    Edge("linear", "no outputs", {"X": zeros(2, 3), "W": zeros(3, 0), "b": zeros(0)}),
    Edge("linear", "infinite", {"X": f32([[INF, 1, 2]]), "W": Z.T, "b": f32(1, 2)}),
]

BCE = "binary_cross_entropy_with_logits"
EMPTY = zeros(0, 3)
DIFFERENT = [
    Edge("relu", "nan", {"z": f32(NAN, 1)},
         why="[y > 0] as its formula says; torch passes dy on; y itself is nan in both",
         value=f32(NAN, 1), gradients=(f32(0, 1),)),
    Edge("cross_entropy", "nan in an ignored row",
         {"z": f32([NAN, 1], [0, 0]), "target": labels(-100, 1), "reduction": "sum"},
         why=IGNORED, value=f32(np.log(2)), gradients=(f32([0, 0], [0.5, -0.5]),)),
    Edge("cross_entropy", "row of -inf ignored",
         {"z": f32([-INF, -INF], [0, 0]), "target": labels(-100, 1)},
         why=IGNORED, value=f32(np.log(2)), gradients=(f32([0, 0], [0.5, -0.5]),)),
    Edge("cross_entropy", "nan in an ignored row, smoothed",
         {"z": f32([NAN, 1], [0, 0]), "target": labels(-100, 1), "label_smoothing": 1.0},
         why=IGNORED, value=f32(np.log(2)), gradients=(zeros(2, 2),)),
    Edge("cross_entropy", "weights in float64",
         {"z": zeros(1, 2), "target": labels(0), "weight": f64(1, 2)},
         why=PRECISION, value=f32(np.log(2)), gradients=(f32([[-0.5, 0.5]]),)),
    Edge("cross_entropy", "int32 labels", {"z": zeros(1, 2), "target": labels(0).astype(np.int32)},
         why="an index is an index, in whatever integers",
         value=f32(np.log(2)), gradients=(f32([[-0.5, 0.5]]),)),
    Edge("cross_entropy", "no rows and no classes", {"z": zeros(0, 0), "target": labels()},
         why="without classes there is nothing to be right about", refused=ValueError),
    Edge(BCE, "-inf, but not a sure no",
         {"z": f32(-INF, -INF), "target": f32(0.5, 1), "reduction": "none"},
         why="the loss is infinite, as it is at +inf, where torch says so, too",
         value=f32(INF, INF), gradients=(f32(-0.5, -1), f32(INF, INF))),
    Edge(BCE, "logits in float64", {"z": zeros(2).astype(np.float64), "target": f32(1, 0),
         "reduction": "none"},
         why="float32 beside float64 gives float64, as in all other losses",
         value=np.log([2.0, 2.0]), gradients=(np.array([-0.5, 0.5]), zeros(2))),
    *(
        Edge("l1_loss", what, {"prediction": prediction, "target": target, "reduction": "sum"},
             why="the gradient of a nan is no number; torch says 0",
             value=f32(NAN), gradients=(f32(NAN, 1), f32(NAN, -1)))
        for what, prediction, target in (
            ("nan", f32(NAN, 2), f32(0, 1)), ("inf - inf", f32(INF, 2), f32(INF, 1)),
        )
    ),
    *(
        Edge("huber_loss", f"{name} in float64",
             {"prediction": zeros(2), "target": zeros(2), name: np.array([0.5, 2])},
             why="as mse_loss, whose gradients torch gives; of huber_loss, it has the value only",
             value=np.array(0.8125), gradients=gradients)
        for name, gradients in (
            ("prediction", (np.array([0.25, 0.5]), f32(-0.25, -0.5))),
            ("target", (f32(-0.25, -0.5), np.array([0.25, 0.5]))),
        )
    ),
    *(
        Edge(op, "(N, 1) and (N,)", {first: zeros(2, 1), "target": zeros(2)},
             why=REFUSED, refused=ValueError)
        for op, first in (
            ("squared_loss", "prediction"), ("mse_loss", "prediction"), ("l1_loss", "prediction"),
            ("huber_loss", "prediction"), ("smooth_l1_loss", "prediction"), ("kl_div", "log_q"),
        )
    ),
    *(
        Edge(op, "integers", {"z": np.array([1, -2])} | options, why="NumPy would round or widen",
             refused=TypeError)
        for op, options in (("relu", {}), ("sigmoid", {}), ("logsumexp", {"axis": -1}))
    ),
    Edge("logsumexp", "several axes", {"z": zeros(2, 3), "axis": (0, 1)},
         why="reshape does it, for a gradient of one axis", refused=TypeError),
    Edge("linear", "weight in float64",
         {"X": f32([[1, 2]]), "W": np.array([[1.0], [2.0]]), "b": zeros(1)},
         why="float32 beside float64 gives float64; torch refuses", value=np.array([[5.0]])),
]  # fmt: skip

EDGES = (
    DIFFERENT
    + SOFTMAX
    + CLASSES
    + NLL
    + REFUSALS
    + BINARY
    + REGRESSION
    + DIVERGENCE
    + ELEMENTWISE
    + LINEAR
)


def ours_of(op, case, dy):
    value = np.asarray(op.ours(**case))
    return [value, *op.backward(dy.astype(value.dtype, copy=False), **case)]


def torch_of(op, case, dy):
    arguments = {
        name: to_tensor(value).requires_grad_(name in op.inputs and value.dtype.kind == "f")
        if isinstance(value, np.ndarray)
        else value
        for name, value in case.items()
    }
    value = op.torch(**arguments)
    inputs = [arguments[name] for name in op.inputs]
    gradients = torch.autograd.grad(value, inputs, torch.tensor(dy, dtype=value.dtype))
    return [to_array(result) for result in (value, *gradients)]


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
    results = zip(
        ("value", *op.inputs), ours_of(op, edge.case, dy), torch_of(op, edge.case, dy), strict=True
    )
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
    arguments = {
        name: to_tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in edge.case.items()
    }
    OPS[edge.op].torch(**arguments)


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
    assert np.array_equal(ours, to_array(OPS[name].torch(torch.tensor(z), -1)))


DENSE = {"X": Z, "W": Z.T @ f32([1, 2, 3, 4], [0, 1, 0, -1]), "b": f32(1, 2, 3, 4)}
KRONECKER = {
    "X": Z.T,
    "A": f32([[1, 2], [3, 4]], [[0, 1], [2, -1]]),
    "S": f32([[1, -1]], [[3, 2]]),
    "b": f32(1, 2, 3, 4),
}
ORDINARY = {
    "linear": DENSE,
    "linear, without a bias": {name: DENSE[name] for name in ("X", "W")},
    "kronecker_linear": KRONECKER,
    "relu": {"z": Z},
    "sigmoid": {"z": Z},
    "softmax": {"z": Z, "axis": -1},
    "log_softmax": {"z": Z, "axis": -1},
    "logsumexp": {"z": Z, "axis": -1},
    "nll_loss": {"log_p": -np.abs(Z), "target": labels(2, 0), "weight": W},
    "cross_entropy": {"z": Z, "target": labels(2, -100), "weight": W, "label_smoothing": 0.1},
    "cross_entropy, probabilities": {"z": Z, "target": P, "weight": W, "label_smoothing": 0.1},
    BCE: {"z": Z, "target": P, "weight": W, "pos_weight": W},
    "kl_div": {"log_q": -np.abs(Z), "target": P},
    "squared_loss": {"prediction": Z, "target": P},
    "mse_loss": {"prediction": Z, "target": P},
    "l1_loss": {"prediction": Z, "target": P},
    "huber_loss": {"prediction": Z, "target": P, "delta": 0.5},
    "smooth_l1_loss": {"prediction": Z, "target": P, "beta": 0.5},
}


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
    case = {k: layout(v) if isinstance(v, np.ndarray) else v for k, v in ORDINARY[name].items()}
    plain = {k: np.array(v, order="C") if isinstance(v, np.ndarray) else v for k, v in case.items()}
    dy = layout(upstream(op, plain).astype(np.float32))
    results = zip(ours_of(op, case, dy), torch_of(op, plain, dy.copy()), strict=True)
    for ours, theirs in results:
        assert same(name, ours, theirs, plain).holds


@pytest.mark.parametrize("name", OPS)
def test_inputs_are_not_modified(name):
    op = OPS[name]
    case = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in ORDINARY[name].items()}
    dy = upstream(op, case).astype(np.float32)
    before = dy.copy()
    op.ours(**case)
    op.backward(dy, **case)
    assert np.array_equal(dy, before)
    for key, value in case.items():
        assert np.array_equal(value, ORDINARY[name][key]), key


@pytest.mark.parametrize("name", OPS)
def test_upstream_gradient_is_taken_in_the_precision_of_the_result(name):
    op, case = OPS[name], ORDINARY[name]
    dy = upstream(op, case)
    expected = op.backward(dy.astype(np.float32), **case)
    for result, gradient in zip(op.backward(dy, **case), expected, strict=True):
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, gradient)


@pytest.mark.parametrize("scalar", [float, np.float64])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", OPS)
def test_float32_stays_float32_beside_scalars(name, reduction, scalar):
    op = OPS[name]
    case = {k: scalar(v) if isinstance(v, float) else v for k, v in ORDINARY[name].items()}
    dy = np.ones(shape_of_value(op, case), np.float32)
    if not dy.ndim:
        case["reduction"], dy = reduction, scalar(1)
    for result in (op.ours(**case), *op.backward(dy, **case)):
        assert result.dtype == np.float32


NAN_VALUES = [edge for edge in select(different=False, refused=False) if "reduction" in edge.case]


@pytest.mark.parametrize("edge", NAN_VALUES, ids=str)
def test_strict_refuses_a_nan_without_a_warning(edge):
    ours = OPS[edge.op].ours
    if np.isnan(ours(**edge.case)).any():
        with scratchnn.strict(), pytest.raises(ValueError, match=r"nan in row|only entry|nothing"):
            ours(**edge.case)
    else:
        with scratchnn.strict():
            ours(**edge.case)


def test_strict_lets_an_ignored_row_be():
    z, target = f32([NAN, 1], [-INF, -INF], [0, 0]), labels(-100, -100, 1)
    with scratchnn.strict():
        assert F.cross_entropy(z, target) == np.log(f32(2))
        assert np.array_equal(F.cross_entropy_backward(1.0, z, target)[:2], zeros(2, 2))
    with scratchnn.strict(), pytest.raises(ValueError, match="cross_entropy is nan in row 0"):
        F.cross_entropy(z, labels(1, -100, 1))
