"""All checks of one operation, against anyone's function and its backward: docs/check.md.

    print(parity.check(softmax, "softmax", backward=softmax_backward))

In reading order:

    subject.py     anyone's function and backward, called as the operation of a row
    report.py      what was found, and the smallest input that shows it
    laws.py        what is true of an operation whatever its numbers are
    checks.py      the checks
    __init__.py    all checks in turn, and the cause, which is often a known flaw
    mutants.py     every known flaw through every check
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np

from parity.cases import Case
from parity.checking import checks
from parity.checking.checks import enough
from parity.checking.laws import LAWS
from parity.checking.report import Finding, Report, code
from parity.checking.subject import Asked, Backward, Subject, is_default
from parity.flaws import Flaw, layers, losses, softmax
from parity.ops import OPS, Function, Op

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
            found = replace(found, code=_code(asked, found.cases[0]), cause=why(found, asked))
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


# The cause: by the kind of the problem, by a known flaw that gives the same answers, or a guess

FLAWS: tuple[Flaw, ...] = (*softmax.FLAWS, *losses.FLAWS, *layers.FLAWS)
BY_KIND = {
    "float64": "float64 came in on the way: by np.zeros or np.eye without dtype, or a NumPy scalar",
    "modified": "an in-place operation (z -= ...) on the argument: it is the caller's array",
    "read-only": "an in-place operation on the argument: copy it first",
    "strided": "it reads memory in the order of another layout: .data, .ravel('K') or .view",
    "again": "it keeps something from the last call, or is random",
    "label": "NumPy counts -1 from the end, so it reads the last class: check the labels",
}
GUESSES = {
    "raises": "what came names the line that raised",
    "shape": "is an axis summed that should stay, or keepdims missing, or one too many?",
    "kind": "return a NumPy array (or a number)",
}
BY_LOOK = {
    "nan": "inf - inf, inf / inf or 0 · inf on the way: something overflowed, or log 0 was taken",
    "inf": "something overflowed, or log 0 was taken",
}


def why(finding: Finding, asked: Asked) -> str:
    """Return why the answers are wrong; empty where nobody knows.

    A flaw must give the same answers in every case that shows the problem. Of several that do, the
    first of the table is named. If none does, it is the cause that the check itself has found.
    """
    if finding.kind in BY_KIND:
        return BY_KIND[finding.kind]
    place = asked.op.name, isinstance(asked, Backward)
    for flaw in FLAWS:
        if (flaw.op, flaw.backward) == place and explains(flaw, finding.cases, asked):
            return flaw.cause
    new = (words for n, words in BY_LOOK.items() if n in finding.got and n not in finding.expected)
    return finding.cause or GUESSES.get(finding.kind) or next(new, "")


def explains(flaw: Flaw, cases: Sequence[Case], asked: Asked) -> bool:
    """Return whether a flaw gives what came, in every case."""
    return all(_alike(asked.op, _flawed(flaw, case), _answers(asked, case)) for case in cases)


def _answers(asked: Asked, case: Case) -> list[object]:
    """Return the value or the gradients; nothing where it raises."""
    try:
        return asked(case) if isinstance(asked, Backward) else [asked(case)]
    except Exception:
        return []


def _flawed(flaw: Flaw, case: Case) -> list[object]:
    """Return a flaw's answers; nothing where an option of the case is not known to it."""
    op = OPS[flaw.op]
    right = Subject(op, op.ours, any_shape=True)
    backward = flaw.backward
    wrong = Backward(op, flaw.wrong, right) if backward else replace(right, function=flaw.wrong)
    known = all(o in wrong.taken or is_default(op, case, o) for o in op.options)
    return _answers(wrong, case) if known else []


def _alike(op: Op, a: list[object], b: list[object]) -> bool:
    """Return whether two lists of answers are the same; a target's gradient may be missing."""
    count = min(len(a), len(b))
    complete = len(a) == len(b) or enough(op, count)
    return count > 0 and complete and all(map(_same, a[:count], b[:count]))


def _same(a: object, b: object) -> bool:
    """Return whether two answers are the same to half of their digits.

    What the rounding of the largest entry may change counts for nothing, as where p - 1 cancels.
    """
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape or x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu":
        return False
    eps = float(np.finfo(np.result_type(x.dtype, y.dtype, np.float32)).eps)
    largest = float(abs(x[np.isfinite(x)]).max(initial=0))
    return bool(np.allclose(x, y, rtol=eps**0.5, atol=4 * eps * largest, equal_nan=True))
