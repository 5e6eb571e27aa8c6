"""First say what it is: the reading of a function that fits on ordinary numbers."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.cases import Case
from parity.checking import names
from parity.checking.asking import Asked, _alike, apart, numbers
from parity.checking.names import CACHE, DY, LOGITS, RESULT, P
from parity.checking.readings import (
    ROWS,
    Gradient,
    Reading,
    factors,
    family,
    kind,
    layouts,
    reductions,
    shapes,
)
from parity.checking.subject import Mismatch, Outcome, RaisedError, Subject, held
from parity.ops import Op

OF_ONE = re.compile(
    r"\b(a|one|single|score) vector|\bvector of|(one|single) (example|sample|row)|\b1-?d\b|\((C|K|n|D),\)"
    r"|\((C|K|classes|n_classes|\d+), ?1\)",
    re.IGNORECASE,
)
FITS = 2e-3  # a convention changes more than this, and a loss of digits less


@dataclass(frozen=True)
class Identified:
    """How a function is read, and whether that fits.

    Parts    reading    the one that fits, else the one to judge by
             value      whether its value fits
             gradient   whether its gradient fits; None where there is none
             orders     in words, how the order of its arguments was found
             nearest    in words, what comes nearest where no reading fits
             others     readings that give an answer of the right shape, where none fits
    """

    reading: Reading
    value: bool
    gradient: bool | None
    orders: str = ""
    nearest: str = ""
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
            if has or _second(self.subject, value):
                return self._value_without_gradient(value)
            return Identified(value, True, None, self.orders)
        return self._nothing_fits()

    def _value_without_gradient(self, value: Reading) -> Identified:
        """Judge by torch's default where the gradient is that of it, else by the value's."""
        for other in (value, *self.fitting[1:]):
            plain = replace(other, reduction=reductions(other, True)[0], factor=factors(other, True)[0])
            if plain != other and (how := _gradient_of(self.subject, plain, _probes(plain.row)[0])):
                return Identified(replace(plain, gradient=how), False, True, self.orders)
        how = _likeliest(self.subject, value)
        return Identified(replace(value, gradient=how), True, False, self.orders)

    def _nothing_fits(self) -> Identified:
        """Judge by the first reading with an answer of the right shape."""
        shaped = [pair for pair in self.answered if np.isfinite(pair[1])]
        first = [reading for reading, _ in [*shaped, *self.answered]] or self.seen
        reading, orders = first[0], _in_words(self.subject, first[0], None)
        near = min(shaped, key=lambda pair: pair[1], default=(reading, np.inf))
        percent = f"{100 * near[1]:.2g} % off"
        nearest = f"the nearest is {near[0].words}, {percent}" if near[1] < 0.5 else ""
        others = tuple(candidate for candidate, _ in shaped[1:])
        found = Identified(reading, False, None, orders, nearest, others)
        if self.subject.backward is None and not _second(self.subject, reading):
            return found
        for candidate in first[:40]:
            if how := _gradient_of(self.subject, candidate, _probes(candidate.row)[0]):
                return replace(found, reading=replace(candidate, gradient=how), gradient=True)
        return read_as(self.subject, found, reading)


def read_as(subject: Subject, found: Identified, reading: Reading) -> Identified:
    """Return what was identified, with another reading, whose gradient may fit."""
    if subject.backward is None and not _second(subject, reading):
        return replace(found, reading=replace(reading, gradient=None), gradient=None)
    how = _gradient_of(subject, reading, _probes(reading.row)[0])
    likely = how or _likeliest(subject, reading)
    return replace(found, reading=replace(reading, gradient=likely), gradient=how is not None)


def _search(subject: Subject, as_torch: bool, order: Sequence[str] | None) -> _Search:
    found = _Search(subject, as_torch, [], [], [])
    alone = bool(OF_ONE.search(subject.words))
    for base in _bases(subject, as_torch, order):
        if base.layout.each and not alone and _meant_for_rows(found, base):
            continue
        for reading in shapes(base, as_torch):
            reading = reading if as_torch else _with_threshold(subject, reading)
            for fit in _fits(subject, reading, as_torch, found):
                found.fitting.append(fit)
                how = _gradient_of(subject, fit, *_probes(fit.row))
                if how is not None or (subject.backward is None and not _second(subject, fit)):
                    found.both = replace(fit, gradient=how)
                    found.orders = _in_words(subject, fit, order)
                    return found
    if found.fitting:
        found.orders = _in_words(subject, found.fitting[0], order)
    return found


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
    """Whether a function takes a batch, well or badly: then it is not asked row by row."""
    if kind(base.row) in ("distribution", "classes") and "axis" in found.subject.source:
        return True
    return any(np.isfinite(far) for reading, far in found.answered if not reading.layout.each)


def _bases(subject: Subject, as_torch: bool, order: Sequence[str] | None) -> Iterator[Reading]:
    """Yield a reading for each row, layout and order of arguments."""
    alone = bool(OF_ONE.search(subject.words))
    for row in family(subject.op, as_torch):
        taken = frozenset(o for o in subject.options if o in row.options) - set(subject.settings)
        settings = {o: v for o, v in subject.settings.items() if o in row.options}
        for layout in layouts(row, as_torch, alone):
            for binding in _bindings(subject, row, order):
                yield Reading(subject.op, row, binding, layout, settings=settings, taken=taken)


def _bindings(
    subject: Subject, row: Op, order: Sequence[str] | None
) -> Iterator[tuple[str, ...]]:
    places, needed = subject.places(), row.arguments
    if places is None:
        yield needed
        return
    if subject.owner is not None and row.products:
        needed = tuple(role for role in needed if role not in _held(subject, row))
    if order:
        roles = [next((r for r in row.arguments if names.plain(o) in _called(r, row)), o) for o in order]
        if set(roles) == set(needed):
            yield tuple(roles)
        return
    if len(places) != len(needed):
        return
    known = lambda name: [r for r in names.roles_of_forward(row, name) if r in needed] or list(needed)  # noqa: E731
    yield from names.assignments(places, known, needed)


def _called(role: str, row: Op) -> set[str]:
    first = {"prediction", "input", "first", "logits", "probabilities", names.plain(role), role}
    return first if role == row.inputs[0] else {"target", "labels", role} if role == "target" else {role}


def _held(subject: Subject, row: Op) -> set[str]:
    case = row.plain((4, 3, 2) if row.products else (4, 3))
    try:
        return held(subject.start({r: case[r] for r in row.arguments}))
    except (RaisedError, Mismatch):
        return set()


def _probes(row: Op) -> list[Case]:
    sizes = ((5, 3, 4), (4, 2, 3)) if row.products else ((5, 3), (3, 4))
    return [row.plain(shape, np.float64, seed) for seed, shape in enumerate(sizes)]


def _fits(subject: Subject, reading: Reading, as_torch: bool, found: _Search) -> Iterator[Reading]:
    """Yield the reading with each reduction and factor that fits on both probes."""
    options = [replace(reading, reduction=r, factor=f)
               for f in factors(reading, as_torch) for r in reductions(reading, as_torch)]
    answers: list[Any] = []
    first, second = _probes(reading.row)
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


def _value(subject: Subject, reading: Reading, case: Case) -> Any:
    asked = Asked(subject, reading)
    return asked(asked.prepared(case)).arrays[""]


def _distance(reading: Reading, answer: Any, case: Case, as_torch: bool) -> tuple[float, bool]:
    asked = Asked(None, reading)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        right = np.asarray(reading.right(asked.prepared(case)), np.float64)
    got = numbers(answer, np.float64)
    if got is None:
        return np.inf, False
    kept = got.shape != right.shape and _alike(got.shape, right.shape) and not as_torch
    return apart(got.reshape(right.shape) if kept else got, right), kept


# The gradient


def _second(subject: Subject, reading: Reading) -> bool:
    """Whether the function returns something second that may be its gradient."""
    ran = _ran(subject, reading)
    if ran is None or ran.extra is None or subject.backward is not None:
        return False
    return subject.second_is_gradient or _gradient_of(subject, reading, _probes(reading.row)[0]) is not None


def _ran(subject: Subject, reading: Reading) -> Outcome | None:
    case = Asked(subject, reading).prepared(_probes(reading.row)[0])
    try:
        return Asked(subject, reading)._run(reading.calls(case)[0], case)
    except (RaisedError, Mismatch):
        return None


def _gradient_of(subject: Subject, reading: Reading, *probes: Case) -> Gradient | None:
    """Return how the backward is called and what it is of, if that fits on the probes."""
    for how in _gradients(subject, reading):
        asked = Asked.of_gradient(subject, replace(reading, gradient=how))
        if all(_gradient_fits(asked, case) for case in probes):
            return how
    return None


def _gradient_fits(asked: Asked, case: Case) -> bool:
    case = asked.prepared(case)
    try:
        found = asked(case).arrays
    except (RaisedError, Mismatch, LookupError):
        return False
    right, _ = asked.rights(case)
    first = asked.row.inputs[0]
    if not found or (first not in found and not {"W", "b"} & set(found)):
        return False
    return all(_near(asked, found[r], right[r]) for r in found if r in right)


def _near(asked: Asked, found: Any, right: Any) -> bool:
    right = np.asarray(right, np.float64)
    got = numbers(asked._reshaped(found, right.shape), np.float64)
    return got is not None and apart(got, right) <= FITS


def _gradients(subject: Subject, reading: Reading) -> Iterator[Gradient]:
    """Yield the ways to call the backward, the likeliest first."""
    ran = _ran(subject, reading)
    if subject.backward is None:
        if ran is not None and ran.extra is not None:
            yield from (Gradient(second=True, of=of) for of in _of(reading, subject.as_torch))
        return
    extra = ran is not None and ran.extra is not None
    pool = [DY, *reading.row.arguments, RESULT, *([P] if reading.row.inputs[0] == "z" else [])]
    pool += [CACHE] if extra else []
    pool += [LOGITS] if reading.row.inputs[0] == "p" else []
    places = subject.backward_places()
    if places is None:
        yield Gradient((DY, *reading.row.arguments))
        return
    words = "" if subject.as_torch else subject.backward_words
    bound = dict(zip(subject.places() or (), reading.binding, strict=False))
    roles = lambda name: names.roles_of_backward(reading.row, name, pool, words, bound)  # noqa: E731
    for chosen in names.assignments(places, roles, ()):
        for of in _of(reading, subject.as_torch):
            if of != "jacobian" or DY not in chosen:
                yield Gradient(chosen, of)
                if DY not in chosen and reading.reduction.option == "none":
                    yield from (Gradient(chosen, of, over=over) for over in ("N", "N C"))


def _of(reading: Reading, as_torch: bool) -> Iterator[str]:
    yield "inputs"
    if as_torch:
        return
    if reading.row.name.startswith(("cross_entropy_of", "binary_cross_entropy")) and (
        reading.row.inputs[0] == "p"
    ):
        yield "logits"
    if kind(reading.row) == "distribution" and not reading.row.name.startswith("logsumexp"):
        yield "jacobian"


def _likeliest(subject: Subject, reading: Reading) -> Gradient | None:
    """Return the likeliest way to call a backward that fits in none.

    It is one whose answer is a multiple of the right one, else the first that does not raise.
    """
    ways = [*_gradients(subject, reading)]
    answering = []
    for how in ways:
        asked = Asked.of_gradient(subject, replace(reading, gradient=how))
        case = asked.prepared(_probes(reading.row)[0])
        try:
            found = asked(case).arrays
        except (RaisedError, Mismatch, LookupError):
            continue
        if found:
            answering.append(how)
            if _parallel(asked, found, case):
                return how
    plain = [how for how in (*answering, *ways) if how.of == "inputs" and not how.over]
    return plain[0] if plain else None


def _parallel(asked: Asked, found: dict[str, Any], case: Case) -> bool:
    first = asked.row.inputs[0]
    right = np.asarray(asked.rights(case)[0][first], np.float64)
    got = numbers(found.get(first), np.float64)
    if got is None or got.shape != right.shape or not np.isfinite(got).all():
        return False
    sizes = np.linalg.norm(got) * np.linalg.norm(right)
    return bool(sizes and abs((got * right).sum()) > 0.9999 * sizes)


def _in_words(subject: Subject, reading: Reading, order: Sequence[str] | None) -> str:
    """Say which argument was taken for what, where there is more than one."""
    places = subject.places()
    if not places or len(places) < 2:
        return ""
    pairs = ", ".join(f"{name} = {_role(role)}" for name, role in zip(places, reading.binding, strict=False))
    told = len([*_bindings(subject, reading.row, order)]) == 1
    if order:
        return f"{pairs} (by --order)"
    if told or "target" not in reading.row.arguments:
        return pairs
    return f"{pairs} (found by trying both orders)"


def _role(role: str) -> str:
    from parity.checking.rows import OF

    return OF.get(role, role)


assert ROWS


def fits_alone(subject: Subject, reading: Reading) -> bool:
    """Whether a function that is wrong for a batch is right for one example per call."""
    for layout in (x for x in layouts(reading.row, False, False) if x.each == "vector"):
        found = _Search(subject, False, [], [], [])
        base = replace(reading, layout=layout, gradient=None, kept=False)
        if any(True for shape in shapes(base, False) for _ in _fits(subject, shape, False, found)):
            return True
    return False
