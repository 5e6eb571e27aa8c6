"""The same operations in every library: ours, torch, SciPy, JAX, scikit-learn, and textbooks.

Ours and torch's are those of the row. Any other library is a small table of what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import TypeAlias

import numpy as np

from parity.cases import Case
from parity.judge import run_torch
from parity.ops import Op, as_tuple
from scratchnn.ops.shared import AnyArray, Array, IntArray

Result: TypeAlias = tuple[Array | None, Array | None]
# Takes a row, a case of it and the upstream gradient; returns the value and the gradient in z, or
# None for what the library does not have.
Library: TypeAlias = Callable[[Op, Case, Array], Result]
Functions: TypeAlias = Mapping[str, Callable[..., Array]]

PACKAGES = {"torch": "torch", "SciPy": "scipy", "JAX": "jax", "scikit-learn": "scikit-learn"}
SOFT = "cross_entropy, probabilities"
BCE = "binary_cross_entropy_with_logits"


@dataclass(frozen=True)
class Table:
    """A library as two tables, by the names of rows.

    values      functions of (z), or of (z, target)
    gradients   functions of (dy, z), or of (dy, z, target)
    """

    values: Functions
    gradients: Functions = field(default_factory=dict)

    def __call__(self, op: Op, case: Case, dy: Array) -> Result:
        """Return the value and the gradient, as far as they are in the tables."""
        arguments = [case[name] for name in op.arguments]
        value, gradient = self.values.get(op.name), self.gradients.get(op.name)
        return (
            None if value is None else np.asarray(value(*arguments)),
            None if gradient is None else np.asarray(gradient(dy, *arguments)),
        )


def load(name: str) -> Library | None:
    """Return a library, or None where it is not installed."""
    try:
        return LIBRARIES[name]()
    except ModuleNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the version of each installed package."""
    return {package: version(package) for name, package in PACKAGES.items() if load(name)}


def ours() -> Library:
    """Return scratchnn's operations."""
    return lambda op, case, dy: (op.ours(**case), as_tuple(op.backward(dy, **case))[0])


def of_torch() -> Library:
    """Return torch's operations on the CPU, with the gradients of its autograd."""
    import_module("torch")

    def run(op: Op, case: Case, dy: Array) -> Result:
        value, dz, *_ = run_torch(op, case, dy)
        return value, dz

    return run


def of_scipy() -> Library:
    """Return what scipy.special has; it has no gradients."""
    special = import_module("scipy.special")
    log_softmax = special.log_softmax
    return Table(
        {
            "softmax": lambda z: special.softmax(z, axis=-1),
            "log_softmax": lambda z: log_softmax(z, axis=-1),
            "logsumexp": lambda z: special.logsumexp(z, axis=-1),
            "cross_entropy": lambda z, t: _of_labels(log_softmax(z, axis=-1), t),
            SOFT: lambda z, t: -(t * log_softmax(z, axis=-1)).sum(axis=-1),
            "sigmoid": special.expit,
            BCE: lambda z, t: -(t * special.log_expit(z) + (1 - t) * special.log_expit(-z)),
        }
    )


def of_jax() -> Library:
    """Return jax.nn's operations on the CPU, with the gradients of its autodiff."""
    jax = import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    nn = jax.nn
    values: Functions = {
        "softmax": nn.softmax,
        "log_softmax": nn.log_softmax,
        "logsumexp": lambda z: nn.logsumexp(z, axis=-1),
        "cross_entropy": lambda z, t: _of_labels(nn.log_softmax(z), t),
        SOFT: lambda z, t: -(t * nn.log_softmax(z)).sum(axis=-1),
        "sigmoid": nn.sigmoid,
        BCE: lambda z, t: -(t * nn.log_sigmoid(z) + (1 - t) * nn.log_sigmoid(-z)),
    }

    def gradient(f: Callable[..., Array]) -> Callable[..., Array]:
        def pull_back(dy: Array, z: Array, *target: AnyArray) -> Array:
            _, vjp = jax.vjp(lambda z: f(z, *target), jax.numpy.asarray(z))
            return vjp(jax.numpy.asarray(dy))[0]

        return pull_back

    return Table(values, {name: gradient(f) for name, f in values.items()})


