"""Softmax, cross-entropy and backpropagation from scratch, on NumPy arrays, without autograd.

In reading order:

    linear.py          Y = X W + b
    activations.py     relu, sigmoid
    softmax.py         softmax, log_softmax, logsumexp
    strictness.py      an undefined result as an error that names the row
    reductions.py      each loss of a batch, their mean, or their sum
    targets.py         what a classifier is asked for: one mass v for all options
    classification.py  negative log-likelihood and cross-entropy, from logits
    binary.py          the two-class form
    regression.py      squared losses, for "how much"
    robust.py          absolute and Huber losses, which outliers do not rule
    divergence.py      Kullback-Leibler, between distributions
    functional.py      all of these under torch's names: import scratchnn.functional as F
    information.py     entropy, cross-entropy and divergences of distributions
    gradcheck/         is a hand-written gradient right, and if not, why
    kronecker.py       a structured linear map with 1/n of the weights
    layers.py          dense and structured layers
    mlp.py             the flat parameter vector θ; forward and backpropagation
    sgd.py             minibatch SGD: θ -= learning_rate * grad
    metrics.py         accuracy, confusion matrix, precision and recall
    calibration.py     whether the probabilities are honest, and one number that mends them
    data/              IDX files, data sets, transforms, minibatches
    objectives.py      what a network is trained for
    distributed.py     the mean over processes that share each batch, in one message
    launch.py          being one of those processes
    train.py           fit and evaluate
    checkpoint.py      save and load
    recipes.py         the reference models by name
    plots.py           images, curves, confusion, reliability
    watch.py           a line an epoch, a progress bar, live curves, TensorBoard

Each operation f(...) has its hand-derived gradient f_backward(...) right below it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scratchnn import (
        calibration,
        checkpoint,
        data,
        functional,
        gradcheck,
        information,
        launch,
        metrics,
        mlp,
        recipes,
    )
    from scratchnn.metrics import accuracy
    from scratchnn.mlp import Parameters
    from scratchnn.sgd import SGD
    from scratchnn.strictness import strict
    from scratchnn.train import History, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "History",
    "Parameters",
    "accuracy",
    "calibration",
    "checkpoint",
    "data",
    "evaluate",
    "fit",
    "functional",
    "gradcheck",
    "information",
    "launch",
    "metrics",
    "mlp",
    "recipes",
    "strict",
]

_HOME = {
    "SGD": "sgd",
    "History": "train",
    "Parameters": "mlp",
    "accuracy": "metrics",
    "evaluate": "train",
    "fit": "train",
    "strict": "strictness",
}


def __getattr__(name: str) -> Any:
    """Import a part when it is first used (PEP 562): `import scratchnn` costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'scratchnn' has no attribute {name!r}")
    if name in _HOME:
        return getattr(import_module(f"scratchnn.{_HOME[name]}"), name)
    return import_module(f"scratchnn.{name}")


def __dir__() -> list[str]:
    return __all__
