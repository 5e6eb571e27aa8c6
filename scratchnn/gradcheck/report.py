"""What gradcheck found, for people to read and for tests to assert."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Finding:
    """The result of one check of one argument, at the element with the largest error.

    Parts    check       what was compared, and how it was measured
             argument    the argument of f, or "f" or "backward" where the problem is there
             index       the element of the argument; None for a direction of many elements
             formula     the slope by backward
             measured    the slope of f
             tolerance   how far they may be apart; all three are NaN where nothing was compared
             cause       what is wrong, in words; empty where nothing is
    """

    check: str
    argument: str
    index: tuple[int, ...] | None = None
    formula: float = np.nan
    measured: float = np.nan
    tolerance: float = np.nan
    cause: str = ""

    @property
    def error(self) -> float:
        """How far formula and measurement are apart."""
        return abs(self.formula - self.measured)

    @property
    def ok(self) -> bool:
        """Whether they agree, and nothing else is wrong."""
        return not self.cause and self.error <= self.tolerance

    def __str__(self) -> str:
        at = "" if self.index is None else f"[{', '.join(map(str, self.index))}]"
        line = f"  {'ok  ' if self.ok else 'FAIL'} {self.argument}{at}, {self.check}"
        if np.isnan(self.tolerance):  # nothing was compared
            return f"{line}: {self.cause}"
        line += (
            f": by formula {self.formula:.10g}, measured {self.measured:.10g}, "
            f"error {self.error:.1e}, tolerance {self.tolerance:.1e}"
        )
        return f"{line}\n       {self.cause}" if self.cause else line


@dataclass(frozen=True)
class Report:
    """All findings about one function. Print it to read them."""

    function: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(finding.ok for finding in self.findings)

    @property
    def causes(self) -> str:
        """What is wrong, in words, one line per cause."""
        return "\n".join(finding.cause for finding in self.findings if finding.cause)

    def assert_ok(self) -> None:
        """Raise the text of the report if a check fails.

        Raises   AssertionError
        """
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        verdict = "the gradient is right" if self.ok else "the gradient is WRONG"
        return "\n".join([f"{self.function}: {verdict}", *map(str, self.findings)])
