"""What the checker says of each fixture: for test_fixtures.py, and for the page of fixtures.

docs/results/fixtures.json has the verdicts, and the score of the very first run. The causes in it
were compared by hand with the flaws that fixtures.json states.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from parity import checking
from parity.checking.findings import UNSTABLE, WRONG

FOLDER = Path(__file__).parent / "fixtures"
RESULTS = Path(__file__).parents[2] / "docs/results/fixtures.json"
GRADES = ("right", "differs", "unstable", "wrong")


def fixtures() -> list[dict[str, Any]]:
    return json.loads((FOLDER / "fixtures.json").read_text(encoding="utf-8"))


def verdict(fixture: dict[str, Any]) -> dict[str, Any]:
    """Check one fixture, as the command does; return what the report says."""
    with contextlib.chdir(FOLDER):
        report = checking.of_names(
            fixture["subject"],
            fixture["op"],
            fixture.get("backward"),
            settings=fixture["options"],
            show_output=False,
        )
    found = [f for f in report.findings if f.grade in (WRONG, UNSTABLE)]
    return {
        "name": fixture["name"],
        "expected": fixture["grade"],
        "grade": report.grade,
        "value": report.of("value"),
        "gradient": report.of("gradient") if report.backward else "",
        "taken_for": report.taken_for,
        "causes": [f.cause or "unknown" for f in found],
        "lines": len(str(report).splitlines()),
    }


def table(results: dict[str, Any]) -> str:
    """Return the matrix of fixtures and verdicts."""
    manner = {row["name"]: row["manner"].replace("__", r"\_\_") for row in fixtures()}
    lines = ["| fixture | in the manner of | is | the verdict | taken for; cause |"]
    lines.append("|---|---|---|---|---|")
    for row in results["fixtures"]:
        told = "; ".join([row["taken_for"], *dict.fromkeys(row["causes"])])
        told = told.replace("|", "\\|")
        cells = [row["name"], manner[row["name"]], row["expected"], row["grade"], told]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def summary(results: dict[str, Any]) -> str:
    """Return a small matrix: the grade that each fixture has, and the one that it gets."""
    lines = [f"| is, verdict | {' | '.join(GRADES)} |", f"|---|{'--:|' * len(GRADES)}"]
    for expected in GRADES:
        rows = [row["grade"] for row in results["fixtures"] if row["expected"] == expected]
        lines.append(f"| {expected} | {' | '.join(str(rows.count(g) or '') for g in GRADES)} |")
    return "\n".join([*lines, "", results["first_run"], ""])
