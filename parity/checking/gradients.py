"""How a backward is called, and what its gradient is of: the way that fits, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from parity.cases import Case
from parity.checking import names
from parity.checking.asking import Asked, apart, numbers
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch, rates
from parity.checking.conventions import Gradient, kind
from parity.checking.names import (
    CACHE,
    DY,
    INPUTS,
    LOGITS,
    RATE,
    RESULT,
    TARGETS,
    P,
    plain,
)
from parity.checking.readings import Reading
from parity.checking.subject import Outcome, Subject
from parity.ops import Op

FITS = 2e-3  # a convention changes more than this, and a loss of digits less


def probes(row: Op) -> list[Case]:
    sizes = ((5, 3, 4), (4, 2, 3)) if row.products else ((5, 3), (3, 4))
    return [row.plain(shape, np.float64, seed) for seed, shape in enumerate(sizes)]


def returns_it_second(subject: Subject, reading: Reading) -> bool:
    """Whether the function returns something second that may be its gradient."""
    ran = _ran(subject, reading)
    if ran is None or ran.extra is None or subject.backward is not None:
        return False
    return (
        subject.second_is_gradient
        or gradient_of(subject, reading, probes(reading.row)[0]) is not None
    )


def _ran(subject: Subject, reading: Reading) -> Outcome | None:
    case = Asked(subject, reading).prepared(probes(reading.row)[0])
    try:
        return Asked(subject, reading).run(reading.calls(case)[0], case)
    except (RaisedError, Mismatch):
        return None


def gradient_of(subject: Subject, reading: Reading, *probes: Case) -> Gradient | None:
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


def _near(asked: Asked, found: object, right: object) -> bool:
    right = np.asarray(right, np.float64)
    got = numbers(asked.reshaped(found, right.shape), np.float64)
    return got is not None and apart(got, right) <= FITS


def _gradients(subject: Subject, reading: Reading) -> Iterator[Gradient]:
    """Yield the ways to call the backward, the likeliest first."""
    ran = _ran(subject, reading)
    if subject.backward is None:
        if ran is not None and ran.extra is not None:
            yield from (Gradient(second=True, of=of) for of in _of(reading, subject.as_torch))
        return
    extra = ran is not None and ran.extra is not None
    first, loss = reading.row.inputs[0], "target" in reading.row.arguments
    pool = [DY, *reading.row.arguments, RESULT, *([P] if first == "z" and loss else [])]
    pool += [CACHE] if extra else []
    pool += [LOGITS] if first == "p" else []
    places = subject.backward_places()
    if places is None:
        yield Gradient((DY, *reading.row.arguments))
        return
    words = "" if subject.as_torch else subject.backward_words
    bound = dict(zip(subject.places() or (), reading.binding, strict=False))
    roles = lambda name: names.roles_of_backward(reading.row, name, pool, words, bound)  # noqa: E731
    if _uses_what_was_kept(subject, reading, places):
        roles = lambda name: [RATE if plain(name) in names.RATES else DY]  # noqa: E731
    moves = ran is not None and bool(rates(ran.instance))
    for chosen in names.assignments(places, roles, ()):
        updates = reading.row.products and (moves or RATE in chosen)
        for of in _of(reading, subject.as_torch):
            if of != "jacobian" or DY not in chosen:
                yield Gradient(chosen, of, updates=updates)
                if DY not in chosen and reading.reduction.option == "none":
                    yield from (Gradient(chosen, of, over=over) for over in ("N", "N C"))


def _uses_what_was_kept(subject: Subject, reading: Reading, places: Sequence[str]) -> bool:
    """Whether a backward of one array answers by what the forward left in the object.

    That array is the upstream gradient then, whatever it is called.
    """
    arrays = [name for name in places if plain(name) not in names.RATES]
    if subject.owner is None or len(arrays) != 1:
        return False
    if "target" in reading.row.arguments and plain(arrays[0]) in {"y", *TARGETS, *INPUTS}:
        return False
    roles = tuple(DY if name in arrays else RATE for name in places)
    asked = Asked.of_gradient(subject, replace(reading, gradient=Gradient(roles, updates=True)))
    case = asked.prepared(probes(reading.row)[0])
    first = reading.row.inputs[0]
    one, other = (_arrays(asked, given) for given in (case, case | {first: -case[first]}))
    if one is None or other is None:
        return False
    pairs = ((np.asarray(x), np.asarray(other.get(role))) for role, x in one.items())
    return not all(np.array_equal(a, b) for a, b in pairs)


def _arrays(asked: Asked, case: Case) -> dict[str, object] | None:
    try:
        return asked(case).arrays
    except (RaisedError, Mismatch, LookupError):
        return None


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


def likeliest(subject: Subject, reading: Reading) -> Gradient | None:
    """Return the likeliest way to call a backward that fits in none.

    It is one whose answer is a multiple of the right one, or has the shape of the Jacobians, else
    the first that does not raise.
    """
    answering = []
    for how, asked, case in _asked(subject, reading):
        if found := _arrays(asked, case):
            answering.append(how)
            if _parallel(asked, found, case) or _like_jacobians(asked, found, case):
                return how
    ways = (*answering, *_gradients(subject, reading))
    return next((how for how in ways if how.of == "inputs" and not how.over), None)


def _like_jacobians(asked: Asked, found: dict[str, object], case: Case) -> bool:
    first, how = asked.row.inputs[0], asked.reading.gradient
    if how is None or how.of != "jacobian":
        return False
    return _shape(found.get(first)) == np.shape(asked.rights(case)[0][first])


def _shape(answer: object) -> tuple[int, ...] | None:
    got = numbers(answer, np.float64)
    return None if got is None else got.shape


def answers(subject: Subject, reading: Reading) -> bool:
    """Whether a backward gives an answer for a batch, right or wrong, in any way to call it."""
    return any(_arrays(asked, case) for _, asked, case in _asked(subject, reading))


def takes_no_batch(subject: Subject, reading: Reading) -> bool:
    """Whether a backward is of one example: it raises for a batch, or makes (n, n) of n numbers."""
    if subject.backward is None:
        return False
    shapes = []
    for _, asked, case in _asked(subject, reading):
        found = _arrays(asked, case) or {}
        size = np.size(case[reading.row.inputs[0]])
        shapes += [_shape(x) == (size, size) for x in found.values()]
    return all(shapes)


def _asked(subject: Subject, reading: Reading) -> Iterator[tuple[Gradient, Asked, Case]]:
    for how in _gradients(subject, reading):
        asked = Asked.of_gradient(subject, replace(reading, gradient=how))
        yield how, asked, asked.prepared(probes(reading.row)[0])


def _parallel(asked: Asked, found: dict[str, object], case: Case) -> bool:
    first = asked.row.inputs[0]
    right = np.asarray(asked.rights(case)[0][first], np.float64)
    got = numbers(found.get(first), np.float64)
    if got is None or got.shape != right.shape or not np.isfinite(got).all():
        return False
    sizes = np.linalg.norm(got) * np.linalg.norm(right)
    return bool(sizes and abs((got * right).sum()) > 0.9999 * sizes)
