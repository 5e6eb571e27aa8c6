"""What the checks found, for people to read and for tests to assert; the smallest input of it.

Hypothesis shrinks shapes; then numbers get plain.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from textwrap import indent
from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st

from parity import digits
from parity.cases import Case, Dtype
from parity.checking.subject import DY, Asked, RaisedError
from parity.judge import literal, right_gradients, right_value, value_dtype
from parity.search import smallest

SEARCHED = ("oracle", "gradient")  # the checks whose inputs are made as small as can be
LARGE = 24  # an array with more elements is shortened
KEPT = 12  # cases, for the diagnosis
LIMIT = 1000.0  # beyond the range of exp in every precision


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
        return not self.what or self.warning

    @property
    def line(self) -> str:
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
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(finding.check for finding in self.findings if not finding.ok)

    @property
    def warned(self) -> tuple[str, ...]:
        return tuple(finding.check for finding in self.findings if finding.warning)

    @property
    def causes(self) -> tuple[str, ...]:
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
    array = np.asarray(answer)
    if array.dtype == object:
        return repr(answer)
    return np.array2string(array, separator=", ", threshold=LARGE, precision=8, max_line_width=80)


# The smallest input

Look: TypeAlias = Callable[[Case], Finding | None]  # what is wrong with the answer for a case


def looked(asked: Asked, look: Look, case: Case) -> Finding | None:
    """Return what `look` does; an exception of the function is a problem, too."""
    try:
        return look(case)
    except RaisedError as raised:
        error = raised.__cause__
        op, given, expected = asked.op, {n: v for n, v in case.items() if n != DY}, ""
        with suppress(LookupError):  # nobody knows the right answer
            right = right_gradients(op, given, case[DY])[0] if DY in case else right_value(op, case)
            expected = shown(digits.rounded(right, value_dtype(op, case)))
        where = traceback.extract_tb(error.__traceback__ if error else None)[-1]
        got = f"{type(error).__name__}: {error}\n(line {where.lineno}: {where.line})"
        return Finding("raises", f"it raises {type(error).__name__}", expected, got)


def first(asked: Asked, cases: Iterable[Case], look: Look) -> Finding | None:
    found = ((case, looked(asked, look, case)) for case in cases)
    return next((replace(problem, cases=(case,)) for case, problem in found if problem), None)


def search(asked: Asked, dtype: Dtype, look: Look, examples: int) -> Finding | None:
    """Look at generated cases; return the problem of the smallest case, and others of its kind."""
    seeds = st.integers(0, 999) if DY in asked.plain else st.just(0)
    cases = st.builds(asked.prepared, asked.op.cases(dtype), seeds)
    look = partial(looked, asked, look)
    found: list[tuple[Case, Finding]] = []

    def gather(case: Case) -> bool:
        problem = look(case)
        if problem and len(found) < KEPT:
            found.append((case, problem))
        return False  # so that the search goes on

    def shows(case: Case) -> bool:
        problem = look(case)
        return problem is not None and problem.kind == found[0][1].kind

    smallest(cases, gather, examples)
    gather(asked.typical(dtype))
    if not found:
        return None
    case, problem = found[0]
    least = smallest(cases, shows, examples)
    if least is not None:  # the function may be random
        case = simplify(least, shows, asked.plain)
        problem = look(case) or problem
    alike = [case for case, other in found if other.kind == problem.kind]
    return replace(problem, cases=(case, *alike))


def simplify(case: Case, shows: Callable[[Case], bool], names: Sequence[str]) -> Case:
    """Replace numbers by plainer ones, one by one, while the case still shows what it shows."""
    for name in names:
        for index in np.ndindex(np.shape(case[name])):
            case = _plainest(case, name, index, shows)
    return case


def _plainest(case: Case, name: str, index: tuple[int, ...], shows: Callable[[Case], bool]) -> Case:
    """Replace one number x by 0, or by the whole number nearest to 0 that shows the same."""

    def at(x: float) -> Case:
        array = case[name].copy()
        array[index] = x
        return case | {name: array}

    x = float(case[name][index])
    if x == 0 or not math.isfinite(x):
        return case
    if shows(at(0.0)):
        return at(0.0)
    sign = math.copysign(1, x)
    low, high = 0, max(1, round(min(abs(x), LIMIT)))
    if not shows(at(sign * high)):
        return case
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(at(sign * middle)) else (middle, high)
    return at(sign * high)
