"""What was found about one function, for people to read and for tests to assert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent

import numpy as np
from numpy.typing import ArrayLike

from parity.cases import Case
from parity.checking.asking import Asked
from parity.checking.findings import DIFFERS, GRADES, RIGHT, UNSTABLE, WRONG, Finding
from parity.checking.names import STEP
from parity.checking.readings import is_default
from parity.checking.subject import Subject
from parity.judge import literal
from scratchnn.ops.shared import AnyArray

LARGE = 12  # an array with more numbers is not printed
HEAD = {
    WRONG: "is WRONG",
    UNSTABLE: "is UNSTABLE: right at ordinary numbers, lost at extreme ones",
    DIFFERS: "is right, and differs from torch in details",
    RIGHT: "is right",
}


@dataclass(frozen=True)
class Report:
    """All findings about one function. Print it to read them.

    Parts    function, op   the names of the function and of the operation
             taken_for      what it is, in words
             differences    what differs from the operation by convention
             findings       what is wrong or different, the worst first; of a remark the grade is
                            "right"
             orders         which argument was taken for what
             backward       how its gradient was asked for; empty where there is none
             not_tested     what the function takes no arguments for
             ulps           the largest errors in float32, yours and torch's
             note           of the operation, where torch and the textbook differ
             nearest        where no convention fits: by how much this one is off
             unseen         the parameters of a layer whose gradients were not found
             call           the function's name and its arguments
    """

    function: str
    op: str
    taken_for: str
    differences: tuple[str, ...]
    findings: tuple[Finding, ...]
    asked: Asked
    orders: str = ""
    backward: str = ""
    not_tested: tuple[str, ...] = ()
    ulps: Mapping[str, float] | None = None
    note: str = ""
    nearest: str = ""
    unseen: tuple[str, ...] = ()

    @property
    def grade(self) -> str:
        """The worst grade of all findings: "wrong", "unstable", "differs" or "right"."""
        return GRADES[min((GRADES.index(f.grade) for f in self.findings), default=len(GRADES) - 1)]

    @property
    def ok(self) -> bool:
        """Whether it is neither wrong nor unstable."""
        return self.grade in (DIFFERS, RIGHT)

    def of(self, place: str) -> str:
        """Return the grade of the "value", or of the "gradient"."""
        grades = [GRADES.index(f.grade) for f in self.findings if f.place == place]
        return GRADES[min(grades, default=len(GRADES) - 1)]

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks that found it wrong, unstable or different."""
        found = [c for f in self.findings if f.grade != RIGHT for c in (f.check, *f.seen)]
        return tuple(dict.fromkeys(found))

    @property
    def causes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.cause for f in self.findings if f.cause))

    def passes(self, fail_on: str = UNSTABLE) -> bool:
        """Whether the grade is better than this one."""
        return GRADES.index(self.grade) > GRADES.index(fail_on)

    def assert_right(self, fail_on: str = UNSTABLE) -> None:
        """Raise an AssertionError with the text of the report, unless it is right.

        Options  fail_on   the best grade that fails: "wrong", "unstable" or "differs"
        """
        if not self.passes(fail_on):
            raise AssertionError(str(self))

    def as_dict(self) -> dict[str, object]:
        """Return the report as dictionaries and lists, ready for JSON."""
        kept = ("function", "op", "taken_for", "differences", "orders", "backward", "not_tested")
        found = [_as_dict(f, self) for f in self.findings]
        return {
            **{name: getattr(self, name) for name in (*kept, "nearest", "ulps")},
            "grade": self.grade,
            "ok": self.ok,
            "causes": self.causes,
            "findings": found,
        }

    def __str__(self) -> str:
        return "\n".join([*self._head(), *self._problems()])

    def _head(self) -> Iterator[str]:
        conventions = "; ".join(d for d in self.differences)
        words = HEAD[self.grade]
        if self.grade == RIGHT and conventions:
            words = (
                f"is right, {conventions}"
                if conventions.startswith("as ")
                else f"{words}: {conventions}"
            )
        yield f"{self.function} as {self.op}: it {words}"
        yield f"  taken for: {self.taken_for}"
        if self.nearest:
            yield f"  no convention fits: {self.nearest}"
        if conventions and self.grade != RIGHT:
            yield f"  differs by convention: {conventions}"
        if self.orders:
            yield f"  arguments: {self.orders}"
        places = ("value", "gradient") if self.backward else ("value",)
        for place in places:
            worst = next((f for f in self.findings if f.place == place and f.grade != RIGHT), None)
            right = self._right(place)
            yield f"  {place}: {_summary(worst) if worst else right}"
        yield f"  backward: {self.backward or 'none was given, so no gradient was checked'}"
        for f in self.findings:
            if f.grade in (DIFFERS, RIGHT):
                word = "differs from torch" if f.grade == DIFFERS else "remark"
                yield f"  {word}: {f.place}: {f.what}{_because(f)}"
        if self.ulps and self.grade in (DIFFERS, RIGHT):
            yield f"  largest errors in float32 ulps: {_measured(self.ulps)}"
        if self.note and not any(f.check == "slope at 0" for f in self.findings):
            yield f"  convention: {self.note}"
        if self.not_tested:
            yield f"  not tested: {', '.join(self.not_tested)}"

    def _right(self, place: str) -> str:
        """Say that it is right, and which gradients of a layer's parameters were not found."""
        if place == "value" or not self.unseen:
            return "right"
        unseen = ", ".join(f"d{role}" for role in self.unseen)
        return f"right where it was found; {unseen} not found, so not tested"

    def _problems(self) -> Iterator[str]:
        shown = [f for f in self.findings if f.grade in (WRONG, UNSTABLE)]
        for n, f in enumerate(shown, 1):
            title = f.cause or _without_cause(f)
            yield ""
            yield f"{n}. {f.place}, {f.grade}: {title}"
            if f.since:
                yield f"   {'lost ' if f.grade == UNSTABLE else ''}{f.since}"
            for note in f.notes:
                yield f"   {note}"
            yield from _example(f, self.asked)
            if f.user_line:
                yield f"   {f.user_line}"
                yield f"   {'mended:':<{len(f.user_line.partition(':')[0]) + 1}} {f.mended}"


