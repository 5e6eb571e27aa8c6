"""The inputs that Hypothesis draws for the operations.

A case is a dictionary of arguments. Its numbers come from a seed, a shape and a family, so that a
failing example shrinks to a small shape, the plainest family and seed 0.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from scratchnn.arrays import Array

Case: TypeAlias = dict[str, Any]
Dtype: TypeAlias = type[np.float32] | type[np.float64]

SIZES = st.integers(1, 8)
REDUCTIONS = st.sampled_from(["none", "mean", "sum"])
THINNING = st.sampled_from(["full", "zeros", "one-hot"])


def _near_ties(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return 1 + 1e-6 * rng.normal(size=shape)


def _one_dominant(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    z = rng.normal(size=shape)
    z.reshape(-1)[rng.integers(z.size, size=1 + z.size // 4)] += 40
    return z


FAMILIES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "whole numbers": lambda rng, shape: rng.integers(-3, 4, shape).astype(float),
    "standard normal": lambda rng, shape: rng.normal(size=shape),
    "wide": lambda rng, shape: 30 * rng.normal(size=shape),
    "near ties": _near_ties,
    "one dominant": _one_dominant,
    "tiny": lambda rng, shape: 1e-30 * rng.normal(size=shape),
    "positive": lambda rng, shape: rng.exponential(size=shape),
    "huge": lambda rng, shape: 1e30 * rng.choice([-1.0, 0.0, 1.0], shape),
}
MODERATE = tuple(name for name in FAMILIES if name != "huge")  # no overflow in a square


@st.composite
def arrays(
    draw: DrawFn, dtype: Dtype, shape: tuple[int, ...], families: tuple[str, ...] = tuple(FAMILIES)
) -> Array:
    """Draw an array of this shape and precision from one of the families."""
    family = draw(st.sampled_from(families))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.asarray(FAMILIES[family](rng, shape), dtype)


@st.composite
def elementwise(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw z of any shape, also without dimensions."""
    return {"z": draw(arrays(dtype, draw(shapes(min_ndim=0))))}


