"""The same operations in every library: ours, the textbook's, torch, SciPy, JAX, scikit-learn.

A library is a table of functions from `Inputs` to an array; what it does not have is not in it.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np

import scratchnn.functional as F
from parity.accuracy import textbook
from parity.accuracy.answers import SOFT, Inputs
from scratchnn.arrays import Array

Library: TypeAlias = dict[str, Callable[[Inputs], Array]]

PACKAGES = {"torch": "torch", "SciPy": "scipy", "JAX": "jax", "scikit-learn": "scikit-learn"}


def load(name: str) -> Library | None:
    """Return a library's table, or None where it is not installed."""
    try:
        return LIBRARIES[name]()
    except ModuleNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the version of each installed package."""
    return {package: version(package) for name, package in PACKAGES.items() if load(name)}


def _rows(log_p: Any, target: Any) -> Any:
    return -log_p[np.arange(len(target)), target]


def ours() -> Library:
    """Return scratchnn's operations."""

    def bce(name: str) -> Library:
        def t(i: Inputs) -> Array:
            return i.yes if name == "bce, t in {0, 1}" else i.share

        return {
            name: lambda i: F.binary_cross_entropy_with_logits(i.z, t(i), reduction="none"),
            f"{name} gradient": lambda i: F.binary_cross_entropy_with_logits_backward(
                i.dy, i.z, t(i), reduction="none"
            ),
        }

    return {
        "softmax": lambda i: F.softmax(i.z),
        "softmax gradient": lambda i: F.softmax_backward(i.dy, F.softmax(i.z)),
        "log_softmax": lambda i: F.log_softmax(i.z),
        "log_softmax gradient": lambda i: F.log_softmax_backward(i.dy, F.log_softmax(i.z)),
        "logsumexp": lambda i: F.logsumexp(i.z),
        "logsumexp gradient": lambda i: F.logsumexp_backward(i.dloss, i.z),
        "cross_entropy": lambda i: F.cross_entropy(i.z, i.target, reduction="none"),
        "cross_entropy gradient": lambda i: F.cross_entropy_backward(
            i.dloss, i.z, i.target, reduction="none"
        ),
        SOFT: lambda i: F.cross_entropy(i.z, i.likely, reduction="none"),
        f"{SOFT} gradient": lambda i: F.cross_entropy_backward(
            i.dloss, i.z, i.likely, reduction="none"
        ),
        "sigmoid": lambda i: F.sigmoid(i.z),
        "sigmoid gradient": lambda i: F.sigmoid_backward(i.dy, i.z),
        **bce("bce, t in {0, 1}"),
        **bce("bce, t in (0, 1)"),
    }


def of_torch() -> Library:
    """Return torch's operations, with the gradients of its autograd."""
    torch = import_module("torch")
    functional = torch.nn.functional

    def both(name: str, f: Callable[..., Any], dy: str, *targets: str) -> Library:
        def run(i: Inputs) -> tuple[Any, Any]:
            z = torch.tensor(i.z, requires_grad=True)
            return z, f(z, *(torch.tensor(getattr(i, target)) for target in targets))

        def gradient(i: Inputs) -> Array:
            z, y = run(i)
            return torch.autograd.grad(y, z, torch.tensor(getattr(i, dy)))[0].numpy()

        return {name: lambda i: run(i)[1].detach().numpy(), f"{name} gradient": gradient}

    def bce(z: Any, t: Any) -> Any:
        return functional.binary_cross_entropy_with_logits(z, t, reduction="none")

    def cross_entropy(z: Any, t: Any) -> Any:
        return functional.cross_entropy(z, t, reduction="none")

    return (
        both("softmax", lambda z: torch.softmax(z, -1), "dy")
        | both("log_softmax", lambda z: torch.log_softmax(z, -1), "dy")
        | both("logsumexp", lambda z: torch.logsumexp(z, -1), "dloss")
        | both("cross_entropy", cross_entropy, "dloss", "target")
        | both(SOFT, cross_entropy, "dloss", "likely")
        | both("sigmoid", torch.sigmoid, "dy")
        | both("bce, t in {0, 1}", bce, "dy", "yes")
        | both("bce, t in (0, 1)", bce, "dy", "share")
    )


