"""Softmax, cross-entropy and backpropagation from scratch, on NumPy arrays, without autograd.

    from scratchnn import SGD, data, fit, mlp

    train, test = data.digits()
    network = mlp.init([64, 30, 10])
    history = fit(network, train, test, optimizer=SGD(0.5), batch_size=64)

The subject, in reading order:

    ops/             the maths: each operation with its hand-derived gradient right below it.
                     linear, activations, softmax, cross_entropy; then binary, regression,
                     divergence and kronecker; shared: what all of them use
    functional.py    all operations in one place: import scratchnn.functional as F
    layers.py        dense layers and activations; Kronecker layers (optional reading)
    mlp.py           the flat parameter vector θ; forward and backpropagation
    optim/           how a gradient changes θ: SGD, Adam, AdamW; schedules of the learning rate
    objectives.py    what a network is trained for: a loss with its options
    data/            data sets, minibatches, images; files and streams
    train.py         fit and evaluate: the loop over minibatches
    history.py       what a training records
    shown.py         how a history shows itself; optional reading
    fast.py          the same steps through SciPy's BLAS; optional reading
    threads.py       how many threads the matrix products take; optional reading

Around the subject:

    information.py   entropy, cross-entropy and divergences of distributions
    metrics.py       accuracy, confusion matrix, precision and recall
    calibration.py   are the probabilities reliable? temperature scaling
    gradcheck/       is a hand-written gradient right, and if not, why?
    strictness.py    strict(f) raises where f would return NaN
    distributed/     training shared by the processes of mpiexec
    examine.py       every answer of a classifier: probabilities, mistakes
    plots/           pictures: curves, confusion, reliability, weights, mistakes, losses
    interchange/     to torch and others, and back: safetensors, ONNX
    run/             recipes, run folders and checkpoints, watching, and the command line
    extras.py        optional packages, and the error that names the extra
"""

from scratchnn import (
    calibration,
    data,
    examine,
    functional,
    gradcheck,
    information,
    interchange,
    metrics,
    mlp,
    plots,
)
from scratchnn.distributed import launch
from scratchnn.history import History
from scratchnn.metrics import accuracy
from scratchnn.mlp import Parameters
from scratchnn.optim import SGD, Adam, AdamW
from scratchnn.run import checkpoint, recipes
from scratchnn.run.folder import RunFolder, resume
from scratchnn.strictness import strict
from scratchnn.train import evaluate, fit

__version__ = "0.2.0"

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "History",
    "Parameters",
    "RunFolder",
    "accuracy",
    "calibration",
    "checkpoint",
    "data",
    "evaluate",
    "examine",
    "fit",
    "functional",
    "gradcheck",
    "information",
    "interchange",
    "launch",
    "metrics",
    "mlp",
    "plots",
    "recipes",
    "resume",
    "strict",
]
