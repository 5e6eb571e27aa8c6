"""All checks of one operation, against anyone's function and its backward: docs/check.md.

    print(parity.check(softmax, "softmax", backward=softmax_backward))

In reading order:

    loading, notebooks    what the user named, from a file, a notebook or a package
    names         which argument is what, by its name
    calls, classes, subject    anyone's function or class and its backward, called as they come
    rows          losses of probabilities, besides the rows of the table
    conventions, readings      how a function may be meant: layout, reduction, unit, ...
    asking        a subject asked by a reading, and what is wrong with an answer
    candidates, gradients, identify    the reading that fits
    inputs        ordinary, extreme and special inputs
    findings, lost, calls_again, differences    the checks: wrong, unstable, differs
    rounding, ranges    what a small error is of; from where on an answer is lost
    evidence, causes, facts    the known flaw that explains all answers; else what is known
    repairs       the user's line, and a mended one
    report        what was found
    mutants       every known flaw through every check
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.checking import loading
from parity.checking.asking import Asked
from parity.checking.calls import RaisedError
from parity.checking.calls_again import between_calls, of_one_object
from parity.checking.causes import FLAWS, diagnose, find
from parity.checking.differences import differences, measured
from parity.checking.findings import CHECKS, DIFFERS, GRADES, PLACES, WRONG, Finding
from parity.checking.gradients import probes
from parity.checking.identify import Identified, fits_alone, identify, read_as
from parity.checking.lost import lost
from parity.checking.names import STEP
from parity.checking.readings import Reading, is_default
from parity.checking.repairs import mend
from parity.checking.report import Report
from parity.checking.rows import ALL
from parity.checking.subject import Subject

__all__ = ["CHECKS", "FLAWS", "GRADES", "Finding", "Report", "check"]

TRIED = 24  # readings, where none fits
NEAR = 0.2  # a convention that is farther off is not named
ABOUT = {  # what the conventions of an operation are about: options
    "nll_loss": {"weight", "ignore_index"},
    "cross_entropy": {"weight", "ignore_index"},
    "softplus": {"threshold"},
    "smooth_l1_loss": {"beta"},
    "kl_div": {"reduction"},
}
NOT_TESTED = {"axis": "axis (only the last was)"}


def check(
    function: Any,
    op: str,
    backward: Any = None,
    *,
    settings: Mapping[str, object] | None = None,
    order: Sequence[str] | None = None,
    as_torch: bool = False,
    show_output: bool = False,
    name: str = "",
) -> Report:
    """Check an implementation of an operation, and its backward; `parity.check` describes it."""
    if op not in ALL:
        raise ValueError(f"op must be one of {', '.join(map(repr, ALL))}, got {op!r}")
    row = ALL[op]
    known = {*row.options}
    if unknown := {o for o in settings or {} if o not in known and not isinstance(function, type)}:
        raise ValueError(
            f"{op} has the options {', '.join(row.options) or 'none'}, got {', '.join(unknown)}"
        )
    with _quiet(show_output):
        subject = Subject(row, function, backward, settings or {}, called=name)
        return _report(subject, _explained_best(subject, identify(subject, as_torch, order)))


def _explained_best(subject: Subject, found: Identified) -> Identified:
    """Where no reading fits, return the first by which a known flaw explains the value."""
    if found.value or not found.others:
        return found
    for reading in (found.reading, *found.others[:TRIED]):
        asked = Asked(subject, reading)
        wrong = next((f for f in lost(asked, "value") if f.grade == WRONG), None)
        cause = find(asked, wrong) if wrong and wrong.case else None
        if cause and (cause.flaw or reading is found.reading) and not cause.pair:
            return found if reading is found.reading else read_as(subject, found, reading)
    return found


def of_names(function: str, op: str, backward: str | None, **how: Any) -> Report:
    """Check what is named FILE.py:NAME, package.module:NAME or the like."""
    held = _quiet(how["show_output"])
    with held, loading.loaded(function, backward) as (thing, other):
        return check(thing, op, other, name=_name(thing, function), **how)


def _name(thing: object, where: str) -> str:
    """Return the name that the user gave, where the object has another one."""
    given = where.rpartition(":")[2]
    return "" if getattr(thing, "__qualname__", "") == given else given


@contextlib.contextmanager
def _quiet(show: bool) -> Iterator[None]:
    """Hold back what the user's code prints, warns of and logs."""
    if show:
        yield
        return
    held, before = io.StringIO(), logging.root.manager.disable
    logging.disable()
    try:
        with contextlib.redirect_stdout(held), contextlib.redirect_stderr(held):
            yield
    finally:
        logging.disable(before)


def _report(subject: Subject, found: Identified) -> Report:
    value = Asked(subject, found.reading)
    findings = [*examine(value)]
    if found.reading.gradient is not None:
        findings += examine(Asked.of_gradient(subject, found.reading))
    findings.sort(key=lambda f: GRADES.index(f.grade))
    findings = _alone(subject, found, findings)
    ulps = measured(value) if not any(f.grade == WRONG for f in findings) else None
    reading = found.reading
    return Report(
        subject.name,
        subject.op.name,
        reading.words,
        (*reading.differences, *_other_defaults(subject, reading)),
        tuple(findings),
        value,
        found.orders,
        _backward(subject, found),
        tuple(_not_tested(subject, found)),
        ulps,
        _convention(reading),
        _nearest(found, findings),
        tuple(r for r in _unseen(subject, reading) if r in reading.parameters),
    )


