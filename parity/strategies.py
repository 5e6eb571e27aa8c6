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
def dense_layer(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw X, W and b of a dense layer."""
    N, D, H = (draw(st.integers(1, 40)) for _ in range(3))
    X, W, b = (draw(arrays(dtype, shape, MODERATE)) for shape in ((N, D), (D, H), (H,)))
    return {"X": X, "W": W, "b": b}


def labelled(name: str) -> Callable[[Dtype], SearchStrategy[Case]]:
    """Return a strategy of logits (under this name), class indices and a reduction."""

    @st.composite
    def cases(draw: DrawFn, dtype: Dtype) -> Case:
        N, C = draw(SIZES), draw(st.integers(1, 12))
        target = np.random.default_rng(draw(st.integers(0, 999))).integers(C, size=N)
        z = draw(arrays(dtype, (N, C)))
        return {name: z, "target": target, "reduction": draw(REDUCTIONS)}

    return cases


@st.composite
def yes_or_no(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw logits, targets in [0, 1] of the same shape, mostly 0 and 1, and a reduction."""
    shape = draw(shapes(min_ndim=1))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    target = rng.integers(0, 2, shape) if draw(st.booleans()) else rng.random(shape)
    z = draw(arrays(dtype, shape))
    return {"z": z, "target": target.astype(dtype), "reduction": draw(REDUCTIONS)}


@st.composite
def regression(draw: DrawFn, dtype: Dtype) -> Case:
    """Draw predictions, targets of the same shape, and a reduction."""
    shape = draw(shapes(min_ndim=1))
    prediction, target = (draw(arrays(dtype, shape, MODERATE)) for _ in range(2))
    return {"prediction": prediction, "target": target, "reduction": draw(REDUCTIONS)}


def shapes(min_ndim: int) -> SearchStrategy[tuple[int, ...]]:
    """Draw a shape of up to three dimensions."""
    return st.lists(SIZES, min_size=min_ndim, max_size=3).map(tuple)
