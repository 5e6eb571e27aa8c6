"""Why an answer is wrong: by what fits it, and by nothing else.

A cause is named only if, on the input that is shown, it is at least ten times nearer to the answer
than the right value is, and if it fits all other answers, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from itertools import product
from typing import Any

import numpy as np

from parity import judge
from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import DY, Asked, Problem, apart, numbers
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.facts import facts, of_its_own, of_shape
from parity.checking.findings import WRONG, Finding
from parity.checking.gradients import FITS
from parity.checking.readings import is_default
from parity.flaws import Flaw, cross_entropy, layers, losses, probabilities, softmax
from parity.ops import as_tuple
from scratchnn.ops.shared import AnyArray

FLAWS: tuple[Flaw, ...] = (
    *softmax.FLAWS,
    *cross_entropy.FLAWS,
    *probabilities.FLAWS,
    *losses.FLAWS,
    *layers.FLAWS,
)
EPSILONS = [float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)]
EPSILONS += [10.0**-k for k in range(1, 21)] + [5.0 * 10.0**-k for k in range(2, 13)]
EPSILONS += [1e-30, 1e-37, 1e-50, 1e-100, 1e-300]
OF_OPTIONS = {"weight", "pos_weight", "label_smoothing", "ignore_index", "log_target"}
BY_KIND = {
    "modified": "an in-place operation (z -= ...) on the argument: it is the caller's array",
    "read-only": "an in-place operation on the argument: copy it first",
    "strided": "it reads memory in the order of another layout: .data, .ravel('K') or .view",
    "again": "it keeps something from the last call, or is random",
    "label": "NumPy counts -1 from the end, so it reads the last class: check the labels",
    "float64": "float64 came in on the way: by np.zeros or np.eye without dtype, or a NumPy scalar",
    "object": "it was made by np.frompyfunc or np.vectorize: call .astype(z.dtype) on the result",
}


@dataclass(frozen=True)
class Cause:
    """What explains an answer, in words, and how near it comes."""

    words: str
    distance: float
    flaw: Flaw | None = None
    pair: bool = False  # of a flaw and a factor


Answers = dict[str, AnyArray]


def diagnose(asked: Asked, finding: Finding) -> Finding:
    """Return a finding with its cause; where none fits, with what is known."""
    problem = finding.problem
    if problem is None:
        return finding
    words = _told_by_kind(problem)
    if words is None and finding.case is not None:
        words = _told_by_answers(asked, finding)
    if words:
        return replace(finding, cause=words, known=True)
    return replace(finding, notes=tuple(facts(finding)))


def _told_by_kind(problem: Problem) -> str | None:
    """Return the cause where the kind of a problem tells it; empty where there is none."""
    if problem.kind == "warns":
        return ""
    if problem.kind == "dtype":
        return BY_KIND.get(str(problem.got), "")
    if problem.kind == "raises" and "OverflowError" in problem.words:
        return "math.exp raises where it overflows, beyond 709.8: take the exponential of -|z|"
    return BY_KIND.get(problem.kind)


def _told_by_answers(asked: Asked, finding: Finding) -> str:
    """Return the cause that explains the answers; empty where none does."""
    problem = finding.problem
    if cause := find(asked, finding):
        return cause.words
    if problem is not None and problem.kind == "shape":
        return of_shape(finding)
    if problem is None or problem.role != asked.row.inputs[0] or problem.size <= FITS:
        return ""
    if finding.grade == WRONG and of_its_own(asked):
        return "the backward is right for your function, which is another one"
    return ""


def find(asked: Asked, finding: Finding) -> Cause | None:
    """Return the flaw, or factor, or pair of both, that explains a finding best."""
    evidence = Evidence.of(asked, finding)
    if evidence is None:
        return None
    alone = [c for flaw in _flaws(asked) for c in _of_flaw(evidence, flaw)]
    if alone:
        return min(alone, key=lambda cause: round(cause.distance, 3))
    if finding.grade != WRONG:
        return None
    if cause := _factor(evidence, evidence.rights) or _of_form(evidence):
        return cause
    for flaw in _flaws(asked):
        flawed = _flawed(asked, flaw, evidence.cases[0])
        if flawed and evidence.may_be_a_multiple(flawed):
            pair = _factor(evidence, [_flawed(asked, flaw, case) for case in evidence.cases])
            if pair:
                words = f"two things: {flaw.cause} And {pair.words}"
                return Cause(words, pair.distance, flaw, pair=True)
    return None


def _flaws(asked: Asked) -> list[Flaw]:
    row = asked.row.name, asked.row.function
    found = [flaw for flaw in FLAWS if flaw.op in row and flaw.backward == asked.gradient]
    how = asked.reading.gradient
    if how is not None and not how.takes_dy:
        found = [flaw for flaw in found if "upstream gradient" not in flaw.cause]
    lacking = (set(asked.row.options) & OF_OPTIONS) - asked.reading.taken
    return [flaw for flaw in found if not _options(flaw)[0] & lacking]


# What came, and what is right, for all cases that are known


@dataclass(frozen=True)
class Evidence:
    """The example first, then other cases that show the problem, then plain ones."""

    asked: Asked
    cases: list[Case]
    answers: list[Answers]
    rights: list[Answers]
    role: str  # of the gradient that is wrong
    exact: bool  # it is wrong at ordinary numbers, where a cause must give the same answers

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
        dtype = np.float64
        plain = [
            asked.prepared(g.case, 1)
            for g in inputs.ordinary(asked.row)
            if g.case[asked.row.inputs[0]].dtype == dtype
        ]
        plain += [asked.prepared(g.case, 2) for g in inputs.options(asked.reading)][:24]
        if finding.grade != WRONG:
            plain = [*plain[:6], *_smaller(asked, finding.case)]
        shown = [finding.case, *finding.cases]
        cases, answers, rights = [], [], []
        for n, case in enumerate([*shown, *plain]):
            right = _rights(asked, case)
            if (found := _answers(asked, case, right)) is None:
                if n == 0:
                    return None
                continue
            cases.append(case)
            answers.append(found)
            rights.append(right)
        role = finding.problem.role if finding.problem else ""
        return cls(asked, cases, answers, rights, role, finding.grade == WRONG)

    def explained(self, flawed: list[Answers | None]) -> float | None:
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


def _smaller(asked: Asked, case: Case) -> list[Case]:
    """Return an extreme case with smaller and smaller numbers: where a flaw sets in tells which."""
    name = asked.row.inputs[0]
    if name in ("p", "q"):
        return [asked.prepared(given.case, 1) for given in inputs.shares(asked.row)][:20]
    x = case[name]
    if asked.row.products or not np.isfinite(x).all() or abs(x).max(initial=0) > 1e5:
        return []
    return [case | {name: x * x.dtype.type(0.75**k)} for k in range(1, 18)]


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


# Flaws


def _of_flaw(evidence: Evidence, flaw: Flaw) -> list[Cause]:
    """Return the flaw as a cause, with the ε that fits best, if it explains the evidence."""
    found = []
    tiny = float(np.finfo(evidence.cases[0][evidence.asked.row.inputs[0]].dtype).tiny)
    fitted = [epsilon for epsilon in EPSILONS if epsilon >= tiny]
    for epsilon in fitted if "epsilon" in _options(flaw)[0] else [None]:
        if evidence.explained([_flawed(evidence.asked, flaw, evidence.cases[0], epsilon)]) is None:
            continue
        flawed = [_flawed(evidence.asked, flaw, case, epsilon) for case in evidence.cases]
        distance = evidence.explained(flawed)
        if distance is not None:
            said = f"{epsilon:.1g}".replace("e-0", "e-") if epsilon else ""
            found.append(Cause(flaw.cause.replace("{epsilon}", said), distance, flaw))
    return [min(found, key=lambda cause: cause.distance)] if found else []


@cache
def _options(flaw: Flaw) -> tuple[frozenset[str], bool]:
    """Return the arguments of a flaw's function, and whether it takes all others, too."""
    known = signature(flaw.wrong).parameters
    return frozenset(known), any(p.kind is p.VAR_KEYWORD for p in known.values())