@st.composite
def along_axis(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw z and an axis of it."""
    shape = draw(shapes(min_ndim=1))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return {"z": draw(arrays(dtype, shape)), "axis": axis}


@st.composite
def reduced_axis(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw z, an axis of it that is summed over, and whether that is kept."""
    return {**draw(along_axis(dtype)), "keepdims": draw(st.booleans())}


@st.composite
def dense_layer(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw X, W and b of a dense layer."""
    D, H = (draw(st.integers(1, 40)) for _ in range(2))
    rows = tuple(draw(st.lists(st.integers(1, 12), max_size=3)))
    X, W, b = (draw(arrays(dtype, shape, MODERATE)) for shape in ((*rows, D), (D, H), (H,)))
    return {"X": X, "W": W, "b": b}


def layer_without_bias(dtype: Dtype) -> SearchStrategy[Case]:
    """Return a strategy of X and W alone."""
    return dense_layer(dtype).map(lambda case: {name: case[name] for name in ("X", "W")})


@st.composite
def structured_layer(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw X, A, S and b of a sum of n Kronecker products."""
    n, p, q = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shapes = (draw(st.integers(1, 6)), n * p), (n, n, n), (n, p, q), (n * q,)
    X, A, S, b = (draw(arrays(dtype, shape, MODERATE)) for shape in shapes)
    return {"X": X, "A": A, "S": S, "b": b}


def class_indices(name: str, *, smoothing: bool) -> Callable[[Dtype], SearchStrategy[Case]]:
    """Return a strategy of logits (under this name), class indices and all options."""

    @st.composite
    def cases(draw: DrawFn, dtype: Dtype) -> Case:
        case = draw(_classification(name, dtype, smoothing=smoothing))
        z = case[name]
        C = z.shape[0 if z.ndim == 1 else 1]
        rng = np.random.default_rng(draw(st.integers(0, 999)))
        target = np.asarray(rng.integers(C, size=_without_classes(z.shape)))
        ignore_index = draw(st.sampled_from([-100, -1, 0, C - 1]))
        if draw(st.booleans()) and target.ndim:
            target[rng.random(target.shape) < 0.3] = ignore_index
        return {**case, "target": target, "ignore_index": ignore_index}

    return cases


@st.composite
def class_probabilities(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw logits, a distribution for each row, maybe almost one-hot, and all options."""
    case = draw(_classification("z", dtype, smoothing=True))
    z = case["z"]
    axis = 0 if z.ndim == 1 else 1
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    target = rng.random(z.shape) ** draw(st.sampled_from([1, 100]))
    target = _thinned(draw(THINNING), target, axis, rng)
    target /= target.sum(axis=axis, keepdims=True)
    return {**case, "target": target.astype(dtype)}


def _thinned(kind: str, p: Array, axis: int, rng: np.random.Generator) -> Array:
    """Return p with exact zeros in some places, or in all but the largest's, or in none."""
    top = p == p.max(axis=axis, keepdims=True)
    kept = {"full": True, "zeros": top | (rng.random(p.shape) < 0.5), "one-hot": top}[kind]
    return np.where(kept, p, p.dtype.type(0))


@st.composite
def _classification(draw: DrawFn, name: str, dtype: Dtype, *, smoothing: bool) -> Case:
    C = draw(st.integers(1, 12))
    N, *rest = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    shape = (C,) if draw(st.integers(0, 4)) == 0 else (N, C, *rest)
    weights = st.none() | st.just(draw(arrays(dtype, (C,), ("positive",))))
    case: Case = {name: draw(arrays(dtype, shape)), "weight": draw(weights)}
    if smoothing:
        case["label_smoothing"] = draw(st.sampled_from([0.0, 2e-7, 1e-3, 0.1, 1.0]))
    return {**case, "reduction": draw(REDUCTIONS)}


def _without_classes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


@st.composite
def yes_or_no(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw logits, targets in [0, 1] of the same shape, mostly 0 and 1, and all options."""
    shape = draw(shapes(min_ndim=1))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    target = rng.integers(0, 2, shape) if draw(st.booleans()) else rng.random(shape)
    options = {
        name: draw(
            st.none()
            | arrays(dtype, shape, ("positive",))
            | arrays(np.float64, shape[-1:], ("positive",))
        )
        for name in ("weight", "pos_weight")
    }
    z = draw(arrays(dtype, shape))
    return {"z": z, "target": target.astype(dtype), **options, "reduction": draw(REDUCTIONS)}


@st.composite
def log_probabilities(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw log q, a target p or log p of the same shape, and all options of kl_div."""
    shape = draw(shapes(min_ndim=1))
    log_target = draw(st.booleans())
    log_q, p = (-draw(arrays(dtype, shape, ("positive",))) for _ in range(2))
    reduction = draw(REDUCTIONS | st.just("batchmean"))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    target = p if log_target else _thinned(draw(THINNING), np.exp(p), -1, rng)
    return {"log_q": log_q, "target": target, "log_target": log_target, "reduction": reduction}


def regression(*options: str) -> Callable[[Dtype], SearchStrategy[Case]]:
    """Return a strategy of predictions, targets, a reduction, and positive options."""

    @st.composite
    def cases(draw: DrawFn, dtype: Dtype) -> Case:
        shape = draw(shapes(min_ndim=1))
        prediction, target = (draw(arrays(dtype, shape, MODERATE)) for _ in range(2))
        positive = {name: draw(st.sampled_from([0.25, 1.0, 3.0])) for name in options}
        reduction = draw(REDUCTIONS)
        return {"prediction": prediction, "target": target, "reduction": reduction, **positive}

    return cases


def shapes(min_ndim: int) -> SearchStrategy[tuple[int, ...]]:
    """Draw a shape of up to three dimensions."""
    return st.lists(SIZES, min_size=min_ndim, max_size=3).map(tuple)
