"""The same operations in every library: ours, torch, SciPy, JAX, scikit-learn, and textbooks.

Ours and torch's are those of the row. Any other library is a small table of what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import TypeAlias

import numpy as np

from parity.cases import Case
from parity.judge import run_torch
from parity.ops import Op, as_tuple
from scratchnn.ops.shared import AnyArray, Array, IntArray

# Takes a row, a case of it and the upstream gradient; returns the value and the gradient in z, or
# None for what the library does not have.
Library: TypeAlias = Callable[[Op, Case, Array], Sequence[Array | None]]
Function: TypeAlias = Callable[..., Array]

PACKAGES = {"torch": "torch", "SciPy": "scipy", "JAX": "jax", "scikit-learn": "scikit-learn"}
SOFT = "cross_entropy, probabilities"
BCE = "binary_cross_entropy_with_logits"


def load(name: str) -> Library | None:
    try:
        return LIBRARIES[name]()
    except ModuleNotFoundError:
        return None


def versions() -> dict[str, str]:
    return {package: version(package) for name, package in PACKAGES.items() if load(name)}


def of_tables(values: Mapping[str, Function], gradients: Mapping[str, Function]) -> Library:
    """Return a library of functions of (z[, target]) and (dy, z[, target]), by row."""

    def run(op: Op, case: Case, dy: Array) -> list[Array | None]:
        z = [case[name] for name in op.arguments]
        calls = (values.get(op.name), z), (gradients.get(op.name), [dy, *z])
        return [np.asarray(f(*arguments)) if f else None for f, arguments in calls]

    return run


def ours() -> Library:
    return lambda op, case, dy: (op.ours(**case), as_tuple(op.backward(dy, **case))[0])


def of_torch() -> Library:
    import_module("torch")
    return lambda op, case, dy: run_torch(op, case, dy)[:2]


def of_scipy() -> Library:
    """Return what scipy.special has; it has no gradients."""
    special = import_module("scipy.special")
    log_softmax = partial(special.log_softmax, axis=-1)
    values = {
        "softmax": partial(special.softmax, axis=-1),
        "log_softmax": log_softmax,
        "logsumexp": partial(special.logsumexp, axis=-1),
        "sigmoid": special.expit,
        BCE: lambda z, t: -(t * special.log_expit(z) + (1 - t) * special.log_expit(-z)),
        **_losses(log_softmax),
    }
    return of_tables(values, {})


def of_jax() -> Library:
    """Return jax.nn's operations on the CPU, with the gradients of its autodiff."""
    jax = import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    nn = jax.nn
    values = {
        "softmax": nn.softmax,
        "log_softmax": nn.log_softmax,
        "logsumexp": partial(nn.logsumexp, axis=-1),
        "sigmoid": nn.sigmoid,
        BCE: lambda z, t: -(t * nn.log_sigmoid(z) + (1 - t) * nn.log_sigmoid(-z)),
        **_losses(nn.log_softmax),
    }

    def gradient(f: Function, dy: Array, z: Array, *target: AnyArray) -> Array:
        _, vjp = jax.vjp(lambda z: f(z, *target), jax.numpy.asarray(z))
        return vjp(jax.numpy.asarray(dy))[0]

    def exact(f: Function) -> Function:
        def called(*arguments: AnyArray) -> Array:
            with jax.enable_x64(True):  # or JAX would round float64 to float32
                return np.asarray(f(*arguments))

        return called

    return of_tables(
        {name: exact(f) for name, f in values.items()},
        {name: exact(partial(gradient, f)) for name, f in values.items()},
    )


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

    return of_tables(
        {
            "softmax": extmath.softmax,
            "cross_entropy": lambda z, t: multinomial(z, t)[0],
            BCE: lambda z, t: binomial(z, t)[0],
        },
        {
            "cross_entropy": lambda dy, z, t: multinomial(z, t)[1] * dy[:, None],
            BCE: lambda dy, z, t: binomial(z, t)[1] * dy,
        },
    )


def _losses(log_softmax: Function) -> dict[str, Function]:
    """Return the losses by their definitions, for libraries that have log_softmax alone."""
    return {
        "cross_entropy": lambda z, t: -log_softmax(z)[np.arange(len(t)), t],
        SOFT: lambda z, t: -(t * log_softmax(z)).sum(axis=-1),
    }


# The formulas as they stand in most textbooks, with the maximum subtracted


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _onehot(z: Array, t: IntArray) -> Array:
    return np.eye(z.shape[1], dtype=z.dtype)[t]


def _softmax_gradient(dp: Array, z: Array) -> Array:
    p = _softmax(z)
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def _logsumexp(z: Array) -> Array:
    m = z.max(axis=-1)
    return m + np.log(np.exp(z - m[:, None]).sum(axis=-1))


def _log_softmax(z: Array) -> Array:
    return z - _logsumexp(z)[:, None]


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def textbook() -> Library:
    values: dict[str, Function] = {
        "softmax": _softmax,
        "log_softmax": _log_softmax,
        "logsumexp": _logsumexp,
        "sigmoid": _sigmoid,
        BCE: lambda z, t: (1 - t) * z + np.maximum(-z, 0) + np.log(1 + np.exp(-abs(z))),
        **_losses(_log_softmax),
    }
    gradients: dict[str, Function] = {
        "softmax": _softmax_gradient,
        "log_softmax": lambda dy, z: dy - _softmax(z) * dy.sum(axis=-1, keepdims=True),
        "logsumexp": lambda dy, z: np.exp(_log_softmax(z)) * dy[:, None],
        "cross_entropy": lambda dy, z, t: (_softmax(z) - _onehot(z, t)) * dy[:, None],
        SOFT: lambda dy, z, t: (_softmax(z) - t) * dy[:, None],
        "sigmoid": lambda dy, z: dy * _sigmoid(z) * (1 - _sigmoid(z)),
        BCE: lambda dy, z, t: dy * (_sigmoid(z) - t),
    }
    return of_tables(values, gradients)


LIBRARIES: dict[str, Callable[[], Library]] = {
    "ours": ours,
    "torch": of_torch,
    "SciPy": of_scipy,
    "JAX": of_jax,
    "scikit-learn": of_sklearn,
    "textbook": textbook,
}
