"""The full battery of one row of the table, against anyone's implementation: docs/check.md.

print(parity.check(softmax, "softmax", backward=softmax_backward))

    subject.py     anyone's function, called as the operation of a row
    finding.py     what was found, for people to read, and for tests to assert
    search.py      the smallest input that shows a problem
    answer.py      one answer beside the right one
    typical.py     plain cases, and extreme ones
    hand.py        values that one can compute by hand
    properties.py  what is true of an operation whatever its numbers are
    outcome.py     what a check returns
    values.py      the checks of values beside the right ones
    laws.py        the check of those properties
    rivals.py      the checks beside torch
    habits.py      what a function does besides computing: its precision, and its arguments
    backward.py    anyone's backward, called with what its parameters ask for
    gradient.py    its checks
    diagnosis.py   the usual cause
    __init__.py    all checks in turn
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from parity.battery import diagnosis, gradient, habits, laws, rivals, values
from parity.battery.backward import Backward
from parity.battery.finding import Finding, Report, code
from parity.battery.outcome import Broken, Outcome, Remark, Skipped
from parity.battery.subject import Subject
from parity.ops import OPS
from parity.strategies import Case

VALUE_CHECKS: dict[str, Callable[[Subject, int], Outcome]] = {
    "hand values": values.hand_values,
    "extremes": values.extremes,
    "properties": laws.properties,
    "oracle": values.generated,
    "torch": rivals.beside_torch,
    "accuracy": rivals.accuracy,
    "labels": values.labels,
    "dtype": habits.dtypes,
    "inputs": habits.inputs,
}
GRADIENT_CHECKS: dict[str, Callable[[Backward, int], Outcome]] = {
    "gradient": gradient.gradients,
    "gradient's habits": gradient.gradient_habits,
    "own slopes": gradient.consistency,
}
CHECKS = (*VALUE_CHECKS, *GRADIENT_CHECKS)
WARNINGS = ("labels",)  # these ask about inputs that are wrong themselves
EXAMPLES = 100


def check(
    function: Callable[..., Any],
    op: str,
    backward: Callable[..., Any] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    any_shape: bool = False,
    skip: Collection[str] = (),
    examples: int = EXAMPLES,
) -> Report:
    """Check an implementation of an operation, and its backward, against the oracle and torch.

    The arrays go by position, options (axis or dim, reduction, weight, ...) by name where the
    function takes them; `settings` says what the others are in it: {"reduction": "none"}.

    Raises   ValueError for an unknown operation, option or check, or a function of other arguments
    """
    if op not in OPS:
        raise ValueError(f"op must be one of {', '.join(map(repr, OPS))}, got {op!r}")
    if set(skip) - set(CHECKS):
        raise ValueError(f"skip must be among {', '.join(CHECKS)}, got {', '.join(skip)}")
    subject = Subject(OPS[op], function, settings or {}, any_shape)
    pair = Backward.of(subject, backward) if backward else None
    found = {n: f(subject, examples) for n, f in VALUE_CHECKS.items() if n not in skip}
    if pair:
        found |= {n: f(pair, examples) for n, f in GRADIENT_CHECKS.items() if n not in skip}
    not_tested = subject.not_taken + (pair.not_tested if pair else [])
    findings = tuple(_finding(n, outcome, subject, pair) for n, outcome in found.items())
    called = pair.convention if pair else ""
    findings = _compared(findings, op)
    return Report(subject.name, op, findings, tuple(not_tested), called, OPS[op].convention)


def _finding(check: str, outcome: Outcome, subject: Subject, pair: Backward | None) -> Finding:
    match outcome:
        case None:
            return Finding(check)
        case Skipped(why):
            return Finding(check, skipped=why)
        case Remark(text):
            return Finding(check, remark=text)
    assert isinstance(outcome, Broken)
    asked = pair if pair and check in GRADIENT_CHECKS else subject
    shown = code(asked.name, _positional(asked, outcome.case), subject.named(outcome.case))
    cause = outcome.cause or diagnosis.cause(outcome, asked)
    return Finding(check, outcome.problem, shown, cause, warning=check in WARNINGS)


def _positional(asked: Subject | Backward, case: Case) -> dict[str, Any]:
    """Return what a case gives by position; the inputs where there is no result to give."""
    if isinstance(asked, Backward):
        try:
            return asked.by_name(case)
        except Exception:
            asked = asked.subject
    return {name: case[name] for name in asked.op.arguments}


def _compared(findings: tuple[Finding, ...], op: str) -> tuple[Finding, ...]:
    """Say which of forward and backward is to blame where they disagree."""
    by_name = {finding.check: finding for finding in findings}
    wrong, slopes = by_name.get("gradient"), by_name.get("own slopes")
    if wrong is None or slopes is None or slopes.skipped:
        return findings
    if not wrong.ok and not slopes.ok:
        by_name["own slopes"] = replace(slopes, cause=wrong.cause or slopes.cause)
    elif not slopes.ok:
        by_name["own slopes"] = replace(
            slopes, cause=f"your backward is right for {op}; your function is another one"
        )
    elif not wrong.ok and not wrong.cause:
        values_fail = not all(by_name[n].ok for n in VALUE_CHECKS if n in by_name)
        words = f"your backward is right for your function, which is not {op}"
        other = "it is right at ordinary numbers: look at the smallest input above"
        by_name["gradient"] = replace(wrong, cause=words if values_fail else other)
    return tuple(by_name.values())
