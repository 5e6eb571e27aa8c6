"""Why an answer is wrong: by what fits it, and by nothing else. evidence.py says what fits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from inspect import signature
from itertools import product

import numpy as np

from parity import judge
from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import CLEAR, DY, Asked, Problem
from parity.checking.conventions import Layout
from parity.checking.evidence import Answers, Evidence
from parity.checking.facts import facts, of_float64, of_its_own, of_shape
from parity.checking.findings import DIFFERS, WRONG, Finding
from parity.checking.gradients import FITS
from parity.checking.inputs import off_the_kink
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
LIMITS = [1.0, 2.0, 5.0, 6.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 88.0, 100.0]
LIMITS += [200.0, 250.0, 300.0, 500.0, 600.0, 700.0, 709.0]
USUAL = {"axis": (-1, 1), "threshold": (1e30,)}  # what a flaw does without the option
NONE: Mapping[str, float] = {}
OF_OPTIONS = {"weight", "pos_weight", "label_smoothing", "ignore_index", "log_target"}
BY_KIND = {
    "modified": "an in-place operation (z -= ...) on the argument: it is the caller's array",
    "read-only": "an in-place operation on the argument: copy it first",
    "strided": "it reads memory in the order of another layout: .data, .ravel('K') or .view",
    "again": "it keeps something from the last call, or is random",
    "label": "NumPy counts -1 from the end, so it reads the last class: check the labels",
    "float64": "float64 came in on the way",
    "object": "it was made by np.frompyfunc or np.vectorize: call .astype(z.dtype) on the result",
}


@dataclass(frozen=True)
class Cause:
    """What explains an answer, in words, and how near it comes."""

    words: str
    distance: float
    flaw: Flaw | None = None
    constants: Mapping[str, float] = field(default_factory=dict)  # of the flaw, as they fit
    pair: bool = False  # of a flaw and a factor
    hidden: bool = False  # in the example, a factor N or C is 1


def diagnose(asked: Asked, finding: Finding) -> Finding:
    """Return a finding with its cause; where none fits, with what is known."""
    problem = finding.problem
    if problem is None:
        return finding
    words = _told_by_kind(asked, problem)
    if words is None and finding.case is not None:
        cause = find(asked, finding)
        if cause and cause.hidden:
            finding, cause = _with_factors_shown(asked, finding, cause)
        words = cause.words if cause else _told_without_cause(asked, finding)
        if cause and _is_convention(asked, cause):
            finding = replace(finding, grade=DIFFERS)
    if words:
        return replace(finding, cause=words, known=True)
    return replace(finding, notes=tuple(facts(asked, finding)))


def _told_by_kind(asked: Asked, problem: Problem) -> str | None:
    """Return the cause where the kind of a problem tells it; empty where there is none."""
    if problem.kind == "warns":
        return ""
    if problem.kind == "dtype":
        by = of_float64(asked.subject, asked.gradient) if str(problem.got) == "float64" else ""
        return BY_KIND.get(str(problem.got), "") + by
    if problem.kind == "raises" and "OverflowError" in problem.words:
        return "math.exp raises where it overflows, beyond 709.8: take the exponential of -|z|"
    return BY_KIND.get(problem.kind)


def _is_convention(asked: Asked, cause: Cause) -> bool:
    """Whether it is how a well-known course does it: the layers divide by N, and no loss does.

    Its examples are columns. Where they are rows, nearly everybody's loss divides by N.
    """
    divided = cause.flaw is not None and cause.flaw.wrong.__name__ == "averaged_over_the_rows"
    return divided and not cause.pair and asked.reading.layout.turned


def _with_factors_shown(asked: Asked, finding: Finding, cause: Cause) -> tuple[Finding, Cause]:
    """Return a finding whose example has more rows, for a factor N that one row does not show."""
    for given in inputs.ordinary(asked.row, small=True):
        if min(given.case[asked.row.inputs[0]].shape) < 2:
            continue
        case = asked.prepared(off_the_kink(asked.row, given.case), None)
        problem = asked.problem(case)
        if problem and problem.size >= CLEAR:
            shown = replace(finding, problem=problem, what=problem.words, case=case)
            found = find(asked, shown)
            if found and not found.hidden:
                return shown, found
    return finding, cause


def _told_without_cause(asked: Asked, finding: Finding) -> str:
    """Return what is known of answers that no flaw explains; empty where nothing is."""
    problem = finding.problem
    if problem is not None and problem.kind == "shape":
        return of_shape(asked, finding)
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
    for found in sorted(alone, key=lambda cause: round(cause.distance, 3)):
        assert found.flaw is not None
        if not evidence.spoiled_by(partial(_flawed, asked, found.flaw, constants=found.constants)):
            return found
    if finding.grade != WRONG:
        return None
    if cause := _factor(evidence, evidence.rights) or _of_form(evidence):
        return cause
    for flaw in _flaws(asked):
        flawed = _flawed(asked, flaw, evidence.cases[0])
        if flawed and evidence.may_be_a_multiple(flawed):
            pair = _factor(evidence, [_flawed(asked, flaw, case) for case in evidence.cases])
            if pair:
                told = asked.reading.layout.told(flaw.cause)
                words = f"two things: {told} And {pair.words}"
                return Cause(words, pair.distance, flaw, pair=True, hidden=pair.hidden)
    return None


def _flaws(asked: Asked) -> list[Flaw]:
    row = asked.row.name, asked.row.function
    found = [flaw for flaw in FLAWS if flaw.op in row and flaw.backward == asked.gradient]
    how = asked.reading.gradient
    if how is not None and not how.takes_dy:
        found = [flaw for flaw in found if "upstream gradient" not in flaw.cause]
    lacking = (set(asked.row.options) & OF_OPTIONS) - asked.reading.taken
    return [flaw for flaw in found if not _options(flaw)[0] & lacking]


# Flaws


def _of_flaw(evidence: Evidence, flaw: Flaw) -> list[Cause]:
    """Return the flaw as a cause, with the constant that fits best, if it explains the evidence."""
    found = []
    asked, first = evidence.asked, evidence.cases[0]
    tiny = float(np.finfo(first[asked.row.inputs[0]].dtype).tiny)
    for constants in _constants(flaw, tiny):
        if evidence.explained([_flawed(asked, flaw, first, constants)]) is None:
            continue
        flawed = [_flawed(asked, flaw, case, constants) for case in evidence.cases]
        distance = evidence.explained(flawed)
        if distance is not None:
            words = asked.reading.layout.told(flaw.cause)
            for name, value in constants.items():
                said = f"{value:.1g}" if name == "epsilon" else f"{value:g}"
                words = words.replace(f"{{{name}}}", said.replace("e-0", "e-"))
            found.append(Cause(words, distance, flaw, constants))
    return [min(found, key=lambda cause: cause.distance)] if found else []


def _constants(flaw: Flaw, tiny: float) -> Iterator[dict[str, float]]:
    """Yield what to try for the constant of a flaw; once nothing, if it has none."""
    names = _options(flaw)[0]
    if "epsilon" in names:
        yield from ({"epsilon": epsilon} for epsilon in EPSILONS if epsilon >= tiny)
    elif "limit" in names:
        yield from ({"limit": limit} for limit in LIMITS)
    else:
        yield {}


@cache
def _options(flaw: Flaw) -> tuple[frozenset[str], bool]:
    """Return the arguments of a flaw's function, and whether it takes all others, too."""
    known = signature(flaw.wrong).parameters
    return frozenset(known), any(p.kind is p.VAR_KEYWORD for p in known.values())