def _without_cause(finding: Finding) -> str:
    """Return what to say first where nobody knows the cause."""
    problem = finding.problem
    if problem and problem.kind == "kind" and problem.got is None and problem.right is not None:
        return "it returns None: is a return missing?"
    if problem and problem.kind in ("raises", "kind"):
        return problem.words
    return "the cause is unknown: no known flaw gives these answers"


def _summary(finding: Finding) -> str:
    since = f", {finding.since}" if finding.since else ""
    words = {WRONG: f"WRONG ({finding.check})", UNSTABLE: f"unstable{since}"}
    return words.get(finding.grade, "right")


def _because(finding: Finding) -> str:
    return f" ({finding.cause})" if finding.cause and finding.grade != RIGHT else ""


def _measured(ulps: Mapping[str, float]) -> str:
    text = ", ".join(f"{side} {value:,.2g}" for side, value in ulps.items())
    if "torch's" in ulps and ulps["yours"] < 0.8 * ulps["torch's"]:
        text += ": more accurate than torch"
    return text + (MANY if max(ulps.values()) > 1000 else "")


MANY = (
    "\n    (an ulp is the distance to the next float: close to 0 it is tiny, so an error that is "
    "small\n    for its row is many ulps of an entry that is nearly 0)"
)


def _as_dict(finding: Finding, report: Report) -> dict[str, object]:
    kept = (
        "place",
        "grade",
        "check",
        "what",
        "since",
        "cause",
        "known",
        "user_line",
        "mended",
        "notes",
    )
    example = "\n".join(line.strip() for line in _example(finding, report.asked))
    return {name: getattr(finding, name) for name in kept} | {"example": example}


# The example


