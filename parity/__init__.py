"""The same models in PyTorch, and the proof that losses, gradients and parameters agree.

In reading order:

    bounds.py       how far apart two right answers can be: rounding-error bounds
    loss_bounds.py  the same for the losses, with all their options
    verdict.py      two arrays, a tolerance, and the element that is worst off
    conventions.py  where torch differs from the textbook
    convert.py      θ <-> torch modules: the only place that transposes
    devices.py      CPU or CUDA; precision and determinism, set and recorded
    strategies.py   the inputs that Hypothesis draws
    ops.py          the table of operations: ours, torch's, inputs, bounds
    torch_side.py   a training step in torch, with all that it computed on the way
    steps.py        that step, judged: every operation of ours on the inputs that torch's had
    lockstep.py     the same model, start and batches on both sides, compared at every step
    report.py       tables, JSON and pictures of that
    oracle.py       the right answers, on 50 digits
    libraries.py    the same operations in torch, SciPy, JAX, scikit-learn and textbooks
    accuracy.py     everybody's errors in ulps, and what ours may be

`python -m parity train RECIPE` and `python -m parity accuracy` run them.
"""

import os

# Read when torch and CUDA start, so they are set before anything here imports torch.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # repeatable sums
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads leave the cores to NumPy's
