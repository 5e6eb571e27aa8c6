"""The checks of a function's values beside the right ones."""

from itertools import product
from typing import Any

import numpy as np

from parity import right
from parity.battery import hand
from parity.battery.answer import guarded, judged, value_problem
from parity.battery.finding import Problem, shown
from parity.battery.outcome import DTYPES, Broken, Outcome, Remark, Skipped, searched
from parity.battery.subject import DEFAULTS, Subject
from parity.battery.typical import EXTREMES, extreme, typical, unmasked
from parity.strategies import Case


def hand_values(subject: Subject, _: int) -> Outcome:
    """Compare with values that one can compute by hand."""
    plain = {option: DEFAULTS[option] for option in subject.options}
    for given, wanted in hand.VALUES[subject.op.name]:
        case = subject.cut(plain | hand.as_arrays(given))
        if case.get("reduction", "mean") != "mean":
            return Skipped("those known by heart are means")
        exact, bound = np.asarray(wanted, np.float64), right.value_bound(subject.op, case)
        problem = _judged(subject, case, exact, bound)
        if problem:
            return Broken(problem, case, [case])
    return None


def extremes(subject: Subject, _: int) -> Outcome:
    """Try ties, one class, one dominant logit, large and huge ones, masks of -inf."""
    broken = []
    for name, dtype in product(EXTREMES, DTYPES):
        made = extreme(subject.op, name, dtype)
        if made is not None:
            case = subject.cut(made)
            problem = value_problem(subject, case, unmasked(subject.op, case))
            if problem:
                words = f"{name}, {np.dtype(dtype)}: {problem.what}"
                broken.append((problem._replace(what=words), case))
    if not broken:
        return no_rows(subject)
    return Broken(*broken[0], [case for _, case in broken])


def no_rows(subject: Subject) -> Outcome:
    """Try a batch without rows, where its value is not a mean of nothing."""
    case = subject.cut(typical(subject.op, np.float64))
    if case.get("reduction", "none") == "mean":
        case = case | ({"reduction": "none"} if "reduction" in subject.taken else {})
    if case.get("reduction", "none") == "mean":
        return Remark("an empty batch has no mean: not tried")
    rows = {n: case[n][:0] for n in (subject.op.inputs[0], "target") if n in case}
    problem = value_problem(subject, case | rows)
    if problem is None:
        return None
    words = f"a batch without rows: {problem.what}"
    return Broken(problem._replace(what=words), case | rows, [case | rows])


def generated(subject: Subject, examples: int) -> Outcome:
    """Compare with the oracle on generated inputs, within the rounding-error bound."""
    for dtype in DTYPES:
        broken = searched(subject, lambda case: value_problem(subject, case), dtype, examples)
        if broken:
            return broken
    return None


def labels(subject: Subject, _: int) -> Outcome:
    """Give a label that is no class: -1 would be read as the last class, silently."""
    if subject.op.arguments == subject.op.inputs:
        return Skipped("it takes no class indices")
    z = subject.op.inputs[0]
    for label in (-1, 2):
        given = {z: np.zeros((1, 2)), "target": np.array([label])}
        wrong = {option: DEFAULTS[option] for option in subject.options} | given
        wrong |= subject.settings
        if wrong["ignore_index"] == label:
            continue
        try:
            result = subject(wrong)
        except Exception:
            continue
        words = f"label {label} is no class, and nothing is said"
        return Broken(
            Problem("label", words, "an exception", shown(result)), wrong, [wrong],
            cause="NumPy counts -1 from the end, so it reads the last class: check the labels",
        )  # fmt: skip
    return None


def _judged(subject: Subject, case: Case, exact: Any, bound: Any) -> Problem | None:
    dtype = right.dtype_of(subject.op, case)
    return guarded(lambda: judged(subject(case), exact, bound, dtype), exact, dtype)
