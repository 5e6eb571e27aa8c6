"""The same models in PyTorch, and the proof that losses, gradients and parameters agree.

In reading order:

    digits.py       arithmetic with digits to spare
    oracle.py       the right answer of each operation
    bounds.py       how far rounding may lead away from it
    loss_bounds.py  the same for the losses
    theirs.py       torch's side of each operation; where it differs from the textbook
    cases.py        the inputs of each operation: generated, plain and extreme ones
    ops.py          the table of operations
    judge.py        one operation on one case, three ways: ours, torch's, the right answer
    convert.py      θ <-> torch modules
    devices.py      CPU, CUDA, TF32, threads, the environment
    search.py       the worst case of an operation, the smallest failure, its reproduction
    training/       a training compared with torch's, step by step; recorded trainings of torch;
                    anyone's network and step: `parity.train`, `parity.check_step`
    flaws/          bugs that people make, with their cause
    checking/       anyone's function: `parity.check`
    accuracy/       errors in ulps, compared with other libraries and textbooks
    report.py       one report as text, JSON and HTML
    cli.py          the commands of `python -m parity`

A folder's own docstring has the reading order of its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import ArrayLike, DTypeLike

    from parity.checking import Report
    from parity.training.own import Network, Step, StepReport
    from parity.training.report import Lockstep
    from scratchnn.objectives import Objective
    from scratchnn.optim import Optimizer

# torch and CUDA read these when they start, so they are set before anything here imports torch.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # repeatable sums
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads leave the cores to NumPy's


def check(
    function: Callable[..., object],
    op: str,
    backward: Callable[..., object] | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    order: Sequence[str] | None = None,
    as_torch: bool = False,
    show_output: bool = False,
) -> Report:
    """Check an implementation of an operation, and its backward, against the right answers.

        print(parity.check(softmax, "softmax", backward=softmax_backward))
        parity.check(Loss, "cross_entropy").assert_right()

    First it finds out how the function is meant: which argument is what, indices or one-hot,
    logits or probabilities, rows or columns, mean or sum. Then it judges by that.

    Options  function     a function, a class, a method, or a function of torch's tensors
             op           a row of the table, as "softmax" or "cross_entropy, probabilities"
             backward     its gradient; default: that of the class, or what is returned second
             settings     the values of options that it does not take, as {"reduction": "none"}
             order        what the arguments are, as ("target", "prediction"); default: by name
             as_torch     judge by torch's conventions alone
             show_output  let what the function prints appear
    Raises   ValueError for an unknown operation or option, or a function of other arguments;
             MissingExtraError where mpmath is not installed
    """
    from scratchnn.extras import need

    need("mpmath", "check")
    from parity import checking

    return checking.check(
        function,
        op,
        backward,
        settings=settings,
        order=order,
        as_torch=as_torch,
        show_output=show_output,
    )


def train(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    optimizer: Optimizer,
    objective: str | Objective = "cross_entropy",
    epochs: int = 1,
    batch_size: int = 32,
    activation: str = "relu",
    seed: int = 1,
    dtype: DTypeLike = "float64",
    device: str = "cpu",
) -> Lockstep:
    """Train a network in NumPy and in torch, and compare each step: `report.holds`.

        report = parity.train([64, 20, 10], X, y, optimizer=SGD(0.1, momentum=0.9))
        print(report)

    Both sides get the same parameters and batches. Each operation of each step gets the numbers
    that torch's had, and must be within the bound of its rounding errors; so must the whole step.
    Nothing that is given is changed.

    Shapes   X (N, ...), y (N,) class indices, or real numbers (N,) or (N, K)
    Options  network      the sizes [D, H_1, ..., C], or layers, or parameters from `mlp.init`
             optimizer    SGD, Adam or AdamW with all their options; its state is left aside
             objective    the loss, by name or as an object of scratchnn.objectives
             epochs       how often each example is used
             batch_size   how many examples a step uses; the last batch may be shorter
             activation   the name of the layer after each hidden one, of a network given by sizes
             seed         of the initial parameters and the order of the examples
             dtype        the precision of the training, "float32" or "float64"
             device       where torch computes, "cpu" or "cuda"
    Raises   ValueError for data that do not fit the network, or for a layer, an objective or an
             optimizer that parity has no bounds for; MissingExtraError where torch is missing
    """
    options: dict[str, object] = {"optimizer": optimizer, "objective": objective, "epochs": epochs}
    options |= {"batch_size": batch_size, "activation": activation, "seed": seed, "dtype": dtype}
    result: Lockstep = _own().train(network, X, y, device, **options)
    return result


def check_step(
    step: Step,
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    optimizer: Optimizer | None = None,
    objective: str | Objective = "cross_entropy",
    epochs: int = 1,
    batch_size: int = 32,
    activation: str = "relu",
    seed: int = 1,
    dtype: DTypeLike = "float64",
    device: str = "cpu",
    arrays: bool = False,
) -> StepReport:
    """Compare a step of your own with torch's: `step(theta, X, y)` returns (loss, gradient).

        print(parity.check_step(step, [64, 20, 10], X, y))

    torch trains the network. In each step yours gets θ as torch has it, and the batch. Its loss and
    the gradient of each W and b must be within their bounds. The report says which is wrong first,
    in the order of backpropagation, and in which way. The gradient may have the form of θ, or be a
    list of arrays, [dW_1, db_1, dW_2, ...].

    Shapes   as of `train`; W (D, H), b (H,), θ = [W_1, b_1, W_2, ...], each W in rows
    Options  step      the function to check; it gets copies of θ
             arrays    whether θ is a list of arrays [W_1, b_1, W_2, ...], and not one vector
             optimizer with which torch trains; default: SGD(0.1)
             network, objective, epochs, batch_size, activation, seed, dtype, device   as of `train`
    Raises   ValueError for what `train` refuses, and for a gradient of another shape
    """
    from scratchnn.optim import SGD

    options: dict[str, object] = {"optimizer": optimizer or SGD(0.1), "objective": objective}
    options |= {"epochs": epochs, "batch_size": batch_size, "activation": activation}
    options |= {"seed": seed, "dtype": dtype, "arrays": arrays}
    report: StepReport = _own().check_step(step, network, X, y, device, **options)
    return report


def _own() -> ModuleType:
    from scratchnn.extras import need

    need("torch", "torch")
    from parity.training import own

    return own


def __dir__() -> list[str]:
    """Return what a user may want: the functions, and the modules by name."""
    import pkgutil

    public = ["check", "check_step", "train"]
    own = [name for name in globals() if name.startswith("__")]
    return sorted([*own, *public, *(module.name for module in pkgutil.iter_modules(__path__))])
