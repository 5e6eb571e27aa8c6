"""First say what it is: the reading of a function that fits on ordinary numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from parity.cases import Case
from parity.checking.asking import Asked, alike, apart, numbers
from parity.checking.calls import RaisedError
from parity.checking.candidates import (
    OF_ONE,
    OF_ONE_OUTPUT,
    OF_ONE_ROW,
    bases,
    bindings,
    factors,
    layouts,
    reductions,
    shapes,
)
from parity.checking.classes import Mismatch
from parity.checking.conventions import COLUMNS, FLAT, ONE_COLUMN, ONE_ROW, ROWS, kind
from parity.checking.gradients import (
    FITS,
    answers,
    gradient_of,
    likeliest,
    probes,
    returns_it_second,
    takes_no_batch,
)
from parity.checking.readings import Reading
from parity.checking.rows import OF
from parity.checking.subject import Subject

NEAR = 12  # readings that come near on the first probe


@dataclass(frozen=True)
class Identified:
    """How a function is read, and whether that fits.

    Parts    reading    the one that fits, else the one to judge by
             value      whether its value fits
             gradient   whether its gradient fits; None where there is none
             orders     in words, how the order of its arguments was found
             nearest    the reading that comes nearest, and by how much, where none fits
             others     readings that give an answer of the right shape, where none fits
    """

    reading: Reading
    value: bool
    gradient: bool | None
    orders: str = ""
    nearest: tuple[Reading, float] | None = None
    others: tuple[Reading, ...] = ()


def identify(
    subject: Subject, as_torch: bool = False, order: Sequence[str] | None = None
) -> Identified:
    """Return the reading of a subject that fits value and gradient, the plainest first.

    Raises   ValueError where it takes other arguments than the operation
    """
    thing_of_torch = str(getattr(subject.thing, "__module__", "")).startswith("torch")
    subject.tensors, subject.as_torch = subject.tensors or thing_of_torch, as_torch
    found = _search(subject, as_torch, order)
    if not found.answered and not subject.tensors and "torch" in sys.modules:
        subject.tensors = True
        of_tensors = _search(subject, as_torch, order)
        found, subject.tensors = (of_tensors, True) if of_tensors.answered else (found, False)
    if not found.seen:
        places = subject.places() or []
        wanted = ", ".join(subject.op.arguments)
        words = f"{subject.name} must take ({wanted}), as {subject.op.name} does"
        raise ValueError(f"{words}, got ({', '.join(places)})")
    return found.result()


@dataclass
class _Search:
    """What was found on the way."""

    subject: Subject
    as_torch: bool
    seen: list[Reading]
    answered: list[tuple[Reading, float]]  # with the distance of the value from the right one
    fitting: list[Reading]
    both: Reading | None = None
    gradient_alone: Reading | None = None
    orders: str = ""

    def result(self) -> Identified:
        has = self.subject.backward is not None or self.both is not None
        if self.both is not None:
            return Identified(self.both, True, True if has else None, self.orders)
        if self.fitting:
            value = self.fitting[0]
            if has or returns_it_second(self.subject, value):
                return self._value_without_gradient(value)
            return Identified(value, True, None, self.orders)
        return self._nothing_fits()

    def _value_without_gradient(self, value: Reading) -> Identified:
        """Judge by torch's default where the gradient is that of it, else by the value's."""
        for other in (value, *self.fitting[1:]):
            plain = replace(
                other, reduction=reductions(other, True)[0], factor=factors(other, True)[0]
            )
            if plain != other and (how := gradient_of(self.subject, plain, probes(plain.row)[0])):
                return Identified(replace(plain, gradient=how), False, True, self.orders)
        how = likeliest(self.subject, value)
        return Identified(replace(value, gradient=how), True, False, self.orders)

    def _nothing_fits(self) -> Identified:
        """Judge by the first reading with an answer of the right shape."""
        shaped = [pair for pair in self.answered if np.isfinite(pair[1])]
        first = [reading for reading, _ in [*shaped, *self.answered]] or self.seen
        reading, orders = first[0], _in_words(self.subject, first[0], None)
        near = _nearest(self.subject, shaped)
        nearest = near if near and near[1] < 0.5 else None
        others = tuple(candidate for candidate, _ in shaped[1:])
        found = Identified(reading, False, None, orders, nearest, others)
        if not _has_gradient(self.subject, reading):
            return found
        for candidate in first[:40]:
            if how := gradient_of(self.subject, candidate, probes(candidate.row)[0]):
                return replace(found, reading=replace(candidate, gradient=how), gradient=True)
        return read_as(self.subject, found, reading)


def _nearest(
    subject: Subject, shaped: Sequence[tuple[Reading, float]]
) -> tuple[Reading, float] | None:
    """Return the reading that comes nearest on both probes: on one, many do by chance."""
    found = []
    for reading, far in sorted(shaped, key=_far)[:NEAR]:
        second = probes(reading.row)[1]
        with suppress(RaisedError, Mismatch):
            also = _distance(reading, _value(subject, reading, second), second, False)[0]
            found.append((reading, max(far, also)))
    return min(found, key=_far, default=None)


def _far(pair: tuple[Reading, float]) -> float:
    return round(pair[1], 3)  # of two that are as near, the plainer one comes first


def read_as(subject: Subject, found: Identified, reading: Reading) -> Identified:
    """Return what was identified, with another reading, whose gradient may fit."""
    if not _has_gradient(subject, reading):
        return replace(found, reading=replace(reading, gradient=None), gradient=None)
    how = gradient_of(subject, reading, probes(reading.row)[0])
    likely = how or likeliest(subject, reading)
    return replace(found, reading=replace(reading, gradient=likely), gradient=how is not None)


def _search(subject: Subject, as_torch: bool, order: Sequence[str] | None) -> _Search:
    found = _Search(subject, as_torch, [], [], [])
    for base in bases(subject, as_torch, order):
        if base.layout.each and _meant_for_rows(found, base):
            continue
        if base.layout in (FLAT, ONE_COLUMN) and _disagrees_for_a_batch(found, base):
            continue
        if base.layout is ONE_ROW and _mixes_rows(found, base):
            continue
        for reading in shapes(base, as_torch):
            reading = reading if as_torch else _with_threshold(subject, reading)
            for fit in _fits(subject, reading, as_torch, found):
                found.fitting.append(fit)
                how = gradient_of(subject, fit, *probes(fit.row))
                if how is not None or (
                    subject.backward is None and not returns_it_second(subject, fit)
                ):
                    found.both = replace(fit, gradient=how)
                    found.orders = _in_words(subject, fit, order)
                    return found
    if found.fitting:
        found.orders = _in_words(subject, found.fitting[0], order)
        if not as_torch and not _disagrees_for_a_batch(found, found.fitting[0]):
            _read_alone(found)
    return found


def _read_alone(found: _Search) -> None:
    """Look for a reading of one example per call, where the gradient fits by that alone.

    A layer is asked so only if its backward takes no batch: with one example alone, nobody sees
    whether the gradients of its parameters are summed.
    """
    subject, reading = found.subject, found.fitting[0]
    layer, wrong = reading.row.products, []
    if layer and answers(subject, reading):
        return
    for fit in _alone(subject, reading):
        if how := gradient_of(subject, fit, *probes(fit.row)):
            found.both = replace(fit, gradient=how)
            return
        wrong += [fit] if layer and answers(subject, fit) else []
    found.fitting[:0] = wrong


def _alone(subject: Subject, reading: Reading) -> Iterator[Reading]:
    """Yield the readings of one example per call that fit the value."""
    each = ("vector", "row", "column") if reading.row.products else ("vector",)
    for layout in (x for x in layouts(reading.row, False) if x.each in each):
        base = replace(reading, layout=layout, gradient=None, kept=False)
        for shape in shapes(base, False):
            yield from _fits(subject, shape, False, _Search(subject, False, [], [], []))


def _with_threshold(subject: Subject, reading: Reading) -> Reading:
    """Return a softplus without the threshold of torch's, if it is the exact one."""
    row = reading.row
    if row.name != "softplus" or "threshold" in reading.taken or "threshold" in reading.settings:
        return reading
    exact = replace(reading, settings={**reading.settings, "threshold": 1e30})
    case = {"z": np.array([[20.5, 21.0]])}
    try:
        got = np.asarray(_value(subject, exact, case), np.float64)
    except (RaisedError, Mismatch, TypeError, ValueError):
        return reading
    far = [apart(got, case["z"] + extra) for extra in (0.0, np.exp(-case["z"]))]
    return exact if far[1] < far[0] else reading


