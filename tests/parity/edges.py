"""Inputs at the edge of every operation: docs/edge-cases.md is this table in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnn.layers import ACTIVATIONS

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


TORCH_REFUSES_INTEGERS = {"softplus"}  # of the activations
Z = f32([0.5, 1, 2], [1, 0, -1])
P = f32([0.25, 0.5, 0.25], [1, 0, 0])
W = f32(0.5, 2, 1)
IGNORED = "what is in an ignored row does not count"
PRECISION = "weights take the precision of the logits"
NOTHING = "0 log 0 is 0; torch has 0 · inf"
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
SOFTMAX += [
    Edge("logsumexp", f"several axes, {what}", {"z": z, "axis": (0, -1), "keepdims": keepdims})
    for keepdims in (False, True)
    for what, z in LOGITS.items()
    if z.ndim == 2
]
SOFTMAX += [
    Edge(op, f"{what}, in {dtype}", {"z": z, "axis": -1, "dtype": dtype})
    for op in ("softmax", "log_softmax")
    for dtype in ("float32", "float64")
    for what, z in LOGITS.items()
]


def cross_entropy(case: dict[str, Any]) -> str:
    """Return the row of the table for this kind of target."""
    soft = case["target"].dtype.kind == "f"
    return "cross_entropy, probabilities" if soft else "cross_entropy"


CLASSES = [
    Edge(cross_entropy(case), f"{what}, {reduction}", {**case, "reduction": reduction})
    for reduction in ("none", "mean", "sum")
    for what, case in {
        "no rows": {"z": zeros(0, 3), "target": labels()},
        "no rows, smoothed": {"z": zeros(0, 3), "target": labels(), "label_smoothing": 0.1},
        "no pixels": {"z": zeros(2, 3, 0), "target": np.zeros((2, 0), int)},
        "all ignored": {"z": Z, "target": labels(-100, -100)},
        "all ignored, weighted": {"z": Z, "target": labels(-100, -100), "weight": W},
        "all ignored, smoothed": {"z": Z, "target": labels(-100, -100), "label_smoothing": 0.1},
        "one ignored, all else": {
            "z": Z,
            "target": labels(-100, 2),
            "weight": W,
            "label_smoothing": 0.1,
        },
        "zero weights": {"z": Z, "target": labels(0, 0), "weight": f32(0, 1, 1)},
        "zero weights, smoothed": {
            "z": Z,
            "target": labels(0, 0),
            "weight": zeros(3),
            "label_smoothing": 0.1,
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
        "-inf, smoothed": {"z": f32([[-INF, 0]]), "target": labels(1), "label_smoothing": 0.1},
        "row of -inf": {"z": f32([[-INF, -INF], [0, 1]]), "target": labels(0, 1)},
        "row with nan": {"z": f32([[NAN, 1], [0, 1]]), "target": labels(0, 1)},
        "probabilities, no rows": {"z": zeros(0, 3), "target": zeros(0, 3)},
        "probabilities, one example": {"z": Z[0], "target": P[0]},
        "probabilities, weighted and smoothed": {
            "z": Z,
            "target": P,
            "weight": W,
            "label_smoothing": 0.1,
        },
        "probabilities, smoothing 1": {"z": Z, "target": P, "label_smoothing": 1.0},
        "probabilities, all of weight 0": {"z": Z, "target": P, "weight": zeros(3)},
        "probabilities below 0 and above 1": {"z": Z, "target": f32([-0.5, 1, 2], [1, 0, 0])},
        "probability 1 at -inf": {"z": f32([[-INF, 0]]), "target": f32([[1, 0]])},
        "probabilities, row of -inf": {"z": f32([[-INF, -INF]]), "target": f32([[0, 1]])},
        "probabilities with nan": {"z": f32([[0, 1]]), "target": f32([[NAN, 1]])},
        "probabilities in float64": {"z": Z, "target": P.astype(np.float64)},
        "float64 logits, float32 probabilities": {"z": Z.astype(np.float64), "target": P},
    }.items()
]

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
        "nan": {"log_p": f32([[NAN, 0]]), "target": labels(0)},
        "nan elsewhere": {"log_p": f32([[NAN, 0]]), "target": labels(1)},
        "one class": {"log_p": f32([[0], [-1]]), "target": labels(0, 0)},
    }.items()
]

REFUSALS = [
    *(
        Edge(op, what, {"z": zeros(2, 3), "axis": axis}, refused=error)
        for op in ("softmax", "log_softmax")
        for what, axis, error in (
            ("several axes", (0, 1), TypeError),
            ("no axis", None, TypeError),
            ("half an axis", 0.5, TypeError),
            ("an axis that is not there", 2, IndexError),
        )
    ),
    Edge("cross_entropy", "label C", {"z": Z, "target": labels(3, 0)}, refused=ValueError),
    Edge("cross_entropy", "label -1", {"z": Z, "target": labels(-1, 0)}, refused=ValueError),
    Edge("nll_loss", "label C", {"log_p": Z, "target": labels(3, 0)}, refused=ValueError),
    Edge(
        "cross_entropy",
        "labels (N, 1)",
        {"z": Z, "target": labels(0, 0)[:, None]},
        refused=ValueError,
    ),
    Edge(
        "cross_entropy",
        "smoothing 1.5",
        {"z": Z, "target": labels(0, 0), "label_smoothing": 1.5},
        refused=ValueError,
    ),
    Edge(
        "cross_entropy, probabilities",
        "probabilities and ignore_index",
        {"z": Z, "target": P, "ignore_index": 0},
        refused=ValueError,
    ),
    Edge(
        "cross_entropy",
        "weight of another length",
        {"z": Z, "target": labels(0, 0), "weight": f32(1, 2)},
        refused=ValueError,
    ),
    Edge(
        "cross_entropy",
        "integer logits",
        {"z": np.array([[1, 2], [3, 4]]), "target": labels(0, 0)},
        refused=TypeError,
    ),
    Edge("softmax", "integer logits", {"z": np.array([1, 2]), "axis": -1}, refused=TypeError),
    Edge("log_softmax", "integer logits", {"z": np.array([1, 2]), "axis": -1}, refused=TypeError),
    Edge("cross_entropy", "0-d", {"z": f32(1), "target": np.array(0)}, refused=ValueError),
    Edge("nll_loss", "no classes", {"log_p": zeros(0), "target": np.array(0)}, refused=ValueError),
    Edge(
        "cross_entropy",
        "no classes",
        {"z": zeros(2, 0), "target": labels(0, 0)},
        refused=ValueError,
    ),
    Edge(
        "binary_cross_entropy_with_logits",
        "(N, 1) and (N,)",
        {"z": zeros(2, 1), "target": zeros(2)},
        refused=ValueError,
    ),
    Edge("huber_loss", "δ = 0", {"prediction": Z, "target": P, "delta": 0.0}, refused=ValueError),
    Edge("huber_loss", "δ = -1", {"prediction": Z, "target": P, "delta": -1.0}, refused=ValueError),
    Edge(
        "smooth_l1_loss", "β = -1", {"prediction": Z, "target": P, "beta": -1.0}, refused=ValueError
    ),
    Edge(
        "mse_loss",
        "unknown reduction",
        {"prediction": Z, "target": P, "reduction": "median"},
        refused=ValueError,
    ),
    Edge(
        "linear",
        "bias of another length",
        {"X": Z, "W": zeros(3, 2), "b": zeros(3)},
        refused=ValueError,
    ),
    Edge(
        "linear",
        "features that differ",
        {"X": Z, "W": zeros(2, 3), "b": zeros(3)},
        refused=ValueError,
    ),
]

BINARY = [
    Edge(
        "binary_cross_entropy_with_logits", f"{what}, {reduction}", {**case, "reduction": reduction}
    )
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
]

REGRESSION = [
    Edge(
        op,
        f"{what}, {reduction}",
        {"prediction": prediction, "target": target, "reduction": reduction},
    )
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
    Edge(
        "smooth_l1_loss",
        f"β = 0, {reduction}",
        {"prediction": f32(1, 0, -2), "target": f32(0, 0, 1), "beta": 0.0, "reduction": reduction},
    )
    for reduction in ("none", "mean", "sum")
]

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
]

ELEMENTWISE = [
    Edge(op, what, {"z": z})
    for op in ACTIVATIONS
    for what, z in {
        "nothing": zeros(0, 3),
        "0-d": f32(-1),
        "infinite": f32(INF, -INF, 0, -0.0, 1e-45),
        "large": f32(3.4e38, -3.4e38, 100, -100),
        "nan": f32(NAN, 1),
    }.items()
]


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
    Edge(
        "cross_entropy",
        "-inf at a target of weight 0",
        {"z": f32([[-INF, 0]]), "target": labels(0), "weight": f32(0, 1), "reduction": "sum"},
        why=NOTHING,
        value=f32(0),
        gradients=(zeros(1, 2),),
    ),
    Edge(
        "nll_loss",
        "-inf of weight 0",
        {"log_p": f32([[-INF, 0]]), "target": labels(0), "weight": f32(0, 1), "reduction": "sum"},
        why=NOTHING,
        value=f32(0),
        gradients=(zeros(1, 2),),
    ),
    Edge(
        "cross_entropy, probabilities",
        "probability 0 at -inf",
        {"z": f32([[-INF, 0, 1]]), "target": f32([[0, 1, 0]])},
        why=NOTHING,
        value=f32(np.log(1 + np.e)),
        gradients=(
            f32([[0, 1 / (1 + np.e) - 1, np.e / (1 + np.e)]]),
            f32([[INF, np.log(1 + np.e), np.log(1 + np.e) - 1]]),
        ),
    ),
    Edge(
        "cross_entropy",
        "nan in an ignored row",
        {"z": f32([NAN, 1], [0, 0]), "target": labels(-100, 1), "reduction": "sum"},
        why=IGNORED,
        value=f32(np.log(2)),
        gradients=(f32([0, 0], [0.5, -0.5]),),
    ),
    Edge(
        "cross_entropy",
        "row of -inf ignored",
        {"z": f32([-INF, -INF], [0, 0]), "target": labels(-100, 1)},
        why=IGNORED,
        value=f32(np.log(2)),
        gradients=(f32([0, 0], [0.5, -0.5]),),
    ),
    Edge(
        "cross_entropy",
        "nan in an ignored row, smoothed",
        {"z": f32([NAN, 1], [0, 0]), "target": labels(-100, 1), "label_smoothing": 1.0},
        why=IGNORED,
        value=f32(np.log(2)),
        gradients=(zeros(2, 2),),
    ),
    Edge(
        "cross_entropy",
        "weights in float64",
        {"z": zeros(1, 2), "target": labels(0), "weight": f64(1, 2)},
        why=PRECISION,
        value=f32(np.log(2)),
        gradients=(f32([[-0.5, 0.5]]),),
    ),
    Edge(
        "cross_entropy",
        "int32 labels",
        {"z": zeros(1, 2), "target": labels(0).astype(np.int32)},
        why="an index is an index, in whatever integers",
        value=f32(np.log(2)),
        gradients=(f32([[-0.5, 0.5]]),),
    ),
    Edge(
        "cross_entropy",
        "no rows and no classes",
        {"z": zeros(0, 0), "target": labels()},
        why="without classes there is nothing to be right about",
        refused=ValueError,
    ),
    Edge(
        BCE,
        "-inf, but not a sure no",
        {"z": f32(-INF, -INF), "target": f32(0.5, 1), "reduction": "none"},
        why="the loss is infinite, as it is at +inf, where torch says so, too",
        value=f32(INF, INF),
        gradients=(f32(-0.5, -1), f32(INF, INF)),
    ),
    Edge(
        BCE,
        "logits in float64",
        {"z": zeros(2).astype(np.float64), "target": f32(1, 0), "reduction": "none"},
        why="float32 beside float64 gives float64, as in all other losses",
        value=np.log([2.0, 2.0]),
        gradients=(np.array([-0.5, 0.5]), zeros(2)),
    ),
    *(
        Edge(
            "l1_loss",
            what,
            {"prediction": prediction, "target": target, "reduction": "sum"},
            why="the gradient of a nan is no number; torch says 0",
            value=f32(NAN),
            gradients=(f32(NAN, 1), f32(NAN, -1)),
        )
        for what, prediction, target in (
            ("nan", f32(NAN, 2), f32(0, 1)),
            ("inf - inf", f32(INF, 2), f32(INF, 1)),
        )
    ),
    *(
        Edge(
            "huber_loss",
            f"{name} in float64",
            {"prediction": zeros(2), "target": zeros(2), name: np.array([0.5, 2])},
            why="as mse_loss, whose gradients torch gives; of huber_loss, it has the value only",
            value=np.array(0.8125),
            gradients=gradients,
        )
        for name, gradients in (
            ("prediction", (np.array([0.25, 0.5]), f32(-0.25, -0.5))),
            ("target", (f32(-0.25, -0.5), np.array([0.25, 0.5]))),
        )
    ),
    *(
        Edge(
            op,
            "(N, 1) and (N,)",
            {first: zeros(2, 1), "target": zeros(2)},
            why=REFUSED,
            refused=ValueError,
        )
        for op, first in (
            ("squared_loss", "prediction"),
            ("mse_loss", "prediction"),
            ("l1_loss", "prediction"),
            ("huber_loss", "prediction"),
            ("smooth_l1_loss", "prediction"),
            ("kl_div", "log_q"),
        )
    ),
    *(
        Edge(
            op,
            "integers",
            {"z": np.array([1, -2])} | options,
            why="" if op in TORCH_REFUSES_INTEGERS else "NumPy would round or widen",
            refused=TypeError,
        )
        for op, options in [*((op, {}) for op in ACTIVATIONS), ("logsumexp", {"axis": -1})]
    ),
    Edge(
        "linear",
        "weight in float64",
        {"X": f32([[1, 2]]), "W": np.array([[1.0], [2.0]]), "b": zeros(1)},
        why="float32 beside float64 gives float64; torch refuses",
        value=np.array([[5.0]]),
    ),
]

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
