"""The right answers: every operation on 50 digits, rounded once, at the end.

The arithmetic is gmpy2's where it is installed, which takes 2 µs for an exponential, and mpmath's
elsewhere, which takes ten times that. Each function has one row, or one element, as Python numbers.

Source   Fousse et al. 2007, doi:10.1145/1236463.1236468 (MPFR, correctly rounded)
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import Array, IntArray

BITS = 170  # 51 digits

try:
    import gmpy2

    gmpy2.get_context().precision = BITS
    number, exp, log1p = gmpy2.mpfr, gmpy2.exp, gmpy2.log1p
except ModuleNotFoundError:
    from mpmath import mp

    mp.prec = BITS
    number, exp, log1p = mp.mpf, mp.exp, mp.log1p

DIGITS = int(BITS * np.log10(2))


@dataclass(frozen=True)
class Inputs:
    """What the operations are tried on.

    Shapes   logits z, upstream gradient dy, and targets `yes` in {0, 1} and `share` in (0, 1) of
             the binary cross-entropy, all (N, C); class indices `target`, and dloss, both (N,)
    """

    z: Array
    dy: Array
    yes: Array
    share: Array
    target: IntArray
    dloss: Array

    def head(self, rows: int) -> "Inputs":
        """Return the first rows."""
        return Inputs(*(getattr(self, field.name)[:rows] for field in fields(self)))


class Answer(NamedTuple):
    """Correctly rounded values in float64, and the size of the terms that they are a sum of.

    Where a result is no sum whose terms can cancel, its terms are itself.
    """

    value: NDArray[np.float64]
    terms: NDArray[np.float64]


def answers(inputs: Inputs, rows: int) -> dict[str, Answer]:
    """Return the answers by operation: all rows of the losses, the first `rows` of what is (N, C).

    Summed in float64, the terms are only the unit that errors are measured in:

        logsumexp                   |m| + log(1 + q)
        softmax's gradient          p_k Σ_j p_j |dp_k - dp_j|
        log_softmax's               |dy_k| (1 - p_k) + p_k Σ_(j≠k) |dy_j|
        binary cross-entropy's      |dy| ((1 - t) σ + t (1 - σ))
    """
    found: dict[str, list[Any]] = {"logsumexp": [], "cross_entropy": []}
    for z, target in zip(inputs.z.tolist(), inputs.target.tolist(), strict=True):
        lse, loss = logsumexp_and_cross_entropy(_numbers(z), target)
        found["logsumexp"].append(float(lse))
        found["cross_entropy"].append(float(loss))
    few = inputs.head(rows)
    for row in zip(*(getattr(few, f.name).tolist() for f in fields(few)), strict=True):
        z, dy, yes, share = (_numbers(values) for values in row[:4])
        result = softmax_family(z, dy, row[4], number(row[5])) | sigmoid_family(z, dy, yes, share)
        for name, values in result.items():
            found.setdefault(name, []).append([float(value) for value in values])
    values = {name: np.array(value) for name, value in found.items()}
    terms = {name: abs(value) for name, value in values.items()} | _terms(inputs, few, values)
    return {name: Answer(values[name], terms[name]) for name in values}


def logsumexp_and_cross_entropy(z: list[Any], target: int) -> tuple[Any, Any]:
    """Return log Σ exp z_j = m + log(1 + q), and that less z_t."""
    m, _, q = _shift(z)
    return m + log1p(q), (m - z[target]) + log1p(q)


def softmax_family(z: list[Any], dy: list[Any], target: int, dloss: Any) -> dict[str, list[Any]]:
    """Return softmax, log_softmax and the gradients of a row; no sum here cancels by itself."""
    m, e, q = _shift(z)
    top = z.index(m)
    p = [e_k / (1 + q) for e_k in e]
    from_top = [dy_k - dy[top] for dy_k in dy]
    mean = sum(p_k * d_k for p_k, d_k in zip(p, from_top, strict=True))
    total = sum(dy)
    log_gradient = [dy_k - p_k * total for dy_k, p_k in zip(dy, p, strict=True)]
    log_gradient[top] = dy[top] * q / (1 + q) - p[top] * (total - dy[top])
    minus_onehot = [*p]
    minus_onehot[target] = -q / (1 + q) if target == top else p[target] - 1
    return {
        "softmax": p,
        "softmax gradient": [p_k * (d_k - mean) for p_k, d_k in zip(p, from_top, strict=True)],
        "log_softmax": [(z_k - m) - log1p(q) for z_k in z],
        "log_softmax gradient": log_gradient,
        "logsumexp gradient": [p_k * dloss for p_k in p],
        "cross_entropy gradient": [d_k * dloss for d_k in minus_onehot],
    }


def sigmoid_family(
    z: list[Any], dy: list[Any], yes: list[Any], share: list[Any]
) -> dict[str, list[Any]]:
    """Return sigmoid and binary cross-entropy with their gradients, element by element."""
    e = [exp(-abs(z_k)) for z_k in z]
    small = [e_k / (1 + e_k) for e_k in e]  # σ(-|z|)
    large = [1 / (1 + e_k) for e_k in e]
    s = [b if z_k >= 0 else a for z_k, a, b in zip(z, small, large, strict=True)]
    r = [a if z_k >= 0 else b for z_k, a, b in zip(z, small, large, strict=True)]  # 1 - σ
    result = {
        "sigmoid": s,
        "sigmoid gradient": [g * a * b for g, a, b in zip(dy, small, large, strict=True)],
    }
    for name, t in (("bce, t in {0, 1}", yes), ("bce, t in (0, 1)", share)):
        result[name] = [
            log1p(e_k) + (z_k * (1 - t_k) if z_k > 0 else -z_k * t_k)
            for z_k, e_k, t_k in zip(z, e, t, strict=True)
        ]
        result[f"{name} gradient"] = [
            g * ((1 - t_k) * s_k - t_k * r_k) for g, t_k, s_k, r_k in zip(dy, t, s, r, strict=True)
        ]
    return result


def _numbers(values: Iterable[float]) -> list[Any]:
    return [number(value) for value in values]


def _shift(z: list[Any]) -> tuple[Any, list[Any], Any]:
    """Return m = max z, e = exp(z - m), and q = Σ e but for the maximum's own 1."""
    m = max(z)
    e = [exp(z_k - m) for z_k in z]
    top = z.index(m)
    return m, e, sum(e[:top]) + sum(e[top + 1 :])


def _terms(inputs: Inputs, few: Inputs, values: dict[str, Array]) -> dict[str, Array]:
    m = inputs.z.max(axis=1).astype(np.float64)
    p, g = values["softmax"], few.dy.astype(np.float64)
    distances = [p_n @ abs(g_n[:, None] - g_n) for p_n, g_n in zip(p, g, strict=True)]
    others = abs(g).sum(axis=1, keepdims=True) - abs(g)
    rest = -np.expm1(values["log_softmax"])  # 1 - p
    s, t = values["sigmoid"], few.share.astype(np.float64)
    return {
        "logsumexp": abs(m) + abs(values["logsumexp"] - m),
        "softmax gradient": p * np.array(distances),
        "log_softmax gradient": abs(g) * rest + p * others,
        "bce, t in (0, 1) gradient": abs(g) * ((1 - t) * s + t * (1 - s)),
    }
