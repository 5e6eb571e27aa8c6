"""What came, and what is right, for every case that a cause must explain.

A cause is named only if, on the input that is shown, it is at least ten times nearer to the answer
than the right value is, and if it fits all other answers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import Asked, apart, numbers
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.findings import WRONG, Finding
from parity.checking.gradients import FITS
from scratchnn.ops.shared import AnyArray

Answers = dict[str, AnyArray]
Known = tuple[Case, Answers, Answers]  # a case, what came, and what is right
OPTIONS = 24  # cases with options


@dataclass(frozen=True)
class Evidence:
    """The example first, then other cases that show the problem, then plain ones.

    Parts    answers, rights   of the cases, by role
             role              of the gradient that is wrong
             exact             it is wrong at ordinary numbers: a cause must give the same answers
    """

    asked: Asked
    cases: list[Case]
    answers: list[Answers]
    rights: list[Answers]
    role: str
    exact: bool

    def sizes(self, case: Case) -> tuple[float, float]:
        shape = case[self.asked.row.inputs[0]].shape
        return float(shape[0]), float(shape[-1])

    def may_be_a_multiple(self, flawed: Answers) -> bool:
        """Whether the example's answer may be flawed answers times a factor."""
        a, b = (np.ravel(x.get(self.role, np.nan)) for x in (self.answers[0], flawed))
        if a.shape != b.shape or not np.isfinite([a, b]).all():
            return False
        return bool(abs(a @ b) >= 0.999 * np.linalg.norm(a) * np.linalg.norm(b) > 0)

    def scaled(self, answers: Answers, k: float) -> Answers:
        """Return answers of which the one that is wrong is multiplied."""
        return {role: x * k if role == self.role else x for role, x in answers.items()}

    @classmethod
    def of(cls, asked: Asked, finding: Finding) -> Evidence | None:
        assert finding.case is not None
        shown = [finding.case, *finding.cases, *_plain(asked, finding)]
        known = [*_asked(asked, shown)]
        if not known or known[0][0] is not finding.case:
            return None
        cases, answers, rights = map(list, zip(*known, strict=True))
        role = finding.problem.role if finding.problem else ""
        return cls(asked, cases, answers, rights, role, finding.grade == WRONG)

    def explained(self, flawed: Sequence[Answers | None]) -> float | None:
        """Return the share of the errors that flawed answers leave open; None if they explain none.

        They are of the first cases, or of all. They must explain the example and nine in ten
        others, and be right wherever the answer is.
        """
        floor = self.asked.floor
        left, misses = [], 0
        given = zip(self.cases, self.answers, self.rights, flawed, strict=False)
        for n, (case, answer, right, other) in enumerate(given):
            if other is None:  # it lacks an option of this case
                if n == 0:
                    return None
                continue
            wrong, near = (_apart(answer, x, right, floor) for x in (right, other))
            ok = near <= 0.05 if not np.isfinite(wrong) else near * 10 <= wrong
            ok &= not self.exact or near <= FITS
            if (n == 0 and (not ok or wrong == 0)) or wrong <= FITS < near:
                return None
            misses += not (ok or near <= FITS)
            if wrong > 64 * float(np.finfo(case[self.asked.row.inputs[0]].dtype).eps):
                left.append(min(1.0, near / wrong if np.isfinite(wrong) else near))
        if misses > len(self.cases) // 10:
            return None
        return float(np.mean(left)) if left else 1.0

    def spoiled_by(self, flawed: Callable[[Case], Answers | None]) -> bool:
        """Whether flawed answers are lost at extreme numbers where the answer is right."""
        floor = self.asked.floor
        for case, answer, right in self.extremes:
            if _apart(answer, right, right, floor) <= FITS:
                other = flawed(case)
                if other is not None and _apart(answer, other, right, floor) > FITS:
                    return True
        return False

    @cached_property
    def extremes(self) -> list[Known]:
        """Extreme cases, where the answers are right at ordinary numbers."""
        return [] if self.exact else [*_asked(self.asked, _extremes(self.asked))]


def _asked(asked: Asked, cases: Iterable[Case]) -> Iterator[Known]:
    for case in cases:
        right = _rights(asked, case)
        if (found := _answers(asked, case, right)) is not None:
            yield case, found, right


def _plain(asked: Asked, finding: Finding) -> list[Case]:
    """Return ordinary cases; where the answer is lost at extremes, what lies in between as well."""
    plain = [
        asked.prepared(given.case, 1)
        for given in inputs.ordinary(asked.row)
        if given.case[asked.row.inputs[0]].dtype == np.float64
    ]
    plain += [asked.prepared(given.case, 2) for given in inputs.options(asked.reading)][:OPTIONS]
    if finding.grade == WRONG:
        return plain
    assert finding.case is not None
    return [*plain[:6], *_smaller(asked, finding.case)]


def _smaller(asked: Asked, case: Case) -> list[Case]:
    """Return an extreme case with smaller and smaller numbers: where a flaw sets in tells which."""
    name = asked.row.inputs[0]
    if name in ("p", "q"):
        return [asked.prepared(given.case, 1) for given in inputs.shares(asked.row)][:20]
    x = case[name]
    if asked.row.products or not np.isfinite(x).all() or abs(x).max(initial=0) > 1e5:
        return []
    return [case | {name: x * x.dtype.type(0.75**k)} for k in range(1, 18)]


def _extremes(asked: Asked) -> Iterator[Case]:
    for given in inputs.extremes(asked.reading):
        if np.isfinite(given.case[asked.row.inputs[0]]).all():
            case = inputs.off_the_kink(asked.row, given.case) if asked.gradient else given.case
            yield asked.prepared(case)


def _answers(asked: Asked, case: Case, rights: Answers) -> Answers | None:
    try:
        found = asked(case).arrays
    except (RaisedError, Mismatch):
        return None
    kept = {}
    for role, value in found.items():
        shape = rights[role].shape if role in rights else None
        got = numbers(asked.reshaped(value, shape) if shape is not None else value, np.float64)
        if got is None:
            return None
        kept[role] = got
    return kept


def _rights(asked: Asked, case: Case) -> Answers:
    with np.errstate(all="ignore"):
        found, _ = asked.rights(case)
        return {role: np.asarray(x).astype(np.float64) for role, x in found.items()}


def _apart(answer: Answers, other: Answers, right: Answers, floor: float) -> float:
    """Return the largest difference of answers, relative to the right one's largest entry."""
    worst = 0.0
    for role in answer.keys() & right.keys():
        a, b = answer[role], other.get(role)
        if b is None or a.shape != b.shape:
            return np.inf
        scale = abs(right[role][np.isfinite(right[role])]).max(initial=0)
        shown = apart(a, b, 1.0) if not scale else apart(a, b, max(float(scale), floor))
        worst = max(worst, shown if a.size else 0.0)
    return worst
