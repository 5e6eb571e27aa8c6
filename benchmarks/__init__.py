"""Benchmarks: the same work in NumPy, torch (CPU and CUDA), JAX and scikit-learn.

In reading order:

    statistics.py   median, quartiles, ratios round by round, the exponent of a power law
    ops.py          what is timed of an operation: value and gradients of a row of parity's table
    cases.py        what is timed: operations, steps, epochs, inference, loading, maps
    inputs.py       the arrays of a case, the same in every process
    backends/       the same work with each library
    checks.py       whether a backend's result is right; nothing is timed before
    environment.py  what the figures depend on
    worker.py       a process that runs one backend
    results.py      the results file
    runner.py       asks the workers: checks, then turns in random order
    pictures.py     the pictures of a results file
    report.py       its tables, and the pages that they are put into
    textbook.py     cross-entropy's time compared with the textbook's: `docs/results.py speed`
    mpi_scaling.py  a separate program: how training on several processes scales

`python -m benchmarks` runs them, in a checkout: no wheel has them. docs/benchmarks.md says how, and
how to read the results.
"""
