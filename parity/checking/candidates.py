"""All readings of a function, the plainest first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product

from parity.checking import names
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch, held
from parity.checking.conventions import (
    BIASES,
    BITS,
    FACTORS,
    LAYOUTS,
    NO_REDUCTION,
    ONE,
    REDUCTIONS,
    ROWS,
    Factor,
    Layout,
    Reduction,
    kind,
)
from parity.checking.readings import Reading
from parity.checking.rows import ALL, OF, OTHERS
from parity.checking.subject import Subject
from parity.ops import Op

OF_ONE = re.compile(
    r"\b(a|one|single|score) vector|\bvector of|(one|single) (example|sample|row)|\b1-?d\b"
    r"|\((C|K|n|D),\)|\((C|K|classes|n_classes|\d+), ?1\)",
    re.IGNORECASE,
)
OF_ONE_ROW = re.compile(
    r"shape\[(1|-1)\]|\bcolumns?\b|\(1, ?(N|m|n|batch\w*|number of \w+)\)", re.IGNORECASE
)
OF_ONE_OUTPUT = re.compile(
    r"\((N|n|m|batch\w*|n_\w+),( ?1)?\)|\b1-?d\b|\bvectors?\b|\b(one|single) output", re.IGNORECASE
)


def bases(subject: Subject, as_torch: bool, order: Sequence[str] | None) -> Iterator[Reading]:
    """Yield a reading for each row, layout and order of arguments."""
    for row in family(subject.op, as_torch):
        taken = frozenset(o for o in subject.options if o in row.options) - set(subject.settings)
        settings = {o: v for o, v in subject.settings.items() if o in row.options}
        for layout in layouts(row, as_torch):
            for binding in bindings(subject, row, order):
                yield Reading(subject.op, row, binding, layout, settings=settings, taken=taken)


def bindings(subject: Subject, row: Op, order: Sequence[str] | None) -> Iterator[tuple[str, ...]]:
    needed = row.arguments
    if subject.owner is not None and row.products:
        own = _held(subject, row)
        if own - set(row.arguments):
            return  # it has a bias
        needed = tuple(role for role in needed if role not in own)
    places = subject.places(len(needed))
    if places is None:
        yield needed
        return
    if order:
        roles = [
            next((r for r in row.arguments if names.plain(o) in _called(r, row)), o) for o in order
        ]
        if set(roles) == set(needed):
            yield tuple(roles)
        return
    if len(places) != len(needed):
        return

    pair = {names.plain(name) for name in places} == {"a", "b"}  # which tells nothing

    def known(name: str) -> list[str]:
        if pair and "target" in needed:
            return list(needed)
        return [r for r in names.roles_of_forward(row, name) if r in needed] or list(needed)

    fitting = list(names.assignments(places, known, needed))
    if not fitting and "target" in needed:  # as tf's x and z, both of which may be the logits
        fitting = list(names.assignments(places, lambda _: list(needed), needed))
    yield from fitting


def _called(role: str, row: Op) -> set[str]:
    if role == row.inputs[0]:
        return {"prediction", "input", "first", "logits", "probabilities", names.plain(role), role}
    return {"target", "labels", role} if role == "target" else {role}


def _held(subject: Subject, row: Op) -> set[str]:
    """Return the parameters that an object of the class keeps itself."""
    case = row.plain((4, 3, 2))
    for W in (case["W"], case["W"].T) if "W" in case else ():
        with suppress(RaisedError, Mismatch):
            return held(subject.start({**{r: case[r] for r in row.arguments}, "W": W}))
    return set()


def family(op: Op, as_torch: bool) -> list[Op]:
    return [op] if as_torch else [op, *(ALL[name] for name in OTHERS.get(op.name, ()))]


def layouts(op: Op, as_torch: bool) -> tuple[Layout, ...]:
    return (ROWS,) if as_torch else LAYOUTS[kind(op)]


def shapes(base: Reading, as_torch: bool) -> Iterator[Reading]:
    """Yield a reading with each form of its arguments, and each way to set missing options."""
    how = kind(base.row)
    if how == "classes" and base.row.labelled and not as_torch:
        forms: tuple[str, ...] = ("indices", "one-hot", "column")
    else:
        binary = base.row.name.startswith("binary") and not as_torch
        forms = ("indices", "binary") if binary else ("indices",)
    layer = how == "layer" and not as_torch
    weights = (False, True) if layer and "W" in base.row.inputs else (False,)
    columns = base.layout.turned or base.layout.each == "column"
    biases: tuple[str, ...] = ("(H, 1)", *BIASES) if columns else ("(H,)", "(1, H)")
    biases = biases if layer and "b" in base.row.inputs else biases[:1]
    for form, weight, bias in product(forms, weights, biases):
        for more in _missing_options(base, as_torch):
            settings = {**base.settings, **more}
            yield replace(base, form=form, turned_weight=weight, bias=bias, settings=settings)


def _missing_options(base: Reading, as_torch: bool) -> Iterator[dict[str, object]]:
    yield {}
    free = set(base.row.options) - base.taken - set(base.settings)
    if as_torch:
        return
    if "keepdims" in free:
        yield {"keepdims": True}
    if "log_target" in free:
        yield {"log_target": True}


def reductions(base: Reading, as_torch: bool) -> tuple[Reduction, ...]:
    how = kind(base.row)
    if "reduction" not in base.row.options or "reduction" in base.taken:
        return (NO_REDUCTION,)
    known = REDUCTIONS[how]
    if "reduction" in base.settings:
        wanted = base.settings["reduction"]
        return tuple(r for r in known if r.option == wanted and not r.over and not r.per_row) or (
            NO_REDUCTION,
        )
    if base.layout.each:
        return tuple(r for r in known if r.option == "none")
    return known[:1] if as_torch else known


def factors(base: Reading, as_torch: bool) -> tuple[Factor, ...]:
    if as_torch or "reduction" not in base.row.options:
        return (ONE,)
    if base.row.name in FACTORS:
        return FACTORS[base.row.name]
    logs = kind(base.row) == "classes" or base.row.inputs[0] in OF
    return (ONE, BITS) if logs else (ONE,)
