"""Softmax, cross-entropy and backpropagation from scratch, on NumPy arrays, without autograd.

The subject, in reading order:

    ops/             the maths: each operation with its hand-derived gradient right below it.
                     softmax, cross_entropy, binary, regression, divergence, linear, kronecker,
                     activations, and what they share
    functional.py    all operations under torch's names: import scratchnn.functional as F
    layers.py        dense and structured layers, activations
    mlp.py           the flat parameter vector θ; forward and backpropagation
    optim/           minibatch SGD: θ -= learning_rate * grad; and what else follows its protocol
    objectives.py    what a network is trained for: a loss with its options
    data/            IDX files, folders, data sets, transforms, minibatches, streams
    train.py         fit and evaluate: the loop over minibatches

Around the subject:

    information.py   entropy, cross-entropy and divergences of distributions
    metrics.py       accuracy, confusion matrix, precision and recall
    calibration.py   whether the probabilities are honest, and one number that mends them
    gradcheck/       is a hand-written gradient right, and if not, why?
    strictness.py    strict: an undefined result as an error that names the row
    distributed/     training shared by the processes of mpiexec
    plots.py         images, curves, confusion, reliability
    run/             recipes, checkpoints, watching, and the command line
    extras.py        optional packages, and the error that names the extra
"""

from scratchnn import calibration, data, functional, gradcheck, information, metrics, mlp, plots
from scratchnn.distributed import launch
from scratchnn.metrics import accuracy
from scratchnn.mlp import Parameters
from scratchnn.optim import SGD
from scratchnn.run import checkpoint, recipes
from scratchnn.strictness import strict
from scratchnn.train import History, evaluate, fit

__version__ = "0.2.0"

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
    "plots",
    "recipes",
    "strict",
]
