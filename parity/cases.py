"""The inputs of each operation: generated, plain and extreme ones.

A case is a dictionary of arguments. For every operation there are two functions here:

    f(draw, dtype)                 a generated case, of whatever `draw` chooses
    EXAMPLES["f"](z, other, rng)   a plain case around the logits z (N, C), with every option set

The numbers of a generated case come from a family, a seed and a shape. So Hypothesis shrinks a
failing case to a small shape, the plainest family and seed 0. Importing this file takes NumPy
alone; `strategy` imports Hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from scratchnn.ops.shared import Array

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
Case: TypeAlias = dict[str, Any]
Dtype: TypeAlias = type[np.float32] | type[np.float64]
Shape: TypeAlias = tuple[int, ...]
Generate: TypeAlias = "Callable[[Draw, Dtype], Case]"
Example: TypeAlias = Callable[[Array, Array, np.random.Generator], Case]


class Draw:
    """The choices that a generated case is made of, by Hypothesis; the first is the plainest."""

    def __init__(self, draw: Callable[[SearchStrategy[Any]], Any]) -> None:
        from hypothesis import strategies as st

        self._draw, self._st = draw, st

    def integer(self, low: int, high: int) -> int:
        """Choose an integer in [low, high]."""
        return self._draw(self._st.integers(low, high))

    def one_of(self, options: Sequence[T]) -> T:
        """Choose one of these."""
        return self._draw(self._st.sampled_from(options))

    def sizes(self, largest: int, at_least: int, at_most: int) -> Shape:
        """Choose so many sizes, each in [1, largest]."""
        sizes = self._st.lists(self._st.integers(1, largest), min_size=at_least, max_size=at_most)
        return tuple(self._draw(sizes))


def strategy(generate: Generate, dtype: Dtype) -> SearchStrategy[Case]:
    """Return Hypothesis's strategy of the cases that a function of this file generates."""
    from hypothesis import strategies as st

    return st.composite(lambda draw: generate(Draw(draw), dtype))()


