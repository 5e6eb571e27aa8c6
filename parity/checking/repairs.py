"""Lines that are known by form, and how to mend them.

A repair is shown only if the function, with that line mended, passes where it failed.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FunctionType
from typing import TypeAlias

import numpy as np

from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import CLEAR, Asked
from parity.checking.classes import Mismatch
from parity.checking.findings import UNSTABLE, WRONG, Finding
from parity.checking.subject import Subject

Named: TypeAlias = "type | FunctionType"
NAME = r"[A-Za-z_][\w.]*"
DEEP = r"[^()]*(?:\([^()]*\)[^()]*)*"
INNER = rf"[^()]*(?:\({DEEP}\)[^()]*)*"  # what stands in brackets, with brackets of its own


@dataclass(frozen=True)
class Repair:
    """A pattern in a line, what replaces it, and what was wrong with it."""

    pattern: str
    mended: str
    words: str


ROW_SUM = "It divides by the sum of all rows, not each row's own."
OVERFLOW = (
    "exp overflows above 88.7 in float32 (709.8 in float64): subtract each row's maximum first."
)
KEEPDIMS = "keepdims is missing: (N,) does not divide (N, C) row by row."
ALL_ROWS = "The maximum of all rows is subtracted, not each row's own."
OTHER_AXIS = "It runs over the wrong axis: the classes are on the last one."
REPAIRS = [
    Repair(
        rf"np\.(sum|max)\(({INNER}), *axis=(-?\d)\)", r"np.\1(\2, axis=\3, keepdims=True)", KEEPDIMS
    ),
    Repair(rf"({NAME})\.(sum|max)\(axis=(-?\d)\)", r"\1.\2(axis=\3, keepdims=True)", KEEPDIMS),
    Repair(rf"({NAME})\.(sum|max)\((-?\d)\)", r"\1.\2(axis=\3, keepdims=True)", KEEPDIMS),
    Repair(rf"np\.max\(({NAME})\)", r"\1.max(axis=-1, keepdims=True)", ALL_ROWS),
    Repair(rf"\b({NAME})\.max\(\)", r"\1.max(axis=-1, keepdims=True)", ALL_ROWS),
    Repair(rf"np\.sum\(({INNER})\)", r"np.sum(\1, axis=-1, keepdims=True)", ROW_SUM),
    Repair(rf"\b({NAME})\.sum\(\)", r"\1.sum(axis=-1, keepdims=True)", ROW_SUM),
    Repair(r"\)\.sum\(\)", ").sum(axis=-1, keepdims=True)", ROW_SUM),
    Repair(r"axis=0", "axis=-1", OTHER_AXIS),
    Repair(r"axis=1", "axis=0", "It runs over the wrong axis."),
    Repair(rf"np\.exp\(({NAME})\)", r"np.exp(\1 - \1.max(axis=-1, keepdims=True))", OVERFLOW),
    Repair(
        rf"1(?:\.0?)? */ *\(1(?:\.0?)? *\+ *np\.exp\(-({NAME})\)\)",
        r"np.exp(-np.logaddexp(0, -\1))",
        "exp overflows for large negative numbers.",
    ),
    Repair(
        rf"np\.log\(1(?:\.0?)? *\+ *np\.exp\(({NAME})\)\)",
        r"np.logaddexp(0, \1)",
        "exp overflows, and 1 + exp loses the digits of a small exp.",
    ),
    Repair(r"np\.log2\(", "np.log(", "The logarithm has base 2."),
    Repair(r"-= *1(\.0?)?\b", "-= 1 / len({rows})", ""),
    Repair(r"\breturn ([\w.]+) - ([\w.]+)$", r"return \2 - \1", "The sign is wrong."),
    Repair(r"\(([\w.]+) - ([\w.]+)\)", r"(\2 - \1)", "The sign is wrong."),
    Repair(r"\breturn (np\.(?:mean|sum)\()", r"return -\1", "The minus is missing."),
    Repair(r"\breturn ([^-].*)$", r"return -(\1)", "The sign is wrong."),
    Repair(r"\breturn (.+), (\w+)$", r"return \1, \2 / len({rows})", "1/N is missing."),
    Repair(r"\breturn (.+)$", r"return (\1) / len({rows})", "1/N is missing: the loss is a mean."),
    Repair(r"\breturn (.+)$", r"return ({dy}) * (\1)", "The upstream gradient is missing."),
    Repair(r"\breturn (.+)$", r"return 2 * (\1)", "A factor 2 is missing."),
    Repair(
        r" */ *(len\([\w.]+\)|[\w.]+\.shape\[0\]|[NnmM]|batch_size|n_samples|samples)\b",
        "",
        "One division by N too many.",
    ),
    Repair(r">= *0(\.0?)?", "> 0", "The slope at 0 is taken for 1: torch has 0."),
    Repair(r"np\.mean\(", "np.sum(", "A mean where a sum should be."),
    Repair(r"np\.sum\(", "np.mean(", "A sum where a mean should be."),
]


def mend(asked: Asked, finding: Finding) -> Finding:
    """Return a finding with the user's line and a mended one, where a repair passes."""
    if finding.case is None or finding.grade not in (WRONG, UNSTABLE):
        return finding
    sources = _Sources.of(asked)
    if sources is None:
        return finding
    cases = _cases(asked, finding)
    for repair in REPAIRS:
        for n, line, mended in sources.replaced(repair, asked):
            changed = sources.asked(asked, n, mended)
            if changed is None or not _passes(changed, cases, finding):
                continue
            found = replace(
                finding,
                user_line=f"line {n + sources.first}: {line.strip()}",
                mended=mended.strip(),
            )
            explains = finding.grade == UNSTABLE or "overflow" not in repair.words
            if repair.words and explains and not finding.known:
                told = asked.reading.layout.told(repair.words)
                return replace(found, cause=told, known=True)
            return found
    return finding


