"""What the checks found: for people to read, and for tests to assert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from parity.cases import Case
from parity.judge import literal

SEARCHED = ("oracle", "gradient")  # the checks whose inputs are made as small as can be
LARGE = 24  # an array with more elements is shortened


class Problem(NamedTuple):
    """What is wrong with one call.

    Parts    kind            of the problem, such as "value" or "raises"
             what            the problem in words
             expected, got   the right answer and the one that came, as text
    """

    kind: str
    what: str
    expected: str = ""
    got: str = ""


@dataclass(frozen=True)
class Finding:
    """The result of one check: a problem, or a remark, or why the check was skipped, or nothing.

    Parts    check     its name
             problem   None where nothing is wrong
             cases     cases that show the problem, the smallest first
             code      Python that shows it
             cause     the likely reason
             skipped   why the check was not run
             remark    what a check that holds has to say
             warning   whether the problem is one of wrong inputs only
    """

    check: str = ""
    problem: Problem | None = None
    cases: tuple[Case, ...] = ()
    code: str = ""
    cause: str = ""
    skipped: str = ""
    remark: str = ""
    warning: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with the function."""
        return self.problem is None or self.warning

    @property
    def line(self) -> str:
        """The result in one line."""
        if self.skipped:
            return f"  skip  {self.check}: {self.skipped}"
        if self.problem is None:
            return f"  ok    {self.check}" + (f": {self.remark}" if self.remark else "")
        return f"  {'WARN' if self.warning else 'FAIL'}  {self.check}: {self.problem.what}"

    @property
    def details(self) -> str:
        """The code that shows the problem, with the expected answer and the one that came."""
        assert self.problem is not None
        lines = ["the smallest input found that shows it:", *_indented(self.code)]
        for word, answer in (("expected", self.problem.expected), ("got", self.problem.got)):
            first, *rest = answer.splitlines() or [""]
            lines += [f"{word:9}{first}", *(f"{'':9}{line}" for line in rest)] if answer else []
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """Return the finding as a dictionary, ready for JSON."""
        problem = self.problem or Problem("", "")
        return {
            "check": self.check,
            "ok": self.ok,
            "warning": self.warning,
            "skipped": self.skipped,
            "remark": self.remark,
            "what": problem.what,
            "code": self.code,
            "expected": problem.expected,
            "got": problem.got,
            "cause": self.cause,
        }


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
        return all(finding.ok for finding in self.findings)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that fail."""
        return tuple(finding.check for finding in self.findings if not finding.ok)

    @property
    def warned(self) -> tuple[str, ...]:
        """The names of the checks that warn about what is done with wrong inputs."""
        return tuple(f.check for f in self.findings if f.problem and f.warning)

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes of all problems, each once."""
        causes = (f.cause for f in self.findings if f.problem and f.cause)
        return tuple(dict.fromkeys(causes))

    def raise_if_failed(self) -> None:
        """Raise the text of the report if a check fails.

        Raises   AssertionError
        """
        if not self.ok:
            raise AssertionError(str(self))

    def as_dict(self) -> dict[str, object]:
        """Return the report as dictionaries and lists, ready for JSON."""
        return {
            "function": self.function,
            "op": self.op,
            "ok": self.ok,
            "causes": list(self.causes),
            "findings": [finding.as_dict() for finding in self.findings],
            "not_tested": list(self.not_tested),
            "backward": self.backward,
            "convention": self.convention,
        }

    def __str__(self) -> str:
        verdict = "is right" if self.ok else "is WRONG"
        verdict += f", with a WARNING ({', '.join(self.warned)})" if self.warned else ""
        lines = [f"{self.function} as {self.op}: it {verdict}", *(f.line for f in self.findings)]
        if self.convention:
            lines.append(f"  convention: {self.convention}")
        if self.backward:
            lines.append(f"  backward: {self.backward}")
        if self.not_tested:
            lines.append(f"  not tested: {', '.join(self.not_tested)}")
        problems = [f for f in self.findings if f.problem]
        for cause in dict.fromkeys(f.cause for f in problems):
            lines += ["", *_section(cause, [f for f in problems if f.cause == cause])]
        return "\n".join(lines)


def _section(cause: str, findings: list[Finding]) -> list[str]:
    """Return the lines about a cause, with the plainest code among the findings that have it."""
    plainest = min(findings, key=lambda f: (f.check not in SEARCHED, len(f.code)))
    title = cause or "no known flaw gives these answers"
    checks = ", ".join(finding.check for finding in findings)
    return [f"{title} ({checks})", *_indented(plainest.details, 2)]


def code(call: str, arrays: Mapping[str, object], options: Mapping[str, object]) -> str:
    """Return Python that makes a call again: arrays by position, options by name."""
    lines = [f"{name} = {_short(value)}" for name, value in arrays.items()]
    named = [f"{option}={_short(value)}" for option, value in options.items()]
    return "\n".join([*lines, f"{call}({', '.join([*arrays, *named])})"])


def shown(answer: object) -> str:
    """Return an answer as text, shortened where it is large."""
    array = np.asarray(answer)
    if array.dtype == object:
        return repr(answer)
    return np.array2string(array, separator=", ", threshold=LARGE, precision=8, max_line_width=80)


def _short(value: object) -> str:
    array = np.asarray(value)
    if array.size > 4 * LARGE:
        return f"...  # {array.dtype} {array.shape}"
    return literal(value)


def _indented(text: str, by: int = 4) -> list[str]:
    return [f"{' ' * by}{line}" for line in text.splitlines()]
