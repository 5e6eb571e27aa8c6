"""From where on an answer is lost: for which logits, numbers or probabilities.

A range is told only if every number tried in it fails, and every number tried outside it does not.
If there is no such range, none is told.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import CLEAR, Asked, Problem
from parity.checking.conventions import kind

LARGEST = 1e10  # of numbers of which a range is told
STEPS = 14  # of a bisection
NAMES = {"z": "logits", "log_q": "log q", "log_p": "log p"}
Fails = Callable[[float], bool]


def since(asked: Asked, case: Case, problem: Problem) -> str:
    """Say from where on an answer is lost, in words; empty where nobody knows."""
    name = asked.row.inputs[0]
    size = f"to a relative error of {problem.size:.1g}"
    x = case[name]
    if asked.row.products or not np.isfinite(x).all() or not x.any():
        return size if problem.size < CLEAR else ""
    if name in ("p", "q"):
        return _of_shares(asked, name) if problem.size >= CLEAR else size
    if kind(asked.row) == "activation" and not asked.gradient:
        return _of_numbers(asked, x.dtype) or (size if problem.size < CLEAR else "")
    if problem.size < CLEAR:
        return size
    largest = float(abs(x).max())

    def fails(magnitude: float) -> bool:
        return _fails(asked, case | {name: x * x.dtype.type(magnitude / largest)})

    sign = "-" if (x <= 0).all() else ""
    edge = _above(fails, largest)
    return f"for {NAMES.get(name, name)} beyond {sign}{edge:.3g}, in {x.dtype}" if edge else ""


def _fails(asked: Asked, case: Case) -> bool:
    with np.errstate(all="ignore"):
        found = asked.problem(case, strict=True)
    return found is not None and found.size >= CLEAR


def _above(fails: Fails, largest: float) -> float | None:
    """Return above which magnitude it fails, up to the largest; None where that is not so."""
    found = _stretch(fails, largest, 1e-3, 4.0)
    return found[0] if found and found[1] == largest and found[0] <= LARGEST else None


def _stretch(
    fails: Fails, largest: float, least: float, ratio: float
) -> tuple[float, float] | None:
    """Return the magnitudes between which it fails; None where there are more stretches, or none.

    It must not fail at the least one.
    """
    tried = [largest]
    while tried[-1] > least:
        tried.append(tried[-1] / ratio)
    failing = [fails(magnitude) for magnitude in tried]
    if True not in failing:
        return None
    first = failing.index(True)
    count = failing[first:].index(False) if False in failing[first:] else 0
    if count == 0 or any(failing[first + count :]):
        return None
    high = _bisected(fails, tried[first - 1], tried[first]) if first else largest
    return _bisected(fails, tried[first + count], tried[first + count - 1]), high


def _bisected(fails: Fails, right: float, wrong: float) -> float:
    """Return the number between two, one right and one wrong, at which it begins to fail."""
    for _ in range(STEPS):
        middle = (right + wrong) / 2
        right, wrong = (right, middle) if fails(middle) else (middle, wrong)
    return wrong


def _of_numbers(asked: Asked, dtype: np.dtype[np.floating]) -> str:
    """Say which numbers an activation loses, each by itself: large ones of a sign, or tiny ones."""

    def of_sign(sign: int) -> Fails:
        one = np.array([[sign]], dtype)
        return lambda magnitude: _fails(asked, asked.prepared({"z": one * dtype.type(magnitude)}))

    largest, found = 1e3, []
    for sign in (1, -1):
        if stretch := _stretch(of_sign(sign), largest, 1.0, 1.1):
            low, high = (sign * edge for edge in stretch)
            end = f"beyond {low:.3g}" if abs(high) == largest else f"from {low:.3g} to {high:.3g}"
            found.append(end)
    if not found and (tiny := _below(of_sign(1))) and of_sign(-1)(tiny):
        found = [f"closer to 0 than {tiny:.1g}".replace("e-0", "e-")]
    return f"for z {' and '.join(found)}, in {dtype}" if found else ""


def _below(fails: Fails) -> float | None:
    """Return below which tiny number it fails; None where it does not."""
    decades = [fails(10.0**-k) for k in range(31)]
    if True not in decades or not all(decades[decades.index(True) :]) or decades[0]:
        return None
    k = decades.index(True)
    return 10 ** -_bisected(lambda exponent: fails(10.0**-exponent), k - 1, k)


def _of_shares(asked: Asked, name: str) -> str:
    """Say below which probability of the target it is lost, or that a target of 0 is."""
    shares = [asked.prepared(given.case) for given in inputs.shares(asked.row)]
    failing = [_fails(asked, case) for case in shares]
    if failing[0]:
        case = shares[0]
        if case["target"].dtype.kind == "f" and (case["target"] == 0).any():
            positive = case | {"target": np.where(case["target"] == 0, 0.25, 0.75)}
            return "" if _fails(asked, positive) else "where the target has a 0"
        return ""
    if True not in failing or not all(failing[failing.index(True) :]):
        return ""
    k = failing.index(True)  # p = 10^-(k + 1)

    def fails(exponent: float) -> bool:
        return _fails(asked, shares[k] | {name: inputs.share(asked.row, 10.0**-exponent)})

    edge = f"{10 ** -_bisected(fails, k, k + 1):.1e}"
    return f"for {name} below {edge}".replace("e-0", "e-").replace(".0e", "e")