def _example(finding: Finding, asked: Asked) -> Iterator[str]:
    problem, case = finding.problem, finding.case
    if problem is None or case is None:
        return
    if finding.place == "gradient":
        asked = Asked.of_gradient(asked.subject, asked.reading)
    arrays, call = code(asked, case)
    numbers = sum(np.size(x) for x in arrays.values())
    if numbers <= 2 * LARGE and all(np.size(x) <= LARGE for x in arrays.values()):
        for name, x in arrays.items():
            yield f"     {name} = {literal(x) if isinstance(x, np.ndarray) else repr(x)}"
        yield f"     {call}"
    else:
        sizes = ", ".join(f"{name} {np.shape(x)}" for name, x in arrays.items() if np.ndim(x))
        yield f"     {call}, for example with {sizes} of normal numbers"
    if problem.kind == "raises":
        if finding.cause:
            yield f"   {problem.words}"
        if problem.place and not finding.user_line:
            yield f"   {problem.place}"
        return
    if problem.right is None:
        yield f"   {problem.words}"
        return
    got, right = shown(problem.got, problem.right)
    of = f"d{problem.role} " if problem.role else ""
    if "\n" not in got + right and len(got + right) < 70:
        yield f"   got {of}{got}, right is {right}"
    elif np.size(problem.right) > LARGE:
        yield f"   {of}{problem.words}"
    else:
        yield f"   got   {of}{indent(got, ' ' * 9).lstrip()}"
        yield f"   right {of}{indent(right, ' ' * 9).lstrip()}"


def code(asked: Asked, case: Case) -> tuple[dict[str, ArrayLike], str]:
    """Return the arrays of a case by the user's names, and the call."""
    reading, subject = asked.reading, asked.subject
    given = reading.calls(case)[0]
    places = subject.places() or list(reading.binding)
    names = dict(zip(reading.binding, places, strict=False))
    options = {
        subject.options[o]: case[o]
        for o in reading.taken
        if not is_default(case[o], reading.row.defaults[o])
    }
    forward = [names[role] for role in reading.binding]
    arrays: dict[str, ArrayLike] = {names.get(role, role): x for role, x in given.items()}
    named = [
        f"{name}={x!r}" if np.ndim(x) == 0 else f"{name}={name}" for name, x in options.items()
    ]
    arrays |= {name: x for name, x in options.items() if np.ndim(x)}
    call = f"{_called(subject.name, subject)}({', '.join([*forward, *named])})"
    how = reading.gradient
    if not asked.gradient or how is None or how.second:
        return arrays, call
    wanted = subject.backward_places() or list(how.roles)
    known = {**names, "result": call, "dy": "dy", "probabilities": "p", "cache": "cache"}
    known |= {"rate": str(STEP)}
    if how.takes_dy:
        arrays["dy"] = reading.of_first(case["dy"])
    backward = getattr(subject.backward, "__qualname__", type(subject.backward).__name__)
    text = ", ".join(known.get(role, role) for role in how.roles)
    assert wanted is not None
    return arrays, f"{backward.rpartition('<locals>.')[2]}({text})"


def _called(name: str, subject: Subject) -> str:
    if subject.owner is subject.thing and subject.owner is not None:
        return f"{name}().{getattr(subject.forward, '__name__', '')}"
    return name


def shown(got: object, right: ArrayLike) -> tuple[str, str]:
    """Return two answers with few digits where few tell them apart, else with all."""
    a, b = np.asarray(got), np.asarray(right) + 0.0  # no -0
    if a.dtype == object or a.dtype.kind not in "fiub":
        return repr(got)[:200], _text(b, 4)
    for digits in (4, 6, 9, 17):
        texts = _text(a, digits), _text(b, digits)
        if texts[0] != texts[1] and (digits > 4 or a.shape != b.shape or _clear(a, b)):
            return texts
    return texts


def _clear(a: AnyArray, b: AnyArray) -> bool:
    with np.errstate(all="ignore"):
        off = abs(a - b) > 1e-3 * abs(b)
    return bool(np.any(off | ~np.isfinite(a)))


def _text(x: AnyArray, digits: int) -> str:
    if np.ndim(x) == 0:
        return f"{float(x):.{digits}g}"
    return np.array2string(
        x,
        separator=", ",
        formatter={"float_kind": lambda v: f"{v:.{digits}g}"},
        max_line_width=80,
    )
