"""The commands of `python -m parity`, one a file: `add` declares it, `run` does it."""

DTYPES = ("float32", "float64")
