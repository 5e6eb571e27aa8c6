"""What the battery found, for people to read, and for tests to assert."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from parity.battery.subject import is_default
from parity.literal import literal

SEARCHED = ("oracle", "gradient")  # whose inputs were made as small as can be
LARGE = 24  # elements: printed in full up to there


class Problem(NamedTuple):
    """What one call shows: a kind, such as "value" or "raises", and both answers in words."""

    kind: str
    what: str
    expected: str = ""
    got: str = ""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; `problem` is None where nothing is wrong."""

    check: str
    problem: Problem | None = None
    code: str = ""  # that shows it
    cause: str = ""
    skipped: str = ""  # why it was not run
    remark: str = ""
    warning: bool = False  # the problem is none of right inputs

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None or self.warning

    @property
    def line(self) -> str:
        """The outcome in one line."""
        if self.skipped:
            return f"  skip  {self.check}: {self.skipped}"
        if self.problem is None:
            return f"  ok    {self.check}" + (f": {self.remark}" if self.remark else "")
        return f"  {'WARN' if self.warning else 'FAIL'}  {self.check}: {self.problem.what}"

    @property
    def details(self) -> str:
        """What shows the problem, what was expected, and what came."""
        assert self.problem is not None
        lines = ["the smallest input found that shows it:", *_indented(self.code)]
        for word, answer in (("expected", self.problem.expected), ("got", self.problem.got)):
            first, *rest = answer.splitlines() or [""]
            lines += [f"{word:9}{first}", *(f"{'':9}{line}" for line in rest)] if answer else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """All that the battery found about one function; print it."""

    function: str
    op: str
    findings: tuple[Finding, ...]
    not_tested: tuple[str, ...] = field(default=())
    backward: str = ""  # how it was called
    convention: str = ""  # of the operation, where torch and the textbook differ

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
        """The names of the checks that warn: of what is done with wrong inputs."""
        return tuple(f.check for f in self.findings if f.problem and f.warning)

    @property
    def causes(self) -> tuple[str, ...]:
        """What is wrong, each cause once."""
        causes = (f.cause for f in self.findings if f.problem and f.cause)
        return tuple(dict.fromkeys(causes))

    def raise_if_failed(self) -> None:
        """Raise what `print` would show.

        Raises   AssertionError
        """
        if not self.ok:
            raise AssertionError(str(self))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, ready for JSON."""
        findings = [
            {
                "check": f.check, "ok": f.ok, "warning": f.warning,
                "skipped": f.skipped, "remark": f.remark,
                "what": f.problem.what if f.problem else "", "code": f.code,
                "expected": f.problem.expected if f.problem else "",
                "got": f.problem.got if f.problem else "", "cause": f.cause,
            }
            for f in self.findings
        ]  # fmt: skip
        return {
            "function": self.function, "op": self.op, "ok": self.ok,
            "causes": list(self.causes), "findings": findings, "not_tested": list(self.not_tested),
            "backward": self.backward, "convention": self.convention,
        }  # fmt: skip

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
            of_it = [f for f in problems if f.cause == cause]
            plainest = min(of_it, key=lambda f: (f.check not in SEARCHED, len(f.code)))
            title = cause or "no known flaw gives these answers"
            checks = ", ".join(f.check for f in of_it)
            lines += ["", f"{title} ({checks})", *_indented(plainest.details, 2)]
        return "\n".join(lines)


def code(call: str, arrays: dict[str, Any], options: dict[str, Any]) -> str:
    """Return Python that makes a call again; options at their defaults are left out."""
    lines = [f"{name} = {_short(value)}" for name, value in arrays.items()]
    said = [f"{o}={_short(v)}" for o, v in options.items() if not is_default(o, v)]
    return "\n".join([*lines, f"{call}({', '.join([*arrays, *said])})"])


def shown(value: Any) -> str:
    """Return an answer for people: short where it is large."""
    value = np.asarray(value)
    if value.dtype == object:
        return repr(value)
    return np.array2string(value, separator=", ", threshold=LARGE, precision=8, max_line_width=80)


def _short(value: Any) -> str:
    if np.size(value) > 4 * LARGE:
        return f"...  # {value.dtype} {value.shape}"
    return literal(value)


def _indented(text: str, by: int = 4) -> list[str]:
    return [f"{' ' * by}{line}" for line in text.splitlines()]
