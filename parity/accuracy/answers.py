"""The oracle's answers for the accuracy table: correctly rounded, and how large their terms are."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity import oracle
from parity.oracle import digits
from parity.oracle import losses as loss_oracle
from parity.oracle.digits import Numbers
from scratchnn.arrays import Array, IntArray

SOFT = "cross_entropy, probabilities"
AT_ONCE = 100_000  # numbers of 51 digits


@dataclass(frozen=True)
class Inputs:
    """What the operations are tried on.

    Shapes   logits z, upstream gradient dy, and targets `yes` in {0, 1} and `share` in (0, 1) of
             the binary cross-entropy, and distributions `likely`, all (N, C); class indices
             `target`, and dloss, both (N,)
    """

    z: Array
    dy: Array
    yes: Array
    share: Array
    likely: Array
    target: IntArray
    dloss: Array

    def head(self, rows: int) -> "Inputs":
        """Return the first rows."""
        return self._rows(slice(rows))

    def in_parts(self) -> "Iterator[Inputs]":
        """Yield a few rows at a time, as numbers of 51 digits take room."""
        step = max(1, AT_ONCE // self.z.shape[1])
        for start in range(0, len(self.z), step):
            yield self._rows(slice(start, start + step))

    def _rows(self, rows: slice) -> "Inputs":
        return Inputs(*(getattr(self, field.name)[rows] for field in fields(self)))


class Answer(NamedTuple):
    """Correctly rounded values in float64, and the size of the terms that they are a sum of.

    Where a result is no sum whose terms can cancel, its terms are itself.
    """

    value: NDArray[np.float64]
    terms: NDArray[np.float64]


@digits.precise()
def answers(inputs: Inputs, rows: int) -> dict[str, Answer]:
    """Return the answers by operation: all rows of the losses, the first `rows` of what is (N, C).

    Summed in float64, the terms are only the unit that errors are measured in:

        logsumexp                   |m| + log(1 + q)
        softmax's gradient          p_k Σ_j p_j |dp_k - dp_j|
        log_softmax's               |dy_k| (1 - p_k) + p_k Σ_(j≠k) |dy_j|
        cross_entropy's of t        |dloss| (t_k (1 - p_k) + p_k Σ_(j≠k) t_j)
        binary cross-entropy's      |dy| ((1 - t) σ + t (1 - σ))
    """
    found: dict[str, list[NDArray[np.float64]]] = {}
    for part in inputs.in_parts():
        for name, numbers in _losses(part).items():
            found.setdefault(name, []).append(numbers.astype(np.float64))
    few = inputs.head(rows)
    for part in few.in_parts():
        for name, numbers in (_softmax_family(part) | _sigmoid_family(part)).items():
            found.setdefault(name, []).append(numbers.astype(np.float64))
    values = {name: np.concatenate(parts) for name, parts in found.items()}
    terms = {name: abs(value) for name, value in values.items()} | _terms(inputs, few, values)
    return {name: Answer(values[name], terms[name]) for name in values}


def _losses(i: Inputs) -> dict[str, Numbers]:
    z = _lift(i.z)
    return {
        "logsumexp": oracle.logsumexp(z),
        "cross_entropy": loss_oracle.cross_entropy(z, i.target, "none"),
        SOFT: loss_oracle.cross_entropy(z, _lift(i.likely), "none"),
    }


def _softmax_family(i: Inputs) -> dict[str, Numbers]:
    z, dy, dloss = (_lift(x) for x in (i.z, i.dy, i.dloss))
    gradient = loss_oracle.cross_entropy_backward
    return {
        "softmax": oracle.softmax(z),
        "softmax gradient": oracle.softmax_backward(dy, z),
        "log_softmax": oracle.log_softmax(z),
        "log_softmax gradient": oracle.log_softmax_backward(dy, z),
        "logsumexp gradient": oracle.logsumexp_backward(dloss, z),
        "cross_entropy gradient": gradient(dloss, z, i.target, "none")[0],
        f"{SOFT} gradient": gradient(dloss, z, _lift(i.likely), "none")[0],
    }


def _sigmoid_family(i: Inputs) -> dict[str, Numbers]:
    z, dy = _lift(i.z), _lift(i.dy)
    found = {"sigmoid": oracle.sigmoid(z), "sigmoid gradient": oracle.sigmoid_backward(dy, z)}
    for name, target in (("bce, t in {0, 1}", i.yes), ("bce, t in (0, 1)", i.share)):
        t = _lift(target)
        found[name] = loss_oracle.binary_cross_entropy_with_logits(z, t, "none")
        gradients = loss_oracle.binary_cross_entropy_with_logits_backward(dy, z, t, "none")
        found[f"{name} gradient"] = gradients[0]
    return found


def _lift(x: Array) -> Numbers:
    return digits.lift(x, np.float64)


def _terms(
    inputs: Inputs, few: Inputs, values: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    m = inputs.z.max(axis=1).astype(np.float64)
    p, g = values["softmax"], few.dy.astype(np.float64)
    distances = [p_n @ abs(g_n[:, None] - g_n) for p_n, g_n in zip(p, g, strict=True)]
    others = abs(g).sum(axis=1, keepdims=True) - abs(g)
    rest = -np.expm1(values["log_softmax"])  # 1 - p
    s, t = values["sigmoid"], few.share.astype(np.float64)
    likely = few.likely.astype(np.float64)
    of_likely = likely * rest + p * loss_oracle.mass_elsewhere(likely)
    return {
        "logsumexp": abs(m) + abs(values["logsumexp"] - m),
        "softmax gradient": p * np.array(distances),
        "log_softmax gradient": abs(g) * rest + p * others,
        f"{SOFT} gradient": abs(few.dloss.astype(np.float64))[:, None] * of_likely,
        "bce, t in (0, 1) gradient": abs(g) * ((1 - t) * s + t * (1 - s)),
    }