def _convention(reading: Reading) -> str:
    """Return what to know of the operation, if it is about something that the function has."""
    op = reading.asked
    about = ABOUT.get(op.function, set())
    if reading.row is not op or reading.factor.words or (about and not about & reading.taken):
        return ""
    return "" if op.name == "relu" and reading.gradient is None else op.convention


def _nearest(found: Identified, findings: list[Finding]) -> str:
    """Say which convention comes nearest where none fits, unless a cause says more."""
    if found.nearest is None:
        return ""
    near, far = found.nearest
    percent = f"{100 * far:.2g} % off"
    if near.words == found.reading.words:
        return f"this one comes nearest, {percent}"
    known = any(f.known for f in findings if f.place == "value" and f.grade == WRONG)
    if known or far > NEAR:
        return ""
    return f"this is the plainest; by its numbers it is nearest to {near.words}, {percent}"


def examine(asked: Asked) -> list[Finding]:
    """Run all checks of a value or a gradient, and explain what they find.

    Where an option is wrong, what is lost at extreme numbers is looked for at default options.
    """
    place = PLACES[asked.gradient]
    again, bad = between_calls(asked, place), [*lost(asked, place)]
    if again and again.problem:
        least = 10 * again.problem.size if again.grade == DIFFERS else np.finfo(float).max
        bad = [f for f in bad if f.problem and f.problem.size > least]  # others may be its own
        return [*(_explained(asked, f) for f in bad), _explained(asked, again)]
    explained = [_explained(asked, f) for f in bad]
    if any((f.check, f.grade) == ("options", WRONG) for f in bad):
        plain = replace(asked, reading=replace(asked.reading, at_defaults=True))
        explained = [e for e in explained if e.check == "options"]
        explained += [_explained(plain, f) for f in lost(plain, place)]
    kept = of_one_object(asked, place)
    others = [*([kept] if kept else []), *differences(asked, place, bad)]
    return [*explained, *(_explained(asked, f) for f in others)]


def _other_defaults(subject: Subject, reading: Reading) -> Iterator[str]:
    """Yield the options that have another default than the operation's, which was given."""
    for option in sorted(reading.varied):
        own, default = subject.default(option), reading.row.defaults[option]
        alike = is_default(own, default) or (option == "axis" and own in (1, -1))
        if alike or own is None or own is inspect.Parameter.empty or isinstance(own, np.ndarray):
            continue
        name = subject.options[option]
        given = f"it was called with {name}={default!r}"
        yield f"{name} is {own!r} by default, and {default!r} in {reading.row.function}: {given}"


def _explained(asked: Asked, finding: Finding) -> Finding:
    return mend(asked, diagnose(asked, finding))


def _alone(subject: Subject, found: Identified, findings: list[Finding]) -> list[Finding]:
    """Say of a function that is wrong for a batch whether it is right for one example."""
    if found.value or subject.owner is not None:
        return findings
    if not fits_alone(subject, found.reading):
        return findings
    note = "it is right for one example per call, and wrong for a batch"
    return [
        replace(f, notes=(note, *f.notes)) if f.place == "value" and f.grade == WRONG else f
        for f in findings
    ]


def _backward(subject: Subject, found: Identified) -> str:
    how = found.reading.gradient
    if how is None:
        return ""
    if how.second:
        return "the gradient is what it returns second"
    name = getattr(subject.backward, "__qualname__", type(subject.backward).__name__)
    name = name.rpartition("<locals>.")[2]
    places = subject.backward_places() or list(how.roles)
    given = ", ".join(
        place if place == role != "dy" else f"{place} = {_ROLES.get(role, role)}"
        for place, role in zip(places, how.roles, strict=False)
    )
    words = {
        "jacobian": "; it returns the Jacobian",
        "logits": "; it is the gradient of the logits",
    }
    none = "" if how.takes_dy else "; no upstream gradient"
    none += "; dW, db are (before - after) / rate" if how.updates else ""
    return f"{name}({given}){none}{words.get(how.of, '')}"


_ROLES = {
    "dy": "the upstream gradient",
    "result": "the result",
    "probabilities": "softmax or σ of the logits",
    "rate": f"a rate of {STEP}",
}


def _not_tested(subject: Subject, found: Identified) -> list[str]:
    """Return what is not tested, as the functions take no argument for it, or do not return it."""
    reading = found.reading
    left = [o for o in reading.row.options if o not in reading.varied and o not in reading.settings]
    words = [NOT_TESTED.get(o, o) for o in left if o != "reduction"]
    how = reading.gradient
    if how is None:
        return [*words, *_never_asked(subject)]
    if not how.takes_dy and how.of != "jacobian":
        words.append("an upstream gradient: the backward takes none")
    missing = _unseen(subject, reading)
    return [*words, *(f"the gradient of {role}: none is returned" for role in missing)]


def _unseen(subject: Subject, reading: Reading) -> list[str]:
    """Return the arrays whose gradients the backward neither returns nor leaves in an attribute."""
    if reading.gradient is None or reading.gradient.of != "inputs":
        return []
    pair = Asked.of_gradient(subject, reading)
    try:
        returned = pair(pair.prepared(probes(reading.row)[0])).arrays
    except (RaisedError, LookupError):
        return []
    return [role for role in reading.row.inputs if role not in returned]


def _never_asked(subject: Subject) -> list[str]:
    """Say of a backward that nobody knows how to call, that it was not called."""
    if subject.backward is None:
        return []
    places = ", ".join(subject.backward_places() or [])
    name = getattr(subject.backward, "__name__", "the backward")
    return [f"{name}({places}): these arguments are not known"]
