"""The rows that a function may be read as, besides the table's: losses of probabilities.

Each function is the oracle's for the logarithm of p, and its gradient by the chain rule. As in the
table, f_backward is the gradient, and f_bound and f_backward_bound are error bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from parity import oracle
from parity.bounds import LOG_ULPS
from parity.cases import Case, Draw, Dtype
from parity.digits import Numbers, log, log1p
from parity.loss_bounds import _reduce
from parity.ops import OPS, Function, Op
from scratchnn.ops.shared import AnyArray, Array

Bounds: TypeAlias = "Array | tuple[Array, ...]"


def cross_entropy_of_probabilities(
    p: Numbers, target: AnyArray, *, reduction: str = "mean"
) -> Numbers:
    """-Σ_c q_c log p_c per row, reduced."""
    return oracle.nll_loss(log(p), target, reduction=reduction)


def cross_entropy_of_probabilities_backward(
    dloss: Numbers, p: Numbers, target: AnyArray, *, reduction: str = "mean"
) -> Numbers:
    """-q / p, and -log p for a target of probabilities, times a row's share of dloss."""
    v, *how = oracle.reduced_mass(p, target, reduction=reduction)
    share = oracle.share(np.reshape(dloss, (-1, 1)), *how)
    dp = -_over(v, p) * share
    return dp if oracle.holds_indices(target) else (dp, -log(p) * share)


def _over(a: Numbers, p: Numbers) -> Numbers:
    """a / p for a ≥ 0: 0 where a is, and inf where p alone is 0."""
    quotient = np.where(p == 0, np.inf, a / np.where(p == 0, 1, p))
    return np.where(a == 0, 0, quotient)


def cross_entropy_of_probabilities_bound(
    p: Array, target: AnyArray, *, reduction: str = "mean", u: float
) -> Array:
    v, *how = oracle.reduced_mass(p, target, reduction=reduction)
    losses = oracle.weigh(v, abs(log(p)), p)
    return _reduce((LOG_ULPS + 4) * u * losses, losses, u, *how)


def cross_entropy_of_probabilities_backward_bound(
    dloss: Array, p: Array, target: AnyArray, *, reduction: str = "mean", u: float
) -> Bounds:
    gradients = cross_entropy_of_probabilities_backward(dloss, p, target, reduction=reduction)
    if oracle.holds_indices(target):
        return 8 * u * abs(gradients)
    return tuple((LOG_ULPS + 8) * u * abs(g) for g in gradients)


def binary_cross_entropy(p: Numbers, target: Numbers, *, reduction: str = "mean") -> Numbers:
    """-(t log p + (1 - t) log(1 - p)), reduced; 0 log 0 = 0. torch's never exceeds 100."""
    return oracle._reduce(_binary_losses(p, target), reduction, p.size)


def _binary_losses(p: Numbers, t: Numbers) -> Numbers:
    yes = np.where(t == 0, 0, t * log(np.where(t == 0, 1, p)))
    no = np.where(t == 1, 0, (1 - t) * log1p(np.where(t == 1, 0, -p)))
    return -(yes + no)


def binary_cross_entropy_backward(
    dloss: Numbers, p: Numbers, target: Numbers, *, reduction: str = "mean"
) -> tuple[Numbers, Numbers]:
    """(1 - t) / (1 - p) - t / p and log(1 - p) - log p, times dloss."""
    share = oracle.share(dloss, reduction, p.size)
    return (_over(1 - target, 1 - p) - _over(target, p)) * share, (log1p(-p) - log(p)) * share


def binary_cross_entropy_bound(
    p: Array, target: Array, *, reduction: str = "mean", u: float
) -> Array:
    losses = _binary_losses(p, target)
    errors = u * ((LOG_ULPS + 4) * losses + 2 * (1 - target))
    return _reduce(errors, losses, u, reduction, losses.size)


def binary_cross_entropy_backward_bound(
    dloss: Array, p: Array, target: Array, *, reduction: str = "mean", u: float
) -> Bounds:
    """Both terms are positive, and (p - t) / (p (1 - p)) cancels by as much as their sum."""
    share = abs(oracle.share(dloss, reduction, p.size))
    dp = (1 - target) / (1 - p) + target / p
    return 12 * u * dp * share, (LOG_ULPS + 8) * u * (abs(log(p)) + abs(log1p(-p)) + 1) * share