def of_scipy() -> Library:
    """Return what scipy.special has; it has no gradients."""
    special = import_module("scipy.special")

    def bce(z: Array, t: Array) -> Array:
        return -(t * special.log_expit(z) + (1 - t) * special.log_expit(-z))

    return {
        "softmax": lambda i: special.softmax(i.z, axis=-1),
        "log_softmax": lambda i: special.log_softmax(i.z, axis=-1),
        "logsumexp": lambda i: special.logsumexp(i.z, axis=-1),
        "cross_entropy": lambda i: _rows(special.log_softmax(i.z, axis=-1), i.target),
        SOFT: lambda i: -(i.likely * special.log_softmax(i.z, axis=-1)).sum(axis=-1),
        "sigmoid": lambda i: special.expit(i.z),
        "bce, t in {0, 1}": lambda i: bce(i.z, i.yes),
        "bce, t in (0, 1)": lambda i: bce(i.z, i.share),
    }


def of_jax() -> Library:
    """Return jax.nn's operations on the CPU, with the gradients of its autodiff."""
    jax = import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)

    def both(name: str, f: Callable[..., Any], dy: str, target: str | None = None) -> Library:
        def apply(i: Inputs) -> Callable[[Any], Any]:
            return lambda z: f(z, getattr(i, target)) if target else f(z)

        def gradient(i: Inputs) -> Array:
            _, pull_back = jax.vjp(apply(i), jax.numpy.asarray(i.z))
            return np.asarray(pull_back(jax.numpy.asarray(getattr(i, dy)))[0])

        return {name: lambda i: np.asarray(apply(i)(i.z)), f"{name} gradient": gradient}

    def cross_entropy(z: Any, t: Any) -> Any:
        return _rows(jax.nn.log_softmax(z), t)

    def of_distribution(z: Any, t: Any) -> Any:
        return -(t * jax.nn.log_softmax(z)).sum(axis=-1)

    def bce(z: Any, t: Any) -> Any:
        return -(t * jax.nn.log_sigmoid(z) + (1 - t) * jax.nn.log_sigmoid(-z))

    return (
        both("softmax", jax.nn.softmax, "dy")
        | both("log_softmax", jax.nn.log_softmax, "dy")
        | both("logsumexp", lambda z: jax.nn.logsumexp(z, axis=-1), "dloss")
        | both("cross_entropy", cross_entropy, "dloss", "target")
        | both(SOFT, of_distribution, "dloss", "likely")
        | both("sigmoid", jax.nn.sigmoid, "dy")
        | both("bce, t in {0, 1}", bce, "dy", "yes")
        | both("bce, t in (0, 1)", bce, "dy", "share")
    )


def of_sklearn() -> Library:
    """Return scikit-learn's softmax, and the losses of its linear models and boosted trees."""
    extmath = import_module("sklearn.utils.extmath")
    loss = import_module("sklearn._loss.loss")

    def multinomial(i: Inputs) -> tuple[Array, Array]:
        f = loss.HalfMultinomialLoss(n_classes=i.z.shape[1])
        value, dz = f.loss_gradient(i.target.astype(i.z.dtype), np.ascontiguousarray(i.z))
        return value, dz * i.dloss[:, None]

    def binomial(i: Inputs, t: Array) -> tuple[Array, Array]:
        value, dz = loss.HalfBinomialLoss().loss_gradient(t.ravel(), i.z.ravel())
        return value.reshape(i.z.shape), dz.reshape(i.z.shape) * i.dy

    return {
        "softmax": lambda i: extmath.softmax(i.z),
        "cross_entropy": lambda i: multinomial(i)[0],
        "cross_entropy gradient": lambda i: multinomial(i)[1],
        "bce, t in {0, 1}": lambda i: binomial(i, i.yes)[0],
        "bce, t in (0, 1)": lambda i: binomial(i, i.share)[0],
        "bce, t in {0, 1} gradient": lambda i: binomial(i, i.yes)[1],
        "bce, t in (0, 1) gradient": lambda i: binomial(i, i.share)[1],
    }


LIBRARIES: dict[str, Callable[[], Library]] = {
    "ours": ours,
    "torch": of_torch,
    "SciPy": of_scipy,
    "JAX": of_jax,
    "scikit-learn": of_sklearn,
    "textbook": textbook.library,
}
