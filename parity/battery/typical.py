"""Plain cases of every operation: of numbers, of given logits, and of what breaks softmaxes."""

from typing import Any

import numpy as np

import scratchnn.functional as F
from parity.ops import Op
from parity.strategies import Case
from scratchnn.arrays import Array, IntArray

INF = np.inf
EXTREMES: dict[str, list[list[float]]] = {
    "ties": [[2, 2, 2], [0, 0, 0]],
    "tiny numbers": [[1e-30, -1e-30, 0], [0, 1e-30, 1e-30]],
    "one class": [[3], [-2]],
    "one row": [[1, 2, 3]],
    "one dominant logit": [[40, 0, 1], [-1, 0, 39]],
    "large logits": [[1000, 0, -1000], [0, -1000, 1000]],
    "rows far apart": [[1000, 1001, 999], [-1000, -1001, -999]],
    "huge logits": [[1e30, 0, -1e30], [-1e30, -1e30, 1e30]],
    "-inf masks": [[-INF, 0, 1], [2, -INF, -INF]],
    "one-hot target": [[1, 2, 3], [0, -1, 1]],
}
FOR_PRODUCTS = ("ties", "tiny numbers", "one row")
MASKABLE = ("softmax", "log_softmax", "logsumexp", "cross_entropy")
OF_SHARES = ("cross_entropy, probabilities", "kl_div", "binary_cross_entropy_with_logits")


def typical(op: Op, dtype: Any, rows: int = 6, classes: int = 4) -> Case:
    """Return a case with every option on; its numbers are standard normal."""
    rng = np.random.default_rng(0)
    z, other = (rng.normal(size=(rows, classes)) for _ in range(2))
    return with_input(op, z.astype(dtype), other.astype(dtype), rng)


def extreme(op: Op, name: str, dtype: Any) -> Case | None:
    """Return an extreme case, or None where it means nothing for this operation."""
    if name == "one-hot target":
        return _one_hot(op, np.array(EXTREMES[name], dtype)) if op.name in OF_SHARES else None
    if op.products or op.name == "kl_div" or "prediction" in op.inputs:
        if name not in FOR_PRODUCTS:
            return None
    elif name == "-inf masks" and op.name not in MASKABLE:
        return None
    z = np.array(EXTREMES[name], dtype)
    rng = np.random.default_rng(0)
    case = with_input(op, z, rng.normal(size=z.shape).astype(dtype), rng)
    if op.labelled:
        case["target"] = np.array([2, 0])[: len(z)] % z.shape[1]
    return case


def _one_hot(op: Op, z: Array) -> Case:
    """Return a case whose target has exact zeros: 0 log 0 is 0."""
    case = with_input(op, z, z, np.random.default_rng(0))
    return case | {"target": np.eye(len(z), z.shape[1], 1, z.dtype)}


def unmasked(op: Op, case: Case) -> Case:
    """Return a case whose bound is a number: far below, where -inf was."""
    z = case[op.inputs[0]]
    return case | {op.inputs[0]: np.where(np.isneginf(z), z.dtype.type(-1e4), z)}


def with_input(op: Op, z: Array, other: Array, rng: np.random.Generator) -> Case:
    """Return a case with z as its first input, and what else it takes to match."""
    (rows, classes), dtype = z.shape, z.dtype
    weight: Array = rng.uniform(0.5, 3, (classes,)).astype(dtype)
    soft: Array = F.softmax(other)
    labels: IntArray = rng.integers(classes, size=(rows,))
    labels[-1] = -100 if rows > 1 else labels[-1]
    match op.name:
        case "linear":
            factors = rng.normal(size=(classes, 7)), rng.normal(size=7)
            return {"X": z, "W": factors[0].astype(dtype), "b": factors[1].astype(dtype)}
        case "linear, without a bias":
            return {"X": z, "W": rng.normal(size=(classes, 7)).astype(dtype)}
        case "kronecker_linear":
            n = 2 if classes % 2 == 0 else 1
            A, S, b = (
                rng.normal(size=shape).astype(dtype)
                for shape in ((n, n, n), (n, classes // n, 3), (3 * n,))
            )
            return {"X": z, "A": A, "S": S, "b": b}
        case "relu" | "sigmoid":
            return {"z": z}
        case "logsumexp":
            return {"z": z, "axis": 1, "keepdims": True}
        case "softmax" | "log_softmax":
            return {"z": z, "axis": 1}
        case "kl_div":
            options = {"log_target": False, "reduction": "batchmean"}
            return {"log_q": F.log_softmax(z), "target": soft, **options}
        case "binary_cross_entropy_with_logits":
            yes = rng.random(z.shape).astype(dtype)
            weights = {"weight": weight, "pos_weight": weight[::-1].copy()}
            return {"z": z, "target": yes, **weights, "reduction": "mean"}
        case "nll_loss":
            options = {"weight": weight, "ignore_index": -100, "reduction": "mean"}
            return {"log_p": F.log_softmax(z), "target": labels, **options}
        case "cross_entropy":
            options = {"weight": weight, "ignore_index": -100, "label_smoothing": 0.1}
            return {"z": z, "target": labels, **options, "reduction": "mean"}
        case "cross_entropy, probabilities":
            options = {"weight": weight, "label_smoothing": 0.1, "reduction": "mean"}
            return {"z": z, "target": soft, **options}
        case _ if op.inputs == ("prediction", "target"):
            edges = dict.fromkeys(op.options, 0.5) | {"reduction": "mean"}
            return {"prediction": z, "target": other, **edges}
    raise NotImplementedError(f"{op.name} must have a typical case in {__name__}")
