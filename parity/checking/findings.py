"""What a check has found, its grade, and the checks there are.

wrong: at ordinary numbers another value or gradient; unstable: lost at extreme ones; differs:
right, but not as torch has it; right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from parity.cases import Case
from parity.checking.asking import Problem

WRONG, UNSTABLE, DIFFERS, RIGHT = GRADES = ("wrong", "unstable", "differs", "right")
KEPT = 12  # cases of a finding, for the diagnosis
PLACES = ("value", "gradient")
CHECKS = {
    "ordinary numbers": "is it right on plain numbers, within rounding?",
    "options": "is it right with each option that it takes?",
    "extreme numbers": "is it right for large, tiny, tied and masked numbers?",
    "special inputs": "a single row or class, an empty batch, the mean of nothing: as torch?",
    "slope at 0": "is the slope at a kink 0, as torch's?",
    "dtype": "does float32 in give float32 out?",
    "arguments": "are the arguments left unchanged, read-only and strided ones taken?",
    "warnings": "is NumPy silent where the answer is right?",
    "labels": "are labels that are no class refused? (a remark)",
}


@dataclass(frozen=True)
class Finding:
    """What is wrong, or different.

    Parts    place     "value" or "gradient"
             grade     one of GRADES; "right" for a remark
             check     a key of CHECKS
             what      the problem in words
             problem   the answers of the example
             case      the example
             cases     all cases that show it
             since     from where on it is lost
             seen      other checks that show the same
             cause, user_line, mended, flaw    filled in by the diagnosis
    """

    place: str
    grade: str
    check: str
    what: str
    problem: Problem | None = None
    case: Case | None = None
    cases: tuple[Case, ...] = ()
    since: str = ""
    seen: tuple[str, ...] = ()
    cause: str = ""
    known: bool = False
    user_line: str = ""
    mended: str = ""
    notes: tuple[str, ...] = field(default=())
