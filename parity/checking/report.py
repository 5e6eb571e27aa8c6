"""What the checks found: for people to read, and for tests to assert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import indent

import numpy as np

from parity.cases import Case
from parity.judge import literal

SEARCHED = ("oracle", "gradient")  # the checks whose inputs are made as small as can be
LARGE = 24  # an array with more elements is shortened


@dataclass(frozen=True)
class Finding:
    """What a check has found: a problem, or a remark, or why it was skipped, or nothing.

    Parts    kind            of the problem, such as "value" or "raises"
             what            the problem in words; empty where nothing is wrong
             expected, got   the right answer and the one that came, as text
             cases           cases that show it, the smallest first
             check           the name of the check
             code            Python that shows the problem
             cause           the likely reason
             skipped         why the check was not run
             remark          what a check that holds has to say
             warning         whether the problem is one of wrong inputs only
    """

    kind: str = ""
    what: str = ""
    expected: str = ""
    got: str = ""
    cases: tuple[Case, ...] = ()
    check: str = ""
    code: str = ""
    cause: str = ""
    skipped: str = ""
    remark: str = ""
    warning: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with the function."""
        return not self.what or self.warning

    @property
    def line(self) -> str:
        """The result in one line."""
        if self.skipped:
            return f"  skip  {self.check}: {self.skipped}"
        if not self.what:
            return f"  ok    {self.check}" + (f": {self.remark}" if self.remark else "")
        return f"  {'WARN' if self.warning else 'FAIL'}  {self.check}: {self.what}"

    @property
    def details(self) -> str:
        """The code that shows the problem, with the expected answer and the one that came."""
        lines = ["the smallest input found that shows it:", indent(self.code, " " * 4)]
        answers = {"expected": self.expected, "got": self.got}
        lines += [f"{word:9}{indent(a, ' ' * 9)[9:]}" for word, a in answers.items() if a]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """Return the finding as a dictionary, ready for JSON."""
        return {"ok": self.ok} | {k: v for k, v in vars(self).items() if k not in ("kind", "cases")}


@dataclass(frozen=True)
class Report:
    """All findings about one function. Print it to read them.

    Parts    function, op   the names of the function and of the operation
             findings       one for each check
             not_tested     what the function takes no arguments for
             backward       how its backward was called
             convention     of the operation, where torch and the textbook differ
    """

    function: str
    op: str
    findings: tuple[Finding, ...]
    not_tested: tuple[str, ...] = ()
    backward: str = ""
    convention: str = ""

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that fail."""
        return tuple(finding.check for finding in self.findings if not finding.ok)

    @property
    def warned(self) -> tuple[str, ...]:
        """The names of the checks that warn about what is done with wrong inputs."""
        return tuple(finding.check for finding in self.findings if finding.warning)

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes of all problems, each once."""
        return tuple(dict.fromkeys(finding.cause for finding in self.findings if finding.cause))

    def raise_if_failed(self) -> None:
        """Raise an AssertionError with the text of the report if a check fails."""
        if not self.ok:
            raise AssertionError(str(self))

    def as_dict(self) -> dict[str, object]:
        """Return the report as dictionaries and lists, ready for JSON."""
        findings = [finding.as_dict() for finding in self.findings]
        return {**vars(self), "ok": self.ok, "causes": self.causes, "findings": findings}

    def __str__(self) -> str:
        verdict = "is right" if self.ok else "is WRONG"
        verdict += f", with a WARNING ({', '.join(self.warned)})" if self.warned else ""
        lines = [f"{self.function} as {self.op}: it {verdict}", *(f.line for f in self.findings)]
        for word in ("convention", "backward"):
            lines += [f"  {word}: {getattr(self, word)}"] if getattr(self, word) else []
        if self.not_tested:
            lines.append(f"  not tested: {', '.join(self.not_tested)}")
        problems = [finding for finding in self.findings if finding.what]
        for cause in dict.fromkeys(finding.cause for finding in problems):
            alike = [finding for finding in problems if finding.cause == cause]
            plainest = min(alike, key=lambda f: (f.check not in SEARCHED, len(f.code)))
            title = cause or "no known flaw gives these answers"
            checks = ", ".join(finding.check for finding in alike)
            lines += ["", f"{title} ({checks})", indent(plainest.details, "  ")]
        return "\n".join(lines)


def code(call: str, arrays: Mapping[str, object], options: Mapping[str, object]) -> str:
    """Return Python that makes a call again: arrays by position, options by name."""
    lines = [f"{name} = {_short(value)}" for name, value in arrays.items()]
    named = [f"{option}={_short(value)}" for option, value in options.items()]
    return "\n".join([*lines, f"{call}({', '.join([*arrays, *named])})"])


def _short(value: object) -> str:
    array = np.asarray(value)
    return literal(value) if array.size <= 4 * LARGE else f"...  # {array.dtype} {array.shape}"


def shown(answer: object) -> str:
    """Return an answer as text, shortened where it is large."""
    array = np.asarray(answer)
    if array.dtype == object:
        return repr(answer)
    return np.array2string(array, separator=", ", threshold=LARGE, precision=8, max_line_width=80)
