"""Benchmarks: the same work in NumPy, torch (CPU and CUDA), JAX and scikit-learn.

In reading order:

    cases.py        what is timed: operations, steps, epochs, inference, loading, maps
    ops.py          what is timed of an operation: value and gradients of a row of parity's table
    inputs.py       the arrays of a case, the same in every process
    backends/       the same work with each library
    checks.py       whether a backend's result is right; nothing is timed before
    environment.py  what the figures depend on, and what else runs on the machine
    worker.py       a process that runs one backend
    results.py      the results file; medians, quartiles, ratios
    noise.py        which figures are noise, as the machine was busy
    runner.py       asks the workers: checks, then turns in random order, again where it was busy
    session.py      a run from the command line: how long it takes, what is kept and taken up
    tables.py       the tables, and the sentences that say what they mean
    pictures.py     the pictures of a results file
    report.py       the pages that tables and pictures are put into
    textbook.py     cross-entropy's time compared with the textbook's: `docs/results.py speed`
    mpi_scaling.py  a separate program: how training on several processes scales

`python -m benchmarks` runs them, in a checkout: no wheel has them. docs/benchmarks.md says how, and
how to read the results.
"""
