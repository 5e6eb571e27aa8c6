"""The conventions that implementations differ in: layout, target, reduction, unit, gradient."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.checking import names
from parity.ops import Op
from scratchnn.ops.shared import AnyArray


def kind(op: Op) -> str:
    """Return "layer", "distribution", "classes" (a loss of them), "entries" or "activation"."""
    if op.products:
        return "layer"
    if "axis" in op.options:
        return "distribution"
    if "target" not in op.arguments:
        return "activation"
    return "classes" if op.labelled or ", probabilities" in op.name else "entries"


TURNED = {  # of examples in columns
    "row": "column",
    "column": "row",
    "Row": "Column",
    "Column": "Row",
    "axis=-1": "axis=0",
    "axis=0": "axis=1",
    "axis=1": "axis=0",
    "last one": "first one",
    "(N, C)": "(C, N)",
}


@dataclass(frozen=True)
class Layout:
    """Where examples and classes are.

    Parts    words    what it is called
             turned   an example is a column, and not a row
             flat     arrays have one dimension, with a number per example
             narrow   there is one number per example
             each     one example per call: as a "vector", a "row", a "column", or a "number"
    """

    words: str = ""
    turned: bool = False
    flat: bool = False
    narrow: bool = False
    each: str = ""

    def told(self, words: str) -> str:
        """Return what is said of examples in rows, as it is in this layout."""
        if not self.turned:
            return words
        return re.sub("|".join(map(re.escape, TURNED)), lambda found: TURNED[found.group()], words)

    def fold(self, x: Any) -> Any:
        if self.flat and np.ndim(x) == 2:
            return np.reshape(x, -1)
        return np.transpose(x) if self.turned and np.ndim(x) == 2 else x

    def unfold(self, x: AnyArray) -> AnyArray:
        if self.flat and np.ndim(x) == 1:
            return np.reshape(x, (-1, 1))
        return np.transpose(x) if self.turned and np.ndim(x) == 2 else x


ROWS = Layout()
COLUMNS = Layout("an example per column", turned=True)
EACH = Layout("one example per call", each="vector")
EACH_ROW = Layout("one example per call, as a row (1, D)", each="row")
EACH_COLUMN = Layout("one example per call, as a column", each="column")
EACH_NUMBER = Layout("one number per call", each="number")
FLAT = Layout("a number per example, (N,)", flat=True, narrow=True)
ONE_ROW = Layout("a number per example, (1, N)", turned=True, narrow=True)
ONE_COLUMN = Layout("a number per example, (N, 1)", narrow=True)
LAYOUTS = {
    "layer": (ROWS, COLUMNS, EACH, EACH_ROW, EACH_COLUMN),
    "distribution": (ROWS, COLUMNS, EACH, EACH_COLUMN),
    "classes": (ROWS, COLUMNS, EACH, EACH_COLUMN),
    "entries": (ROWS, COLUMNS, FLAT, ONE_ROW, ONE_COLUMN, EACH, EACH_COLUMN, EACH_NUMBER),
    "activation": (ROWS, EACH, EACH_NUMBER),
}
FORMS = {  # of a target
    "indices": "class indices",
    "one-hot": "one-hot targets",
    "column": "class indices in a column (N, 1)",
    "binary": "targets 0 or 1",
}


BIASES = {"(H,)": (-1,), "(1, H)": (1, -1), "(H, 1)": (-1, 1)}


@dataclass(frozen=True)
class Reduction:
    """How losses are reduced: by the row's own option, then maybe per row, and over a count."""

    words: str
    option: str | None = None
    per_row: bool = False
    over: str = ""  # "N" or "C": what the result is divided by

    def share(self, N: int, C: int) -> float:
        count = {"N": N, "C": C, "": 1}[self.over]
        return 1 / count if count else np.nan


NO_REDUCTION = Reduction("")
REDUCTIONS = {
    "classes": (
        Reduction("mean over rows", "mean"),
        Reduction("sum", "sum"),
        Reduction("a loss per row", "none"),
        Reduction("mean over all entries", "mean", over="C"),
    ),
    "entries": (
        Reduction("mean over all entries", "mean"),
        Reduction("sum", "sum"),
        Reduction("a loss per entry", "none"),
        Reduction("mean over rows", "sum", over="N"),
        Reduction("a sum per row", "none", per_row=True),
        Reduction("a mean per row", "none", per_row=True, over="C"),
    ),
}


@dataclass(frozen=True)
class Factor:
    words: str
    value: float = 1.0


ONE = Factor("")
BITS = Factor("in bits", 1 / float(np.log(2)))
FACTORS = {
    "mse_loss": (ONE, Factor("with a factor 1/2", 0.5)),
    "squared_loss": (ONE, Factor("without the factor 1/2", 2.0)),
}


@dataclass(frozen=True)
class Gradient:
    """How a backward is called, and what its gradient is of.

    Parts    roles   of its arguments
             of      "inputs", "logits" (those of the probabilities), or "jacobian"
             second  it is what the function returned second
             over    of losses that are not reduced: it is that of their mean, over "N" or "N C"
             updates it changes the parameters itself, by names.STEP times their gradients
    """

    roles: tuple[str, ...] = ()
    of: str = "inputs"
    second: bool = False
    over: str = ""
    updates: bool = False

    @property
    def takes_dy(self) -> bool:
        return names.DY in self.roles