def _cases(asked: Asked, finding: Finding) -> list[Case]:
    plain = [asked.prepared(given.case, 1) for given in inputs.ordinary(asked.row)]
    assert finding.case is not None
    return [finding.case, *finding.cases[:4], *plain[:2]]


def _passes(changed: Asked, cases: list[Case], finding: Finding) -> bool:
    """Whether a mended function is right in all cases; of an unstable one, to a hundredth."""
    assert finding.problem is not None
    if finding.grade == UNSTABLE and finding.problem.size < CLEAR:
        return False
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                problem = changed.problem(case)
        except (Mismatch, LookupError, AttributeError):
            return False
        if problem and (finding.grade == WRONG or problem.size >= CLEAR or problem.kind != "value"):
            return False
    return True


@dataclass(frozen=True)
class _Sources:
    """The code of what is checked, and of the functions of its file that it calls.

    Parts    lines   of the function or class, without its indentation
             first   the number of its first line in its file
    """

    thing: Named
    lines: list[str]
    first: int

    @classmethod
    def of(cls, asked: Asked) -> _Sources | None:
        subject = asked.subject
        thing = subject.owner or (subject.backward if asked.gradient else subject.forward)
        if asked.gradient and subject.backward is None:
            thing = subject.forward
        if not (inspect.isfunction(thing) or inspect.isclass(thing)):
            return None
        try:
            lines, first = inspect.getsourcelines(thing)
        except (OSError, TypeError):
            return None
        return cls(thing, textwrap.dedent("".join(lines)).splitlines(), first)

    def replaced(self, repair: Repair, asked: Asked) -> Iterator[tuple[int, str, str]]:
        """Yield the number of each line that a repair matches, the line, and the mended one."""
        names = _names(asked)
        try:
            to = repair.mended.format(**names) if "{" in repair.mended else repair.mended
        except KeyError:
            return
        for n, line in enumerate(self.lines):
            code = line.partition("#")[0].rstrip()
            if re.search(repair.pattern, code):
                mended = re.sub(repair.pattern, to, code, count=1)
                yield n, line, re.sub(r"(?<!\w)\((\w+)\)(?= [*/]|$)", r"\1", mended)

    def asked(self, asked: Asked, n: int, line: str) -> Asked | None:
        """Return what is checked, with one line mended."""
        text = "\n".join([*self.lines[:n], line, *self.lines[n + 1 :]])
        namespace = dict(_globals(self.thing))
        try:
            exec(compile(text, "<mended>", "exec", dont_inherit=True), namespace)
        except Exception:
            return None
        made = namespace.get(self.thing.__name__)
        if not isinstance(made, type | FunctionType) or made is self.thing:
            return None
        return replace(asked, subject=_with(asked.subject, made, asked.gradient))


def _globals(thing: Named) -> dict[str, object]:
    import sys

    if inspect.isfunction(thing):
        return thing.__globals__
    return vars(sys.modules[thing.__module__]) if thing.__module__ in sys.modules else {}


def _names(asked: Asked) -> dict[str, str]:
    """Return the user's names of the first array and of the upstream gradient."""
    subject, reading = asked.subject, asked.reading
    if asked.gradient and reading.gradient is not None and not reading.gradient.second:
        places, roles = subject.backward_places() or [], reading.gradient.roles
    else:
        places, roles = subject.places() or [], reading.binding
    pairs = dict(zip(roles, places, strict=False))
    found: dict[str, str] = {}
    for role in (asked.row.inputs[0], "result", "probabilities"):
        if role in pairs:
            found.setdefault("rows", pairs[role])
    if "dy" in pairs:
        found["dy"] = pairs["dy"]
    return found


def _with(subject: Subject, made: Named, gradient: bool) -> Subject:
    """Return a subject with one function or class in place of another."""
    new = Subject(subject.op, subject.thing, subject.other, subject.settings, subject.tensors)
    new.__dict__.update({k: v for k, v in subject.__dict__.items() if k not in ("words", "source")})
    if isinstance(made, type):
        new.owner = made
        for part in ("forward", "backward"):
            old = getattr(subject, part)
            if old is not None and inspect.isfunction(old):
                setattr(new, part, getattr(made, old.__name__, old))
    elif gradient and subject.backward is not None:
        new.backward = made
    else:
        new.forward = made
    return new