def _flawed(
    asked: Asked, flaw: Flaw, case: Case, constants: Mapping[str, float] = NONE
) -> Answers | None:
    """Return a flaw's answers in the function's form; None where it lacks an option of the case."""
    row, reading = asked.row, asked.reading
    known, every = _options(flaw)
    given: dict[str, object] = {}
    for option in row.options:
        value, default = case[option], row.defaults[option]
        if every or option in known:
            given[option] = value
        elif not is_default(value, default) and value not in USUAL.get(option, ()):
            return None
    given |= constants
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


LARGE = "it is {times} times too large: {of}. Is a division by {by} missing?"
SMALL = "it is {times} times too small: {of}. Is there one division by {by} too many?"
OTHER = "it is divided by the number of {}, in place of that of the {}."
Factor = tuple[str, float, int, int]  # what is said; a number, and powers of N and of C
NUMBERS: list[Factor] = [
    ("it is twice too large: a factor 2 too many, or a 1/2 missing.", 2.0, 0, 0),
    ("it is half of the right one: a factor 2 is missing.", 0.5, 0, 0),
    ("the logarithm has base 10: np.log is the natural one.", 1 / float(np.log(10)), 0, 0),
    ("it is in bits: the logarithm has base 2.", 1 / float(np.log(2)), 0, 0),
    ("it is log 2 times the right one: the base is e here, and 2 there.", float(np.log(2)), 0, 0),
]


def _factors(layout: Layout) -> list[Factor]:
    """Return the factors that have a meaning, told by the axes that the function's arrays have."""
    rows, columns = ("columns", "rows") if layout.turned else ("rows", "columns")
    swapped = [(OTHER.format(columns, rows), 1.0, 1, -1), (OTHER.format(rows, columns), 1.0, -1, 1)]
    lengths = {
        "N": (f"N, the length of axis {int(layout.turned)}", 1, 0),
        "C": (f"C, the length of axis {int(not layout.turned and not layout.each)}", 0, 1),
        "N C": ("N C, the number of entries", 1, 1),
    }
    if layout.narrow or layout.each:  # there is one of the two alone
        lengths = {"N": lengths["N"]} if layout.narrow else {"C": lengths["C"]}
        swapped = []
    counts: list[Factor] = [
        (words.replace("{of}", of).replace("{by}", by), 1.0, power * n, power * c)
        for words, power in ((LARGE, 1), (SMALL, -1))
        for by, (of, n, c) in lengths.items()
    ]
    return [*swapped, *counts, *NUMBERS]


def _factor(evidence: Evidence, of: Sequence[Answers | None]) -> Cause | None:
    """Return the factor between the answers and others, the same expression in all cases.

    Of several gradients, it is that of the one that is wrong.
    """
    factors = _factors(evidence.asked.reading.layout)
    for sign, (words, number, n, c) in product((1, -1), [("", 1.0, 0, 0), *factors]):
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
            return Cause(words, distance, hidden=k != 1 == abs(scales[0]))
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