def _meant_for_rows(found: _Search, base: Reading) -> bool:
    """Whether a function takes a batch, well or badly: then it is not asked row by row.

    It is all the same if its words say that it takes one example, or if its backward takes no more.
    """
    subject = found.subject
    if OF_ONE.search(subject.words):
        return False
    batch = replace(base, layout=ROWS)
    if kind(base.row) == "distribution" and not found.fitting and takes_no_batch(subject, batch):
        return not answers(subject, base)
    if kind(base.row) in ("distribution", "classes") and "axis" in subject.source:
        return True  # as it names an axis of it
    return any(np.isfinite(far) for reading, far in found.answered if not reading.layout.each)


def _disagrees_for_a_batch(found: _Search, base: Reading) -> bool:
    """Whether a function takes several outputs per example, and its backward is wrong for them.

    With one output alone, nobody sees that a mean over all entries was divided by the rows. A loss
    of two classes has one output, and so has one whose words say so.
    """
    subject, row = found.subject, base.row
    if kind(row) != "entries" or row.name.startswith("binary"):
        return False
    if OF_ONE_OUTPUT.search(f"{subject.words}\n{subject.backward_words}"):
        return False
    fitting = [r for r in found.fitting if r.layout is ROWS and r.row == row]
    return any(answers(subject, r) for r in fitting)


