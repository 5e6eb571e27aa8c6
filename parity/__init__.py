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
    training/       a training compared with torch's, step by step; recorded trainings of torch
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
    from parity.checking import Report

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


def __dir__() -> list[str]:
    """Return what a user may want: the functions, and the modules by name."""
    import pkgutil

    own = [name for name in globals() if name.startswith("__")]
    return sorted([*own, "check", *(module.name for module in pkgutil.iter_modules(__path__))])
