"""Benchmarks: the same work in NumPy, torch (CPU and CUDA), JAX and scikit-learn, side by side.

In reading order:

    statistics.py   medians, quartiles, ratios pair by pair, the exponent of a power law
    cases.py        what is timed: operations, steps, epochs, inference, loading, maps
    inputs.py       the arrays of a case, the same in every process
    ops.py          what is timed of an operation; the rest is parity's table
    checks.py       whether a backend's result is right; nothing is timed before
    backends/       everybody's way to do the same work
    work.py         a case on a backend: its result, and what is timed
    worker.py       a process that runs one backend
    environment.py  what the figures depend on
    results.py      the results file
    team.py         the workers, seen from the process that asks them
    runner.py       times them in turns
    tables.py       the README's tables
    panels.py       what the pictures have in common
    crossover.py    the map of where each is faster
    plots.py        the other pictures
    report.py       puts both where they belong

`python -m benchmarks` runs them, in a checkout: no wheel has them. docs/benchmarks.md says how, and
how to read what comes out.
"""