def _mixes_rows(found: _Search, base: Reading) -> bool:
    """Whether a function takes a batch and is wrong for it: with one row alone, nobody sees why.

    It is asked with (1, N) all the same if it counts or names the examples of axis 1.
    """
    if found.fitting or OF_ONE_ROW.search(f"{found.subject.source}\n{found.subject.words}"):
        return False
    batches = [
        far for r, far in found.answered if r.layout in (ROWS, COLUMNS) and r.row == base.row
    ]
    return any(np.isfinite(far) for far in batches)


def _fits(subject: Subject, reading: Reading, as_torch: bool, found: _Search) -> Iterator[Reading]:
    """Yield the reading with each reduction and factor that fits on both probes."""
    options = [
        replace(reading, reduction=r, factor=f)
        for f in factors(reading, as_torch)
        for r in reductions(reading, as_torch)
    ]
    answers: list[object] = []
    first, second = probes(reading.row)
    found.seen.append(options[0])
    try:
        answers.append(_value(subject, options[0], first))
    except (RaisedError, Mismatch):
        return
    for candidate in options:
        distance, kept = _distance(candidate, answers[0], first, as_torch)
        found.answered.append((replace(candidate, kept=kept), distance))
        if distance > FITS:
            continue
        try:
            if len(answers) == 1:
                answers.append(_value(subject, options[0], second))
        except (RaisedError, Mismatch):
            return
        if _distance(candidate, answers[1], second, as_torch)[0] <= FITS:
            yield replace(candidate, kept=kept)


def _value(subject: Subject, reading: Reading, case: Case) -> object:
    asked = Asked(subject, reading)
    return asked(asked.prepared(case)).arrays[""]


def _distance(reading: Reading, answer: object, case: Case, as_torch: bool) -> tuple[float, bool]:
    asked = Asked(None, reading)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        right = np.asarray(reading.right(asked.prepared(case)), np.float64)
    got = numbers(answer, np.float64)
    if got is None:
        return np.inf, False
    kept = got.shape != right.shape and alike(got.shape, right.shape) and not as_torch
    return apart(got.reshape(right.shape) if kept else got, right), kept


def _in_words(subject: Subject, reading: Reading, order: Sequence[str] | None) -> str:
    """Say which argument was taken for what, where there is more than one."""
    places = subject.places(len(reading.binding))
    if not places or len(places) < 2:
        return ""
    pairs = ", ".join(
        f"{name} = {_role(role)}" for name, role in zip(places, reading.binding, strict=False)
    )
    told = len([*bindings(subject, reading.row, order)]) == 1
    if order:
        return f"{pairs} (by --order)"
    if told or "target" not in reading.row.arguments:
        return pairs
    return f"{pairs} (found by trying both orders)"


def _role(role: str) -> str:
    return OF.get(role, role)


def _has_gradient(subject: Subject, reading: Reading) -> bool:
    return subject.backward is not None or returns_it_second(subject, reading)


def fits_alone(subject: Subject, reading: Reading) -> bool:
    """Whether a function that is wrong for a batch is right for one example per call."""
    return next(_alone(subject, reading), None) is not None
