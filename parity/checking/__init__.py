"""All checks of one operation, against anyone's function and its backward: docs/check.md.

    print(parity.check(softmax, "softmax", backward=softmax_backward))

In reading order:

    subject.py     anyone's function and backward, called as the operation of a row
    report.py      what was found, for people to read, and for tests to assert
    smallest.py    the smallest input that shows a problem
    laws.py        what is true of an operation whatever its numbers are
    checks.py      the checks
    diagnosis.py   the cause, which is often a known flaw
    __init__.py    all checks in turn
    mutants.py     every known flaw through every check
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar

from parity.cases import Case
from parity.checking import checks, diagnosis
from parity.checking.laws import LAWS
from parity.checking.report import Finding, Report, code
from parity.checking.subject import Asked, Backward, Subject
from parity.ops import OPS, Function

T = TypeVar("T", bound=Asked)
Table: TypeAlias = dict[str, tuple[Callable[[T, int], Finding | None], tuple[str, ...]]]

__all__ = ["CHECKS", "GRADIENT_CHECKS", "VALUE_CHECKS", "Finding", "Report", "check"]

# Each check, with the parts of a row that it needs.
VALUE_CHECKS: Table[Subject] = {
    "hand values": (checks.hand_values, ("hand", "bound")),
    "extremes": (checks.extremes, ("extremes", "exact", "bound")),
    "properties": (checks.properties, ("laws", "exact", "bound")),
    "oracle": (checks.compared_with_oracle, ("exact", "bound")),
    "torch": (checks.compared_with_torch, ("theirs", "bound")),
    "accuracy": (checks.accuracy, ("exact", "bound")),
    "labels": (checks.labels, ()),
    "dtype": (checks.dtypes, ()),
    "inputs": (checks.inputs, ()),
}
GRADIENT_CHECKS: Table[Backward] = {
    "gradient": (checks.gradients, ("exact_backward", "backward_bound")),
    "gradient's dtype and inputs": (checks.dtype_and_inputs, ()),
    "own slopes": (checks.own_slopes, ()),
}
CHECKS = (*VALUE_CHECKS, *GRADIENT_CHECKS)
PARTS = {  # what they are called where the row has none
    "hand": "hand values",
    "extremes": "extremes",
    "laws": "properties",
    "exact": "right answers",
    "bound": "error bounds",
    "theirs": "functions of torch",
    "exact_backward": "right gradients",
    "backward_bound": "error bounds of gradients",
}


def check(
    function: Function,
    op: str,
    backward: Function | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    any_shape: bool = False,
    skip: Collection[str] = (),
    examples: int = 100,
) -> Report:
    """Check an implementation of an operation, and its backward; `parity.check` describes it."""
    if op not in OPS:
        raise ValueError(f"op must be one of {', '.join(map(repr, OPS))}, got {op!r}")
    if set(skip) - set(CHECKS):
        raise ValueError(f"skip must be among {', '.join(CHECKS)}, got {', '.join(skip)}")
    subject = Subject(OPS[op], function, settings or {}, any_shape)
    pair = Backward.of(subject, backward) if backward else None
    found = _run(VALUE_CHECKS, subject, skip, examples)
    not_tested, called = subject.not_tested, ""
    if pair:
        found |= _run(GRADIENT_CHECKS, pair, skip, examples)
        not_tested, called = not_tested + pair.not_tested, pair.convention
    findings, not_known = tuple(_blamed(found, op).values()), tuple(not_tested)
    return Report(subject.name, op, findings, not_known, called, OPS[op].convention)


def _run(table: Table[T], asked: T, skip: Collection[str], examples: int) -> dict[str, Finding]:
    """Run checks, but for those whose parts the row lacks; add code and cause of each problem."""
    op, findings = asked.op, {}
    known = {"hand": op.hand, "extremes": op.extremes, "laws": LAWS.get(op.function)}
    lacking = {*op.missing, *(part for part, content in known.items() if not content)}
    for name, (function, parts) in table.items():
        if name in skip:
            continue
        missing = [f"no {PARTS[part]} are known of it" for part in parts if part in lacking]
        found = Finding(skipped=missing[0]) if missing else function(asked, examples) or Finding()
        if found.what:
            told = diagnosis.cause(found, asked)
            found = replace(found, code=_code(asked, found.cases[0]), cause=told)
        findings[name] = replace(found, check=name)
    return findings


def _code(asked: Asked, case: Case) -> str:
    """Return Python that asks a case again; of the inputs where there is no result to give."""
    try:
        arrays = asked.arrays(case)
    except Exception:
        arrays = {name: case[name] for name in asked.op.arguments}
    return code(asked.name, arrays, asked.said(case))


def _blamed(findings: dict[str, Finding], op: str) -> dict[str, Finding]:
    """Say which of function and backward is to blame where the two disagree."""
    wrong, slopes = findings.get("gradient"), findings.get("own slopes")
    if wrong is None or slopes is None or slopes.skipped or (wrong.ok and slopes.ok):
        return findings
    if wrong.ok:
        cause = f"your backward is right for {op}; your function is another one"
        slopes = replace(slopes, cause=cause)
    elif not slopes.ok:
        slopes = replace(slopes, cause=wrong.cause or slopes.cause)
    elif not wrong.cause:
        cause = "it is right at ordinary numbers: look at the smallest input above"
        if not all(findings[name].ok for name in VALUE_CHECKS if name in findings):
            cause = f"your backward is right for your function, which is not {op}"
        wrong = replace(wrong, cause=cause)
    return findings | {"gradient": wrong, "own slopes": slopes}
