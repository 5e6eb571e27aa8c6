"""The same models in PyTorch, and the proof that losses, gradients and parameters agree.

In reading order:

    bounds.py       how far apart two right answers can be: rounding-error bounds
    loss_bounds.py  the same for the losses, with all their options
    digits.py       arithmetic that has digits to spare
    verdict.py      a result, the right one, a tolerance, and the element that is worst off
    conventions.py  where torch differs from the textbook
    convert.py      θ <-> torch modules: the only place that transposes
    tf32.py         products of 10 bits, to be refused
    devices.py      CPU or CUDA; precision and determinism, set and recorded
    later.py        torch, imported when first used
    strategies.py   the inputs that Hypothesis draws
    oracle.py       the right answers, with digits to spare
    loss_oracle.py  the same for the losses
    ops.py          the table of operations: ours, torch's, inputs, right answers, bounds
    right.py        one operation on one case: the right answers, and their bounds
    judge.py        which side left its bound there
    literal.py      values as Python, to the last bit
    reproduction.py a few lines of Python that show again what was found
    search.py       the worst case of an operation
    data.py         DataLoader's minibatches, and how far resized floats may be off
    answers.py      the right answers of the accuracy table
    textbook.py     the formulas of most textbooks, to measure against
    libraries.py    the same operations in torch, SciPy, JAX, scikit-learn and textbooks
    accuracy.py     everybody's errors in ulps, and what ours may be
    trace.py        all that torch computed in a training step
    formulas.py     how one number of a step is computed, in NumPy and in torch
    elements.py     what one number of a step is made of
    checks.py       one quantity of a step, ours and torch's, compared
    objective_bounds.py  the objectives' errors, and how errors of z pass through them
    spread.py       how the errors of a step are handed on from layer to layer
    network.py      a whole step of ours, from torch's parameters
    steps.py        a step, judged: every operation of ours on the inputs that torch's had
    golden.py       recorded trainings of torch, as files
    replay.py       those, checked with NumPy alone
    torch_side.py   a step in torch
    culprit.py      what left its bound first, on which side, and how to see it again
    lockstep.py     the same model, start and batches on both sides, compared at every step
    free_run.py     both trained freely, beside torch and torch with a weight moved by one ulp
    paired.py       final accuracies over paired seeds
    record.py       recording torch
    report.py       tables, JSON and pictures of that
    page.py         any command's findings as JSON and as one HTML page
    ops_report.py   what the search found: lines, a verdict, a page
    speed.py        cross-entropy's time beside the textbook's
    saving.py       what `parity train` saves
    modes.py        the three modes of `parity train`
    flaws/          bugs that people make, with their cause
    battery/        all checks of one operation, against anyone's function: `parity.check`
    optimizer.py    SGD beside torch.optim.SGD, with every option
    mutants.py      every flaw through every check

`python -m parity` runs them: ops, train, record, replay, accuracy, check and mutants.
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
