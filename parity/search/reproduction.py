"""A few lines of Python that show again what was found."""

from collections.abc import Sequence
from textwrap import indent

from parity import bounds
from parity.devices import Precision
from parity.literal import literal
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
    imports = "from parity.ops import OPS\nfrom parity.search.sides import judge\n"
    if analysis != "mixed":
        imports = f"from parity import bounds\n{imports}"
        judged = f"with bounds.analysis({analysis!r}):\n{indent(judged, '    ')}"
    return f"import numpy as np\n\n{imports}\ncase = {{\n{arguments}}}\n{judged}"
