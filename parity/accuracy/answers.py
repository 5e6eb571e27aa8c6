"""What is measured, on which inputs, and the right answers: rounded once, with their terms.

An operation's function, its right answer and its gradient are those of its row in parity.ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

import scratchnn.functional as F
from parity import cases, oracle
from parity.cases import Case
from parity.judge import right_gradients, right_value
from parity.ops import OPS, Op
from parity.targets import mass_elsewhere
from scratchnn.ops.shared import AnyArray, Array, IntArray

Drawn: TypeAlias = dict[str, AnyArray]
Family: TypeAlias = Callable[[np.random.Generator, tuple[int, int], DTypeLike], Array]


class Measured(NamedTuple):
    """An operation: its row in parity.ops, and which drawn arrays are its target and upstream."""

    row: str
    target: str = ""
    dy: str = "dy"


MEASURED = {  # by the name in the tables
    "softmax": Measured("softmax"),
    "log_softmax": Measured("log_softmax"),
    "logsumexp": Measured("logsumexp", dy="dloss"),
    "cross_entropy": Measured("cross_entropy", "labels", "dloss"),
    "cross_entropy, probabilities": Measured("cross_entropy, probabilities", "likely", "dloss"),
    "sigmoid": Measured("sigmoid"),
    "bce, t in {0, 1}": Measured("binary_cross_entropy_with_logits", "yes"),
    "bce, t in (0, 1)": Measured("binary_cross_entropy_with_logits", "share"),
}
NAN_ON_MASKS = ("bce, t in {0, 1}", "bce, t in (0, 1)")  # 0 · inf, as in torch
MASKS = "-inf masks"
AT_ONCE = 100_000  # numbers of 51 digits, as they take room


class Answer(NamedTuple):
    """The right result, and the size of the terms that it is a sum of.

    Where a result is no sum whose terms can cancel, its terms are itself.
    """

    value: NDArray[np.float64]
    terms: NDArray[np.float64]


def quantities(name: str) -> tuple[str, str]:
    """Return what is measured of an operation: its value, and its gradient in z."""
    return name, f"{name} gradient"


# The inputs


def _one_dominant(rng: np.random.Generator, shape: tuple[int, int], _: DTypeLike) -> Array:
    z = rng.normal(size=shape)
    z[np.arange(len(z)), rng.integers(shape[1], size=len(z))] += rng.uniform(10, 80, len(z))
    return z


def _subnormal(rng: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    return rng.uniform(-1, 1, shape) * float(np.finfo(dtype).tiny)


def _masked(rng: np.random.Generator, shape: tuple[int, int], _: DTypeLike) -> Array:
    hidden = rng.random(shape) < 0.3
    hidden[np.arange(len(hidden)), rng.integers(shape[1], size=len(hidden))] = False
    return np.where(hidden, -np.inf, rng.normal(size=shape))


def _uniform(rng: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    edge = -np.log(float(np.finfo(dtype).smallest_subnormal))  # 103 or 744, where exp(-z) is gone
    return rng.uniform(-edge, edge, shape)


def _like(family: str) -> Family:
    return lambda rng, shape, _: cases.FAMILIES[family](rng, shape)


FAMILIES: dict[str, Family] = {
    "standard normal": _like("standard normal"),
    "normal × 30": _like("wide"),
    "near ties": _like("near ties"),
    "one dominant": _one_dominant,
    "±1e30": _like("huge"),
    "subnormal": _subnormal,
    MASKS: _masked,
    "uniform": _uniform,
}


def draw(family: str, rows: int, classes: int, dtype: DTypeLike) -> Drawn:
    """Return the arrays of a family's cells. In half of the rows, the likeliest class is right.

    Shapes   z, the upstream gradient dy, targets `yes` in {0, 1} and `share` in (0, 1), and
             distributions `likely` (N, C); class indices `labels`, and dloss (N,)
    """
    rng = np.random.default_rng([list(FAMILIES).index(family), classes, np.dtype(dtype).itemsize])
    shape = (rows, classes)
    z = FAMILIES[family](rng, shape, dtype).astype(dtype)
    labels = np.where(rng.random(rows) < 0.5, z.argmax(axis=1), rng.integers(classes, size=rows))
    floats = {
        "z": z,
        "dy": rng.normal(size=shape),
        "yes": rng.integers(0, 2, shape),
        "share": rng.uniform(size=shape),
        "dloss": rng.normal(size=rows),
        "likely": _distributions(rng, labels, classes),
    }
    return {"labels": labels, **{name: x.astype(dtype) for name, x in floats.items()}}


def _distributions(rng: np.random.Generator, labels: IntArray, classes: int) -> Array:
    """Return a distribution for each row; half of them are almost one-hot, by e^-10 to e^-80."""
    z = rng.normal(size=(len(labels), classes))
    ahead = rng.uniform(10, 80, len(labels)) * (rng.random(len(labels)) < 0.5)
    z[np.arange(len(labels)), labels] += ahead
    return F.softmax(z)


def case(name: str, drawn: Drawn) -> tuple[Op, Case, Array]:
    """Return an operation's row, its arguments made of what was drawn, and its upstream gradient.

    The losses are not reduced; all other options have their defaults.
    """
    row, target, dy = MEASURED[name]
    op = OPS[row]
    arguments: Case = {op.inputs[0]: drawn["z"]}
    if target:
        arguments["target"] = drawn[target]
    if "reduction" in op.options:
        arguments["reduction"] = "none"
    return op, arguments, drawn[dy]


# The right answers


def right_answers(drawn: Drawn, few: int) -> dict[str, Answer]:
    """Return the answers by quantity: for all rows where a row has one result, else for `few`."""
    wide = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in drawn.items()}
    masked = np.isinf(drawn["z"]).any()
    found: dict[str, Answer] = {}
    for name, measured in MEASURED.items():
        value, gradient = quantities(name)
        if not (masked and name in NAN_ON_MASKS):
            rows = wide if measured.dy == "dloss" else _rows(wide, few)
            found[value] = _answer(value, rows, _value)
        found[gradient] = _answer(gradient, _rows(wide, few), _gradient)
    return found


def _answer(name: str, wide: Drawn, of: Callable[[str, Drawn], NDArray[np.float64]]) -> Answer:
    value = np.concatenate([of(name.removesuffix(" gradient"), part) for part in _parts(wide)])
    with np.errstate(all="ignore"):
        return Answer(value, TERMS[name](wide) if name in TERMS else abs(value))


def _value(name: str, wide: Drawn) -> NDArray[np.float64]:
    op, arguments, _ = case(name, wide)
    return right_value(op, arguments).astype(np.float64)


def _gradient(name: str, wide: Drawn) -> NDArray[np.float64]:
    return right_gradients(*case(name, wide))[0].astype(np.float64)


def _rows(drawn: Drawn, stop: int, start: int = 0) -> Drawn:
    return {name: x[start:stop] for name, x in drawn.items()}


def _parts(wide: Drawn) -> Iterator[Drawn]:
    """Yield a few rows at a time."""
    N, C = wide["z"].shape
    step = max(1, AT_ONCE // C)
    for start in range(0, N, step):
        yield _rows(wide, start + step, start)


# The terms of the results that are sums. They are only the unit that errors are measured in, so
# they are summed in float64. p = softmax(z).


def _of_logsumexp(wide: Drawn) -> NDArray[np.float64]:
    """|m| + log(1 + q), with the maximum m and the sum q of the other exponentials."""
    m = wide["z"].max(axis=1)
    return abs(m) + abs(oracle.logsumexp(wide["z"]) - m)


def _of_softmax_gradient(wide: Drawn) -> NDArray[np.float64]:
    """p_k Σ_j p_j |dp_k - dp_j|."""
    p, dp = oracle.softmax(wide["z"]), wide["dy"]
    return p * np.array([p_n @ abs(dp_n[:, None] - dp_n) for p_n, dp_n in zip(p, dp, strict=True)])


def _of_log_softmax_gradient(wide: Drawn) -> NDArray[np.float64]:
    """|dy_k| (1 - p_k) + p_k Σ_(j≠k) |dy_j|."""
    found, dy = oracle.distribution(wide["z"], 1), abs(wide["dy"])
    return dy * found.rest + found.p * (dy.sum(axis=1, keepdims=True) - dy)


def _of_probabilities_gradient(wide: Drawn) -> NDArray[np.float64]:
    """|dloss| (t_k (1 - p_k) + p_k Σ_(j≠k) t_j)."""
    found, t = oracle.distribution(wide["z"], 1), wide["likely"]
    return abs(wide["dloss"])[:, None] * (t * found.rest + found.p * mass_elsewhere(t))


def _of_share_gradient(wide: Drawn) -> NDArray[np.float64]:
    """|dy| ((1 - t) σ(z) + t (1 - σ(z)))."""
    s, t = oracle.sigmoid(wide["z"]), wide["share"]
    return abs(wide["dy"]) * ((1 - t) * s + t * (1 - s))


TERMS: dict[str, Callable[[Drawn], NDArray[np.float64]]] = {
    "logsumexp": _of_logsumexp,
    "softmax gradient": _of_softmax_gradient,
    "log_softmax gradient": _of_log_softmax_gradient,
    "cross_entropy, probabilities gradient": _of_probabilities_gradient,
    "bce, t in (0, 1) gradient": _of_share_gradient,
}