def kl_div_of_probabilities(q: Numbers, target: Numbers, *, reduction: str = "mean") -> Numbers:
    """p (log p - log q), reduced, with the target p."""
    return oracle.kl_div(log(q), target, reduction=reduction)


def kl_div_of_probabilities_backward(
    dloss: Numbers, q: Numbers, target: Numbers, *, reduction: str = "mean"
) -> tuple[Numbers, Numbers]:
    """-p / q and log p - log q + 1, times dloss."""
    _, dtarget = oracle.kl_div_backward(dloss, log(q), target, reduction)
    share = oracle.share(dloss, reduction, oracle.entries(q, reduction))
    return -_over(target, q) * share, dtarget


def kl_div_of_probabilities_bound(
    q: Array, target: Array, *, reduction: str = "mean", u: float
) -> Array:
    p = target
    terms = np.where(p == 0, 0, p * (abs(log(np.where(p == 0, 1, p))) + abs(log(q)) + 1))
    count = oracle.entries(q, reduction)
    return _reduce((LOG_ULPS + 6) * u * terms, terms, u, reduction, count)


def kl_div_of_probabilities_backward_bound(
    dloss: Array, q: Array, target: Array, *, reduction: str = "mean", u: float
) -> Bounds:
    share = abs(oracle.share(dloss, reduction, oracle.entries(q, reduction)))
    p = np.where(target == 0, 1, target)
    unit = (LOG_ULPS + 8) * u * share
    return unit * target / q, unit * (abs(log(p)) + abs(log(q)) + 1)


@dataclass(frozen=True)
class OfProbabilities(Op):
    """A row whose functions are in this file."""

    def find(self, part: str) -> Function | None:
        endings = {"ours": "", "backward": "_backward", "exact": "", "exact_backward": "_backward"}
        endings |= {"bound": "_bound", "backward_bound": "_backward_bound"}
        return globals()[f"{self.function}{endings[part]}"] if part in endings else None


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _sigmoid(z: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -z)), z.dtype)


def _row(name: str, first: str, like: str, squash: Callable[[Array], Array], *inputs: str) -> Op:
    """Return a row whose first array is the probabilities of those of another row."""
    row, logits = OPS[like], OPS[like].inputs[0]
    of_logits = logits == "z"

    def changed(case: Case) -> Case:
        z = case[logits]
        p = squash(z) if of_logits else np.exp(z)
        target = case["target"]
        target = np.maximum(target, 0) if target.dtype.kind == "i" else target
        return {first: p, "target": target, "reduction": case["reduction"]}

    def generate(draw: Draw, dtype: Dtype) -> Case:
        case = changed(row.generate(draw, dtype))
        return case | {"reduction": "mean" if case["reduction"] == "batchmean" else "none"}

    def example(z: Array, other: Array, rng: np.random.Generator) -> Case:
        case = changed(row.example(z, other, rng))
        return case | {"reduction": "mean"}

    return OfProbabilities(name, inputs, generate, example, extremes=row.extremes)


_CE = "cross_entropy_of_probabilities"
ROWS = [
    _row(_CE, "p", "cross_entropy", _softmax, "p"),
    _row(
        f"{_CE}, probabilities",
        "p",
        "cross_entropy, probabilities",
        _softmax,
        "p",
        "target",
    ),
    _row(
        "binary_cross_entropy",
        "p",
        "binary_cross_entropy_with_logits",
        _sigmoid,
        "p",
        "target",
    ),
    _row("kl_div_of_probabilities", "q", "kl_div", _softmax, "q", "target"),
]
ALL = {**OPS, **{row.name: row for row in ROWS}}
LABELS, SOFT = "cross_entropy", "cross_entropy, probabilities"
OTHERS = {  # what a function meant to be an operation may be as well
    LABELS: (_CE, "nll_loss"),
    SOFT: (f"{_CE}, probabilities",),
    "nll_loss": (_CE, LABELS),
    _CE: (LABELS, "nll_loss"),
    f"{_CE}, probabilities": (SOFT,),
    "binary_cross_entropy_with_logits": ("binary_cross_entropy",),
    "binary_cross_entropy": ("binary_cross_entropy_with_logits",),
    "kl_div": ("kl_div_of_probabilities",),
    "kl_div_of_probabilities": ("kl_div",),
    "linear": ("linear, without a bias",),
}
OF = {  # what the first array of a row is, in words
    "z": "logits",
    "log_p": "log-probabilities",
    "p": "probabilities",
    "log_q": "log-probabilities",
    "q": "probabilities",
}
