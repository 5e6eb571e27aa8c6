"""All checks of one operation, against anyone's function and its backward: docs/check.md.

    print(parity.check(softmax, "softmax", backward=softmax_backward))

In reading order:

    subject.py     anyone's function and backward, called as the operation of a row
    report.py      what was found, for people to read, and for tests to assert
    smallest.py    the smallest input that shows a problem
    laws.py        what is true of an operation whatever its numbers are
    checks.py      the checks of values, precision and arguments
    gradients.py   the checks of a backward
    diagnosis.py   the cause, which is often a known flaw
    __init__.py    all checks in turn
    mutants.py     every known flaw through every check
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from parity.cases import Case
from parity.checking import checks, diagnosis, gradients
from parity.checking.laws import LAWS
from parity.checking.report import Finding, Report, code
from parity.checking.subject import Backward, Subject
from parity.ops import OPS, Function, Op

Asked = TypeVar("Asked", Subject, Backward)

__all__ = ["CHECKS", "GRADIENT_CHECKS", "VALUE_CHECKS", "Finding", "Report", "check"]

VALUE_CHECKS: dict[str, Callable[[Subject, int], Finding]] = {
    "hand values": checks.hand_values,
    "extremes": checks.extremes,
    "properties": checks.properties,
    "oracle": checks.compared_with_oracle,
    "torch": checks.compared_with_torch,
    "accuracy": checks.accuracy,
    "labels": checks.labels,
    "dtype": checks.dtypes,
    "inputs": checks.inputs,
}
GRADIENT_CHECKS: dict[str, Callable[[Backward, int], Finding]] = {
    "gradient": gradients.gradients,
    "gradient's dtype and inputs": gradients.dtype_and_inputs,
    "own slopes": gradients.own_slopes,
}
CHECKS = (*VALUE_CHECKS, *GRADIENT_CHECKS)

# The parts of a row that a check needs, and what they are called where the row has none.
NEEDS = {
    "hand values": ("hand", "bound"),
    "extremes": ("extremes", "exact", "bound"),
    "properties": ("laws", "exact", "bound"),
    "oracle": ("exact", "bound"),
    "torch": ("theirs", "bound"),
    "accuracy": ("exact", "bound"),
    "gradient": ("exact_backward", "backward_bound"),
}
PARTS = {
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
    found = {n: _run(n, f, subject, examples) for n, f in VALUE_CHECKS.items() if n not in skip}
    not_tested = subject.not_tested
    if pair:
        run = {n: f for n, f in GRADIENT_CHECKS.items() if n not in skip}
        found |= {name: _run(name, f, pair, examples) for name, f in run.items()}
        not_tested += pair.not_tested
    return Report(
        subject.name,
        op,
        tuple(_blamed(found, op).values()),
        tuple(not_tested),
        pair.convention if pair else "",
        OPS[op].convention,
    )


def _run(
    name: str, function: Callable[[Asked, int], Finding], asked: Asked, examples: int
) -> Finding:
    """Run a check, unless the row lacks what it needs; add the code and the cause of a problem."""
    missing = _missing(asked.op, name)
    if missing:
        return Finding(name, skipped=f"no {missing} are known of it")
    found = replace(function(asked, examples), check=name)
    if found.problem is None:
        return found
    cause = diagnosis.cause(found, asked)
    return replace(found, code=_code(asked, found.cases[0]), cause=cause)


def _missing(op: Op, check: str) -> str:
    """Return what a check needs and a row lacks; empty where nothing is missing."""
    known = {"hand": op.hand, "extremes": op.extremes, "laws": LAWS.get(op.function)}
    lacking = {*op.missing, *(part for part, content in known.items() if not content)}
    return next((PARTS[part] for part in NEEDS.get(check, ()) if part in lacking), "")


def _code(asked: Subject | Backward, case: Case) -> str:
    """Return Python that asks a case again; of the inputs where there is no result to give."""
    try:
        arrays = asked.arrays(case)
    except Exception:
        arrays = {name: case[name] for name in asked.op.arguments}
    return code(asked.name, arrays, asked.said(case))


def _blamed(findings: dict[str, Finding], op: str) -> dict[str, Finding]:
    """Say which of function and backward is to blame where the two disagree."""
    wrong, slopes = findings.get("gradient"), findings.get("own slopes")
    if wrong is None or slopes is None or slopes.skipped:
        return findings
    if not wrong.ok and not slopes.ok:
        told = {"own slopes": replace(slopes, cause=wrong.cause or slopes.cause)}
    elif not slopes.ok:
        cause = f"your backward is right for {op}; your function is another one"
        told = {"own slopes": replace(slopes, cause=cause)}
    elif not wrong.ok and not wrong.cause:
        cause = "it is right at ordinary numbers: look at the smallest input above"
        if not all(findings[name].ok for name in VALUE_CHECKS if name in findings):
            cause = f"your backward is right for your function, which is not {op}"
        told = {"gradient": replace(wrong, cause=cause)}
    else:
        told = {}
    return findings | told