def of_sklearn() -> Library:
    """Return scikit-learn's softmax, and the losses of its linear models and boosted trees."""
    extmath = import_module("sklearn.utils.extmath")
    loss = import_module("sklearn._loss.loss")

    def multinomial(z: Array, t: IntArray) -> tuple[Array, Array]:
        f = loss.HalfMultinomialLoss(n_classes=z.shape[1])
        return f.loss_gradient(t.astype(z.dtype), np.ascontiguousarray(z))

    def binomial(z: Array, t: Array) -> tuple[Array, Array]:
        value, dz = loss.HalfBinomialLoss().loss_gradient(t.ravel(), z.ravel())
        return value.reshape(z.shape), dz.reshape(z.shape)

    return Table(
        {
            "softmax": lambda z: extmath.softmax(z),
            "cross_entropy": lambda z, t: multinomial(z, t)[0],
            BCE: lambda z, t: binomial(z, t)[0],
        },
        {
            "cross_entropy": lambda dy, z, t: multinomial(z, t)[1] * dy[:, None],
            BCE: lambda dy, z, t: binomial(z, t)[1] * dy,
        },
    )


# The formulas as they stand in most textbooks, with the maximum subtracted


def _of_labels(log_p: Array, t: IntArray) -> Array:
    """-log p_t."""
    return -log_p[np.arange(len(t)), t]


def _softmax(z: Array) -> Array:
    """exp(z - m) / Σ exp(z - m)."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _softmax_gradient(dp: Array, z: Array) -> Array:
    """p (dp - Σ dp p)."""
    p = _softmax(z)
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def _logsumexp(z: Array) -> Array:
    """m + log Σ exp(z - m)."""
    m = z.max(axis=-1)
    return m + np.log(np.exp(z - m[:, None]).sum(axis=-1))


def _log_softmax(z: Array) -> Array:
    """z - logsumexp z."""
    return z - _logsumexp(z)[:, None]


def _minus_onehot(dloss: Array, z: Array, t: IntArray) -> Array:
    """(p - onehot) dloss."""
    dz = _softmax(z)
    dz[np.arange(len(dz)), t] -= 1
    return dz * dloss[:, None]


def _sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def _bce(z: Array, t: Array) -> Array:
    """(1 - t) z + max(-z, 0) + log(1 + exp(-|z|))."""
    return (1 - t) * z + np.maximum(-z, 0) + np.log(1 + np.exp(-abs(z)))


def textbook() -> Library:
    """Return the textbooks' formulas."""
    return Table(
        {
            "softmax": _softmax,
            "log_softmax": _log_softmax,
            "logsumexp": _logsumexp,
            "cross_entropy": lambda z, t: _of_labels(_log_softmax(z), t),
            SOFT: lambda z, t: -(t * _log_softmax(z)).sum(axis=-1),
            "sigmoid": _sigmoid,
            BCE: _bce,
        },
        {
            "softmax": _softmax_gradient,
            "log_softmax": lambda dy, z: dy - _softmax(z) * dy.sum(axis=-1, keepdims=True),
            "logsumexp": lambda dy, z: np.exp(_log_softmax(z)) * dy[:, None],
            "cross_entropy": _minus_onehot,
            SOFT: lambda dy, z, t: (_softmax(z) - t) * dy[:, None],
            "sigmoid": lambda dy, z: dy * _sigmoid(z) * (1 - _sigmoid(z)),
            BCE: lambda dy, z, t: dy * (_sigmoid(z) - t),
        },
    )


LIBRARIES: dict[str, Callable[[], Library]] = {
    "ours": ours,
    "torch": of_torch,
    "SciPy": of_scipy,
    "JAX": of_jax,
    "scikit-learn": of_sklearn,
    "textbook": textbook,
}
