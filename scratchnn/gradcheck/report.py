"""What gradcheck found, for people to read and for tests to assert."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Finding:
    """What one check of one argument gave, at the element that is worst off."""

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
    """All findings about one function; print it."""

    function: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(finding.ok for finding in self.findings)

    @property
    def causes(self) -> str:
        """What is wrong, in words, one finding a line."""
        return "\n".join(finding.cause for finding in self.findings if finding.cause)

    def assert_ok(self) -> None:
        """Raise what `print` would show.

        Raises   AssertionError
        """
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        verdict = "the gradient is right" if self.ok else "the gradient is WRONG"
        return "\n".join([f"{self.function}: {verdict}", *map(str, self.findings)])
