"""A few lines of Python that show again what was found."""

from collections.abc import Sequence
from textwrap import indent
from typing import Any

import numpy as np

from parity import bounds
from parity.devices import Precision
from parity.ops import Op
from parity.strategies import Case


def code(
    op: Op,
    case: Case,
    dy_seed: int,
    on: Sequence[str] = ("cpu",),
    precision: Precision = "ieee",
    analysis: bounds.Analysis = "mixed",
) -> str:
    """Return a program that judges one op on one case and prints the verdicts."""
    arguments = "".join(f"    {name!r}: {literal(value)},\n" for name, value in case.items())
    options = f", dy_seed={dy_seed}, on={list(on)}"
    options += f", precision={precision!r}" if precision != "ieee" else ""
    judged = f"for verdict in judge(OPS[{op.name!r}], case{options}):\n    print(verdict)\n"
    imports = "from parity.judge import judge\nfrom parity.ops import OPS\n"
    if analysis != "mixed":
        imports = f"from parity import bounds\n{imports}"
        judged = f"with bounds.analysis({analysis!r}):\n{indent(judged, '    ')}"
    return f"from numpy import array, inf, nan\n{imports}\ncase = {{\n{arguments}}}\n{judged}"


def literal(value: Any) -> str:
    """Return an expression that evaluates to the value, bit by bit."""
    if isinstance(value, np.ndarray):
        shape = f".reshape{value.shape}" if value.size == 0 else ""
        return f"array({value.tolist()!r}, {value.dtype.name!r}){shape}"
    return repr(value)