def _flawed(asked: Asked, flaw: Flaw, case: Case, epsilon: float | None = None) -> Answers | None:
    """Return a flaw's answers in the function's form; None where it lacks an option of the case."""
    row, reading = asked.row, asked.reading
    known, every = _options(flaw)
    given: dict[str, Any] = {}
    for option in row.options:
        value, default = case[option], row.defaults[option]
        if every or option in known:
            given[option] = value
        elif not is_default(value, default) and not (option == "axis" and value in (-1, 1)):
            return None
    if epsilon is not None:
        given["epsilon"] = epsilon
    arrays = [np.array(case[name]) for name in row.arguments]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if not asked.gradient:
                value = np.asarray(flaw.wrong(*arrays, **given))
                return {"": np.asarray(reading.present(case, value), np.float64)}
            dy = np.asarray(reading.spread(case, case[DY]), judge.value_dtype(row, case))
            if reading.gradient is not None and reading.gradient.of != "inputs":
                return None
            found = as_tuple(flaw.wrong(dy, *arrays, **given))
        except Exception:
            return None
    pairs = dict(zip(row.inputs, found, strict=False))
    return {r: np.asarray(x, np.float64) for r, x in reading.folded(pairs).items()}


# A factor with a meaning


# What is said, and the factor: a number, and powers of the number of rows N and of columns C.
LARGE = "it is {times} times too large: {of}. Is a division by {by} missing?"
SMALL = "it is {times} times too small: {of}. Is there one division by {by} too many?"
LENGTHS = {
    "N": ("N, the length of axis 0", 1, 0),
    "C": ("C, the length of axis 1", 0, 1),
    "N C": ("N C, the number of entries", 1, 1),
}
FACTORS: list[tuple[str, float, int, int]] = [
    ("it is divided by the number of columns, in place of that of the rows.", 1.0, 1, -1),
    ("it is divided by the number of rows, in place of that of the columns.", 1.0, -1, 1),
    *(
        (LARGE.replace("{of}", of).replace("{by}", by), 1.0, n, c)
        for by, (of, n, c) in LENGTHS.items()
    ),
    *(
        (SMALL.replace("{of}", of).replace("{by}", by), 1.0, -n, -c)
        for by, (of, n, c) in LENGTHS.items()
    ),
    ("it is twice too large: a factor 2 too many, or a 1/2 missing.", 2.0, 0, 0),
    ("it is half of the right one: a factor 2 is missing.", 0.5, 0, 0),
    ("it is in bits: the logarithm has base 2.", 1 / float(np.log(2)), 0, 0),
    ("it is log 2 times the right one: the base is e here, and 2 there.", float(np.log(2)), 0, 0),
]


