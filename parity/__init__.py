"""The same models in PyTorch, and the proof that losses, gradients and parameters agree.

In reading order:

    bounds.py       how far apart two right answers can be: rounding-error bounds
    loss_bounds.py  the same for the losses, with all their options
    oracle/         the right answers, in arithmetic that has digits to spare
    verdict.py      a result, the right one, a tolerance, and the element that is worst off
    conventions.py  where torch differs from the textbook
    convert.py      θ <-> torch modules: the only place that transposes
    devices/        CPU or CUDA; precision and determinism, set and recorded
    later.py        torch, imported when first used
    strategies.py   the inputs that Hypothesis draws
    ops.py          the table of operations: ours, torch's, inputs, right answers, bounds
    right.py        one operation on one case: the right answers, and their bounds
    literal.py      values as Python, to the last bit
    search/         which side left its bound there, and the worst case of an operation
    data.py         DataLoader's minibatches, and how far resized floats may be off
    accuracy/       errors in ulps, and times, beside other libraries' and textbooks'
    steps/          one training step, judged: every operation on the inputs that torch's had
    lockstep/       the same model, start and batches on both sides, compared at every step
    report/         all that was found, as tables, pictures, JSON and HTML
    training/       the three modes of `parity train`, and SGD with every option
    golden/         recorded trainings of torch, checked with NumPy alone
    flaws/          bugs that people make, with their cause
    battery/        all checks of one operation, against anyone's function: `parity.check`
    mutants.py      every flaw through every check
    commands/       the commands of `python -m parity`, one a file

A folder's own docstring has the reading order of its files. `python -m parity` runs them: ops,
train, record, replay, accuracy, check and mutants.
"""

import os
from typing import Any

# Read when torch and CUDA start, so they are set before anything here imports torch.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # repeatable sums
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads leave the cores to NumPy's


def __getattr__(name: str) -> Any:
    """Import the battery when it is asked for: it brings the oracle and Hypothesis."""
    if name != "check":
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    from scratchnn.extras import need

    need("hypothesis", "check")
    need("mpmath", "check")
    return need("parity.battery", "check").check
