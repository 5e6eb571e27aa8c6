"""Values as Python that makes them again, to the last bit."""

import re
from typing import Any

import numpy as np


def literal(value: Any) -> str:
    """Return an expression, for who has NumPy as np, that evaluates to the value bit by bit."""
    if not isinstance(value, np.ndarray):
        return _named(repr(value)) if isinstance(value, float) else repr(value)
    usual = value.dtype in (np.float64, np.int64) and value.size > 0
    dtype = "" if usual else f", np.{value.dtype.name}"
    if value.size == 0:
        return f"np.empty({value.shape}{dtype})"
    return f"np.array({_named(repr(value.tolist()))}{dtype})"


def _named(text: str) -> str:
    return re.sub(r"(?<![\w.])(inf|nan)\b", r"np.\1", text)
