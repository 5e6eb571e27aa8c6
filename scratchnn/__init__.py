"""Softmax, cross-entropy and backpropagation from scratch, on NumPy arrays, without autograd.

In reading order:

    linear.py          Y = X W + b
    activations.py     relu, sigmoid
    softmax.py         softmax, log_softmax, logsumexp
    classification.py  cross-entropy from logits, and its two-class form
    regression.py      squared loss
    functional.py      all of these under torch's names: import scratchnn.functional as F
    gradcheck/         is a hand-written gradient right, and if not, why
    kronecker.py       a structured linear map with 1/n of the weights
    layers.py          dense and structured layers
    mlp.py             the flat parameter vector θ; forward and backpropagation
    sgd.py             minibatch SGD: θ -= learning_rate * grad
    metrics.py         accuracy
    data/              IDX files, data sets, transforms, minibatches
    objectives.py      what a network is trained for
    train.py           fit and evaluate
    recipes.py         the reference models by name

Each operation f(...) has its hand-derived gradient f_backward(...) right below it.
"""

from typing import TYPE_CHECKING, Any

from scratchnn import checkpoint, data, functional, mlp, recipes
from scratchnn.metrics import accuracy
from scratchnn.mlp import Parameters
from scratchnn.sgd import SGD
from scratchnn.train import History, evaluate, fit

if TYPE_CHECKING:
    import scratchnn.gradcheck as gradcheck

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "History",
    "Parameters",
    "accuracy",
    "checkpoint",
    "data",
    "evaluate",
    "fit",
    "functional",
    "gradcheck",
    "mlp",
    "recipes",
]


def __getattr__(name: str) -> Any:
    """Import gradcheck when it is first asked for: training has no use for it."""
    if name != "gradcheck":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("scratchnn.gradcheck")