def _factor(evidence: Evidence, of: Sequence[Answers | None]) -> Cause | None:
    """Return the factor between the answers and others, the same expression in all cases.

    Of several gradients, it is that of the one that is wrong.
    """
    for sign, (words, number, n, c) in product((1, -1), [("", 1.0, 0, 0), *FACTORS]):
        if sign == 1 and not words:
            continue
        scales, flawed = [], []
        for case, right in zip(evidence.cases, of, strict=True):
            N, C = evidence.sizes(case)
            scales.append(sign * number * N**n * C**c)
            flawed.append(right and evidence.scaled(right, scales[-1]))
        distance = evidence.explained(flawed)
        if distance is not None:
            k = next((abs(scale) for scale in scales if abs(scale) != 1), 1.0)
            k = max(k, 1 / k)
            signed = "the sign is wrong." if sign < 0 else ""
            words = " And ".join(filter(None, (words.replace("{times}", f"{k:.4g}"), signed)))
            return Cause(words, distance)
    return None


FORMS: dict[str, Callable[[AnyArray, AnyArray], AnyArray]] = {
    "it is rounded down to a whole number: // where / should be?": lambda right, _: np.floor(right),
    "only its size is there: the sign is missing.": lambda right, _: abs(right),
}


def _of_form(evidence: Evidence) -> Cause | None:
    """Return what was done to the right answer, if that is one of a few things."""
    for words, change in FORMS.items():
        flawed: list[Answers | None] = []
        for answer, right in zip(evidence.answers, evidence.rights, strict=True):
            flawed.append({r: change(x, answer[r]) for r, x in right.items() if r in answer})
        distance = evidence.explained(flawed)
        if distance is not None:
            return Cause(words, distance)
    return None
