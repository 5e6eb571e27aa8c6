"""The tables of the README and of docs/benchmarks.md, from a results file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import MLP, SOFTMAX_REGRESSION, Case
from benchmarks.results import Results, Row, by_backend, quantity
from benchmarks.statistics import Summary

OURS = "scratchnn"
FLOORS = ("floor products", "floor bytes", "floor float bytes")
BOTH_FLOORS = "floor products + bytes"
FLOAT_FLOORS = "floor products + float bytes"  # of those of ours whose data are floats


@dataclass(frozen=True)
class Target:
    """What our epoch, operation or memory should reach: so many times what the rival needs.

    Against a floor it is a limit: at most so many times the floor.
    """

    group: str
    case: str
    against: str
    factor: float


TARGETS = (
    *(
        Target("epoch", SOFTMAX_REGRESSION, against, factor)
        for against, factor in (
            ("torch", 2.0), ("JAX", 1.5), ("scikit-learn", 1.8), ("torchvision 0 workers", 45.0),
            (BOTH_FLOORS, 1.3),
        )
    ),
    *(
        Target("epoch", MLP, against, factor)
        for against, factor in (
            ("torch", 1.4), ("JAX", 1.05), ("scikit-learn", 1.9), ("floor products", 1.5),
        )
    ),
    *(
        Target("op", f"{op} {shape}", "torch", 1.0)
        for op in ("cross_entropy", "cross_entropy_with_gradient")
        for shape in ((256, 10), (4096, 10), (512, 1000))
    ),
    Target("memory", MLP, "torch", 1.0),
)  # fmt: skip


def epochs_table(results: Results) -> str:
    """Return an epoch's time of every backend, beside ours and the floor's."""
    both = {case.name: rows for case, rows in by_backend(results.of("epoch")).items()}
    if not both:
        return ""
    names = dict.fromkeys(row.backend for row in results.of("epoch") if not row.not_run)
    columns = ["seconds (quartiles)", "× ours", "× NumPy's floor"] * len(both)
    lines = [f"| | {' | | | '.join(both)} | | |", f"|---|{'--:|' * len(columns)}"]
    lines.append(f"| | {' | '.join(columns)} |")
    for name in names:
        cells = [cell for rows in both.values() for cell in _epoch_cells(rows, name)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def not_run(results: Results) -> str:
    """Return a sentence on the backends that could not be used."""
    reasons: dict[str, list[str]] = {}
    for row in results.rows:
        if row.not_run and row.backend not in reasons.setdefault(row.not_run, []):
            reasons[row.not_run].append(row.backend)
    return "".join(f"Not run: {', '.join(names)} ({why}).\n" for why, names in reasons.items())


def targets_table(results: Results) -> str:
    """Return what was to be reached, and what was; they are meant for MNIST and 2 threads."""
    if results.threads != 2 or {row.case.data for row in results.of("epoch")} != {"mnist"}:
        return ""
    lines = ["| case | against | target | measured (quartiles) | |", "|---|---|--:|--:|---|"]
    for target in TARGETS:
        measured = measured_factor(results, target)
        limit = "≤" if target.against.startswith("floor") else "≥"
        what = f"{target.case}, memory" if target.group == "memory" else target.case
        verdict = measured and ("met" if holds(target, measured) else "**missed**")
        lines.append(
            f"| {what} | {target.against} | {limit} {target.factor:g} "
            f"| {_range(measured) if measured else 'not measured'} | {verdict or ''} |"
        )
    return "\n".join(lines) + "\n"


def holds(target: Target, measured: Summary) -> bool:
    """Return whether the median reaches the target."""
    if target.against.startswith("floor"):
        return measured.median <= target.factor
    return measured.median >= target.factor


def measured_factor(results: Results, target: Target) -> Summary | None:
    """Return how many times ours the rival needs (ours, the floor), or None if not measured."""
    for case, rows in by_backend(results.of(target.group)).items():
        if not case.name.startswith(target.case) or OURS not in rows:
            continue
        if target.against.startswith("floor"):
            least = floor(rows, target.against)
            return rows[OURS].times(least) if least else None
        return rows[target.against].times(rows[OURS]) if target.against in rows else None
    return None


def group_table(results: Results, groups: Iterable[str]) -> str:
    """Return our figure of each case, and how many times that every other backend needs."""
    found = {k: v for g in groups for k, v in by_backend(results.of(g)).items() if OURS in v}
    others = dict.fromkeys(name for rows in found.values() for name in rows if name != OURS)
    if not found:
        return ""
    lines = ["| " + " | ".join(["", OURS, *(f"{name} ×" for name in others)]) + " |"]
    lines.append("|---|" + "--:|" * (len(others) + 1))
    for case, rows in found.items():
        ours = rows[OURS]
        cells = [quantity(ours.summary.median, ours.unit)]
        cells += [_range(rows[name].times(ours)) if name in rows else "" for name in others]
        lines.append(f"| {_label(case)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def crossover_line(results: Results, rival: str) -> str:
    """Say at which batch sizes softmax regression is faster here than with the rival."""
    wins: dict[int, list[int]] = {}
    batches: dict[int, list[int]] = {}
    for case, rows in by_backend(results.of("crossover")).items():
        if len(case.sizes) == 2 and rival in rows and OURS in rows:
            batches.setdefault(case.sizes[0], []).append(case.batch)
            if rows[rival].times(rows[OURS]).median > 1:
                wins.setdefault(case.sizes[0], []).append(case.batch)
    parts = [
        f"{width} inputs: {_batches(wins.get(width, []), all_)}" for width, all_ in batches.items()
    ]
    where = "; ".join(parts)
    return f"A step of softmax regression is faster in NumPy than with {rival} at {where}.\n"


def environment_line(facts: dict[str, Any]) -> str:
    """Return what the figures were measured on."""
    gpu = facts["gpu"]
    machine = facts["cpu"] + (f", {gpu['name']} (driver {gpu['driver_version']})" if gpu else "")
    versions = {name: v for worker in _workers(facts) for name, v in worker["versions"].items()}
    libraries = ", ".join(f"{name} {v}" for name, v in versions.items() if name != "jaxlib")
    threads = " and ".join(map(str, facts["threads"]))
    return (
        f"{machine}; threads: {threads}; {libraries}; BLAS {facts.get('blas', 'unknown')}; Python "
        f"{facts['python']}; {facts['date']}, commit {facts.get('commit')}.\n"
    )


def _workers(facts: dict[str, Any]) -> list[dict[str, Any]]:
    return [worker for team in facts["workers"].values() for worker in team.values()]


def _epoch_cells(rows: dict[str, Row], name: str) -> list[str]:
    if name not in rows:
        return ["", "", ""]
    row, ours = rows[name], rows.get(OURS)
    least = floor(rows, FLOAT_FLOORS if name == f"{OURS} floats" else BOTH_FLOORS)
    s = row.summary
    return [
        f"{s.median:.3g} ({s.low:.3g} to {s.high:.3g})",
        f"{row.times(ours).median:.2f}" if ours else "",
        f"{row.times(least).median:.2f}" if least and name not in FLOORS else "",
    ]


def floor(rows: dict[str, Row], which: str) -> Row | None:
    """Return a floor's row, or that of the sum of two round by round: `BOTH_FLOORS`."""
    products, _, moving = which.partition(" + ")
    one, other = rows.get(products), rows.get(f"floor {moving}")
    if not moving or one is None or other is None:
        return None if moving else one
    pairs = zip(one.values, other.values, strict=False)  # of rounds that both have
    return Row(one.case, which, one.threads, [a + b for a, b in pairs])


def _range(s: Summary) -> str:
    median, low, high = (f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in s)
    return f"{median} ({low} to {high})"


def _label(case: Case) -> str:
    return case.name if case.group == "op" else f"{case.group}: {case.name}"


def _batches(wins: list[int], all_: list[int]) -> str:
    if not wins:
        return "no batch size"
    if len(wins) == len(all_):
        return "every batch size"
    return f"batches of {', '.join(map(str, sorted(wins)))}"