def _one_dominant(rng: np.random.Generator, shape: Shape) -> Array:
    z = rng.normal(size=shape)
    z.reshape(-1)[rng.integers(z.size, size=1 + z.size // 4)] += 40
    return z


FAMILIES: dict[str, Callable[[np.random.Generator, Shape], Array]] = {
    "whole numbers": lambda rng, shape: rng.integers(-3, 4, shape).astype(float),
    "standard normal": lambda rng, shape: rng.normal(size=shape),
    "wide": lambda rng, shape: 30 * rng.normal(size=shape),
    "near ties": lambda rng, shape: 1 + 1e-6 * rng.normal(size=shape),
    "one dominant": _one_dominant,
    "tiny": lambda rng, shape: 1e-30 * rng.normal(size=shape),
    "positive": lambda rng, shape: rng.exponential(size=shape),
    "huge": lambda rng, shape: 1e30 * rng.choice([-1.0, 0.0, 1.0], shape),
}
MODERATE = tuple(name for name in FAMILIES if name != "huge")  # a square does not overflow
REDUCTIONS = ("none", "mean", "sum")
SMOOTHING = (0.0, 2e-7, 1e-3, 0.1, 1.0)


def array(draw: Draw, dtype: Dtype, shape: Shape, among: Sequence[str] = tuple(FAMILIES)) -> Array:
    """Draw an array of this shape and precision from one of the families."""
    family = FAMILIES[draw.one_of(among)]
    return np.asarray(family(_rng(draw, 2**32 - 1), shape), dtype)


def arrays(draw: Draw, dtype: Dtype, **shapes: Shape) -> Case:
    """Draw moderate arrays of these names and shapes."""
    return {name: array(draw, dtype, shape, MODERATE) for name, shape in shapes.items()}


def _rng(draw: Draw, largest: int = 999) -> np.random.Generator:
    return np.random.default_rng(draw.integer(0, largest))


def linear(draw: Draw, dtype: Dtype) -> Case:
    D, H = draw.integer(1, 40), draw.integer(1, 40)
    return arrays(draw, dtype, X=(*draw.sizes(5, 0, 3), D), W=(D, H), b=(H,))


def without_bias(draw: Draw, dtype: Dtype) -> Case:
    return {name: x for name, x in linear(draw, dtype).items() if name != "b"}


def kronecker_linear(draw: Draw, dtype: Dtype) -> Case:
    """Draw X, A, S and b of a sum of n Kronecker products."""
    n, p, q = draw.integer(1, 3), draw.integer(1, 4), draw.integer(1, 4)
    X = draw.integer(1, 6), n * p
    return arrays(draw, dtype, X=X, A=(n, n, n), S=(n, p, q), b=(n * q,))


def elementwise(draw: Draw, dtype: Dtype) -> Case:
    """Draw z of any shape, also without dimensions."""
    return {"z": array(draw, dtype, draw.sizes(8, 0, 3))}


def softplus(draw: Draw, dtype: Dtype) -> Case:
    """Draw z of any shape, β and the threshold."""
    options = {"beta": draw.one_of([1.0, 0.1, 3.0]), "threshold": draw.one_of([20.0, 1.0, 5.0])}
    return {**elementwise(draw, dtype), **options}


def softmax(draw: Draw, dtype: Dtype) -> Case:
    """Draw z, an axis of it, and sometimes the precision to compute in."""
    shape = draw.sizes(8, 1, 3)
    axis = draw.integer(-len(shape), len(shape) - 1)
    z = array(draw, dtype, shape)
    return {"z": z, "axis": axis, "dtype": draw.one_of([None, None, None, "float32", "float64"])}


def logsumexp(draw: Draw, dtype: Dtype) -> Case:
    """Draw z, the axis or axes that are summed over, and whether they are kept."""
    shape = draw.sizes(8, 1, 3)
    axes = range(len(shape))
    one = draw.integer(-len(shape), len(shape) - 1)
    axis = draw.one_of([one, tuple(axes), *combinations(axes, 2)])
    return {"z": array(draw, dtype, shape), "axis": axis, "keepdims": draw.one_of([False, True])}


def nll_loss(draw: Draw, dtype: Dtype) -> Case:
    case = _indices(draw, dtype)
    return {"log_p": case.pop("z"), **case}


def cross_entropy(draw: Draw, dtype: Dtype) -> Case:
    return {**_indices(draw, dtype), "label_smoothing": draw.one_of(SMOOTHING)}


def soft_labels(draw: Draw, dtype: Dtype) -> Case:
    """Draw logits, a distribution for each row, maybe almost one-hot, and all options."""
    case = {**_logits(draw, dtype), "label_smoothing": draw.one_of(SMOOTHING)}
    z, rng = case["z"], _rng(draw)
    axis = 0 if z.ndim == 1 else 1
    share = rng.random(z.shape) ** draw.one_of([1, 100]) + 1e-300  # a power may be 0
    target = _thinned(draw, share, axis, rng)
    target /= target.sum(axis=axis, keepdims=True)
    return {**case, "target": target.astype(dtype)}


def binary_cross_entropy_with_logits(draw: Draw, dtype: Dtype) -> Case:
    """Draw logits, targets in [0, 1], mostly 0 and 1, and all options."""
    shape, rng = draw.sizes(8, 1, 3), _rng(draw)
    target = rng.integers(0, 2, shape) if draw.one_of([True, False]) else rng.random(shape)
    case: Case = {"z": array(draw, dtype, shape), "target": target.astype(dtype)}
    of_each: list[tuple[Dtype, Shape] | None] = [None, (dtype, shape), (np.float64, shape[-1:])]
    for name in ("weight", "pos_weight"):
        chosen = draw.one_of(of_each)  # none, or one for each entry, or for each class in float64
        case[name] = chosen and array(draw, *chosen, ["positive"])
    return {**case, "reduction": draw.one_of(REDUCTIONS)}


def kl_div(draw: Draw, dtype: Dtype) -> Case:
    """Draw log q, a target p or log p, and all options."""
    shape, log_target = draw.sizes(8, 1, 3), draw.one_of([False, True])
    log_q, log_p = (-array(draw, dtype, shape, ["positive"]) for _ in range(2))
    p = _thinned(draw, np.exp(log_p), -1, _rng(draw))
    target = log_p if log_target else p
    reduction = draw.one_of([*REDUCTIONS, "batchmean"])
    return {"log_q": log_q, "target": target, "log_target": log_target, "reduction": reduction}


def _indices(draw: Draw, dtype: Dtype) -> Case:
    """Draw logits, class indices, weights, a reduction and an index to ignore."""
    case = _logits(draw, dtype)
    z, rng = case["z"], _rng(draw)
    C = z.shape[0 if z.ndim == 1 else 1]
    target = np.asarray(rng.integers(C, size=z.shape[:1] + z.shape[2:] if z.ndim > 1 else ()))
    ignore_index, ignored = draw.one_of([-100, -1, 0, C - 1]), draw.one_of([False, True])
    if ignored and target.ndim:
        target[rng.random(target.shape) < 0.3] = ignore_index
    return {**case, "target": target, "ignore_index": ignore_index}


def _logits(draw: Draw, dtype: Dtype) -> Case:
    """Draw logits of a row, of rows, or of images, with weights of the classes and a reduction."""
    C = draw.integer(1, 12)
    N, *rest = draw.sizes(5, 1, 3)
    shape = (C,) if draw.one_of([False] * 4 + [True]) else (N, C, *rest)
    weight = array(draw, dtype, (C,), ["positive"])
    given = {"weight": draw.one_of([None, weight]), "reduction": draw.one_of(REDUCTIONS)}
    return {"z": array(draw, dtype, shape), **given}


def _thinned(draw: Draw, p: Array, axis: int, rng: np.random.Generator) -> Array:
    """Return p with exact zeros in some places, or in all but the largest's, or in none."""
    kind = draw.one_of(["full", "zeros", "one-hot"])
    top = p == p.max(axis=axis, keepdims=True)
    kept = {"full": True, "zeros": top | (rng.random(p.shape) < 0.5), "one-hot": top}[kind]
    return np.where(kept, p, p.dtype.type(0))


def _of_difference(*options: str) -> Generate:
    """Return a function that draws predictions, targets, a reduction, and positive options."""

    def generate(draw: Draw, dtype: Dtype) -> Case:
        shape = draw.sizes(8, 1, 3)
        pair = arrays(draw, dtype, prediction=shape, target=shape)
        positive = {name: draw.one_of([0.25, 1.0, 3.0]) for name in options}
        return {**pair, "reduction": draw.one_of(REDUCTIONS), **positive}

    return generate


squared_loss = mse_loss = l1_loss = _of_difference()
huber_loss, smooth_l1_loss = _of_difference("delta"), _of_difference("beta")


# Plain cases with every option, around logits z (N, C) and others


def _layer(z: Array, rng: np.random.Generator, **shapes: Shape) -> Case:
    """Return a layer of z with normal factors."""
    factors = {name: rng.normal(size=shape).astype(z.dtype) for name, shape in shapes.items()}
    return {"X": z, **factors}


def _kronecker(z: Array, other: Array, rng: np.random.Generator) -> Case:
    """Return a structured layer of n = 2 blocks where D is even."""
    D = z.shape[1]
    n = 2 if D % 2 == 0 else 1
    q = other.shape[1] // n
    return _layer(z, rng, A=(n, n, n), S=(n, D // n, q), b=(n * q,))


def _log_softmax(z: Array) -> Array:
    return z - np.logaddexp.reduce(z, axis=1, keepdims=True)


def _weight(z: Array, rng: np.random.Generator) -> Case:
    return {"reduction": "mean", "weight": rng.uniform(0.5, 3, (z.shape[1],)).astype(z.dtype)}


def _labels(z: Array, rng: np.random.Generator) -> Case:
    """Return a label for each row of z, of which the last is ignored, and weights."""
    weight, target = _weight(z, rng), rng.integers(z.shape[1], size=len(z))
    if len(z) > 1:
        target[-1] = -100
    return {"target": target, **weight, "ignore_index": -100}


def _yes_or_no(z: Array, _: Array, rng: np.random.Generator) -> Case:
    """Return targets in (0, 1), and both kinds of weights."""
    case = {"z": z, **_weight(z, rng), "target": rng.random(z.shape).astype(z.dtype)}
    return {**case, "pos_weight": case["weight"][::-1].copy()}


def _softmax(z: Array) -> Array:
    return np.exp(_log_softmax(z))


def _pair(*options: str) -> Example:
    """Return a function of predictions z and targets `other`, with every option at 1/2."""
    given = {"reduction": "mean", **dict.fromkeys(options, 0.5)}
    return lambda z, other, _: {"prediction": z, "target": other, **given}


EXAMPLES: dict[str, Example] = {
    "linear": lambda z, y, rng: _layer(z, rng, W=(z.shape[1], y.shape[1]), b=(y.shape[1],)),
    "without_bias": lambda z, y, rng: _layer(z, rng, W=(z.shape[1], y.shape[1])),
    "kronecker_linear": _kronecker,
    "elementwise": lambda z, *_: {"z": z},
    "softplus": lambda z, *_: {"z": z, "beta": 0.5, "threshold": 0.75},
    "softmax": lambda z, *_: {"z": z, "axis": 1, "dtype": None},
    "logsumexp": lambda z, *_: {"z": z, "axis": 1, "keepdims": True},
    "nll_loss": lambda z, _, rng: {"log_p": _log_softmax(z), **_labels(z, rng)},
    "cross_entropy": lambda z, _, rng: {"z": z, **_labels(z, rng), "label_smoothing": 0.1},
    "soft_labels": lambda z, y, rng: (
        {"z": z, "target": _softmax(y), **_weight(z, rng), "label_smoothing": 0.1}
    ),
    "binary_cross_entropy_with_logits": _yes_or_no,
    "kl_div": lambda z, y, _: (
        {"log_q": _log_softmax(z), "target": _softmax(y)}
        | {"reduction": "batchmean", "log_target": False}
    ),
    **dict.fromkeys(("squared_loss", "mse_loss", "l1_loss"), _pair()),
    "huber_loss": _pair("delta"),
    "smooth_l1_loss": _pair("beta"),
}

# Extreme cases

INF = np.inf
EXTREMES: dict[str, list[list[float]]] = {
    "ties": [[2, 2, 2], [0, 0, 0]],
    "tiny numbers": [[1e-30, -1e-30, 0], [0, 1e-30, 1e-30]],
    "one row": [[1, 2, 3]],
    "one class": [[3], [-2]],
    "one dominant logit": [[40, 0, 1], [-1, 0, 39]],
    "large logits": [[1000, 0, -1000], [0, -1000, 1000]],
    "rows far apart": [[1000, 1001, 999], [-1000, -1001, -999]],
    "huge logits": [[1e30, 0, -1e30], [-1e30, -1e30, 1e30]],
    "-inf masks": [[-INF, 0, 1], [2, -INF, -INF]],
    "one-hot target": [[1, 2, 3], [0, -1, 1]],
}
# The extreme cases that make sense for an operation:
PLAIN = ("ties", "tiny numbers", "one row")
LOGITS = tuple(EXTREMES)[:-2]  # without the last two
MASKED = tuple(EXTREMES)[:-1]  # softmax and its relatives
ONE_HOT = "one-hot target"  # the target has exact zeros: 0 log 0 = 0
SHARES = (*LOGITS, ONE_HOT)

# A case at default options, and the value that one finds by hand.

LN = np.log
HAND: dict[str, tuple[tuple[Case, object], ...]] = {
    "linear": (({"X": [[1, 2]], "W": [[3, 0, 1], [4, 1, 0]], "b": [1, 1, 1]}, [[12, 3, 2]]),),
    "linear, without a bias": (({"X": [[1, 2]], "W": [[3, 0, 1], [4, 1, 0]]}, [[11, 2, 1]]),),
    "kronecker_linear": (({"X": [[1, 2]], "A": [[[2]]], "S": [[[3], [4]]], "b": [1]}, [[23]]),),
    "relu": (({"z": [[-1, 0, 2]]}, [[0, 0, 2]]),),
    "sigmoid": (({"z": [[0, LN(3)]]}, [[1 / 2, 3 / 4]]),),
    "softplus": (({"z": [[0, LN(3), -LN(3), 21]]}, [[LN(2), LN(4), LN(4 / 3), 21]]),),
    "tanh": (({"z": [[0, LN(2), -LN(3)]]}, [[0, 3 / 5, -4 / 5]]),),
    "softmax": (
        ({"z": [[1, 1], [2, 2], [3, 3]]}, [[1 / 2, 1 / 2]] * 3),
        ({"z": [[0, LN(3)], [LN(4), 0]]}, [[1 / 4, 3 / 4], [4 / 5, 1 / 5]]),
    ),
    "log_softmax": (({"z": [[0, 0]]}, [[-LN(2), -LN(2)]]),),
    "logsumexp": (({"z": [[0, 0], [1, 1]]}, [LN(2), 1 + LN(2)]),),
    "nll_loss": (({"log_p": [[-1, -2], [-3, -4]], "target": [0, 1]}, (1 + 4) / 2),),
    "cross_entropy": (
        ({"z": [[0, 0]], "target": [1]}, LN(2)),
        ({"z": [[0, 0, 0], [0, LN(2), 0]], "target": [2, 1]}, (LN(3) + LN(2)) / 2),
        ({"z": [[0.2, 0.1, -0.1]], "target": [0]}, 0.9729189131256584),
    ),
    "cross_entropy, probabilities": (
        ({"z": [[0, 0], [0, LN(3)]], "target": [[0.1, 0.9], [0, 1]]}, (LN(2) + LN(4 / 3)) / 2),
    ),
    "binary_cross_entropy_with_logits": (
        ({"z": [[0, LN(3)]], "target": [[1, 1]]}, (LN(2) + LN(4 / 3)) / 2),
    ),
    "kl_div": (
        ({"log_q": [[-LN(2), -LN(2)]], "target": [[1 / 4, 3 / 4]]}, (3 / 4 * LN(3) - LN(2)) / 2),
    ),
    "squared_loss": (({"prediction": [[3, 0]], "target": [[1, 0]]}, 1),),
    "mse_loss": (({"prediction": [[3, 0]], "target": [[1, 0]]}, 2),),
    "l1_loss": (({"prediction": [[3, 0]], "target": [[1, 0]]}, 1),),
    "huber_loss": (({"prediction": [[3, 0.5]], "target": [[1, 0]]}, (1.5 + 0.125) / 2),),
    "smooth_l1_loss": (({"prediction": [[3, 0.5]], "target": [[1, 0]]}, (1.5 + 0.125) / 2),),
}
