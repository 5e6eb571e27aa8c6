"""Tables and pictures of the results files, and the pages that they are put into."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pictures
from benchmarks.cases import JSON, MLP, SOFTMAX_REGRESSION, Case
from benchmarks.results import (
    BOTH_FLOORS,
    FLOAT_FLOORS,
    FLOORS,
    FOLDER,
    OURS,
    Results,
    Row,
    by_backend,
    floor,
    quantity,
    rivals,
)
from benchmarks.statistics import Summary
from scratchnn.plots import save

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/images/benchmarks"
NOTHING = "*Not yet measured.*\n"
OTHER_GROUPS = ("step", "inference", "loading", "memory", "import")


# The pages


def write() -> list[Path]:
    """Make tables and pictures of every file in benchmarks/results; return what was written."""
    files = sorted(FOLDER.glob("*.json"))
    machines = [Results.load(file) for file in files]
    written = []
    for file, results in zip(files, machines, strict=True):
        written += draw(results, PICTURES / file.stem)
    for page, made in pages(machines).items():
        page.write_text(fill(page.read_text(encoding="utf-8"), made), encoding="utf-8")
        written.append(page)
    return written


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw all pictures into a folder, as SVG and PNG."""
    figures = pictures.all_of(results).items()
    return [path for name, figure in figures for path in save(figure, folder, name)]


def pages(machines: list[Results]) -> dict[Path, dict[str, str]]:
    """Return the tables of each page by the names of their markers."""
    return {
        ROOT / "README.md": {"benchmarks": _each(machines, summary)},
        ROOT / "docs/benchmarks.md": {"benchmark-tables": _each(machines, details)},
    }


def fill(text: str, made: dict[str, str]) -> str:
    """Return a page's text with these tables between their markers.

    Raises   ValueError for a page without them
    """
    for name, table in made.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        if end not in rest:
            raise ValueError(f"the page must have the markers {begin.strip()} and {end}, got none")
        text = before + begin + table + end + rest.partition(end)[2]
    return text


def summary(results: Results) -> str:
    """Return what the README says of a machine."""
    return _joined(
        f"**{results.environment['cpu']}{_gpu(results)}**\n",
        epochs_table(results),
        not_run(results),
        environment_line(results.environment),
    )


def details(results: Results) -> str:
    """Return all tables of a machine, and its pictures."""
    machine = results.environment["machine"]
    shown = sorted((PICTURES / machine).glob("*.png"))
    return _joined(
        f"### {results.environment['cpu']}{_gpu(results)}\n",
        environment_line(results.environment),
        targets_table(results),
        *(crossover_line(results, rival) for rival in rivals(results)),
        group_table(results, ("op",)),
        group_table(results, OTHER_GROUPS),
        *(f"![{p.stem}](images/benchmarks/{machine}/{p.name})\n" for p in shown),
    )


def _joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _each(machines: list[Results], of: Callable[[Results], str]) -> str:
    return "\n".join(of(results) for results in machines) if machines else NOTHING


def _gpu(results: Results) -> str:
    gpu = results.environment["gpu"]
    return f" with {gpu['name']}" if gpu else ""


def environment_line(facts: JSON) -> str:
    """Return what the figures were measured on."""
    gpu = facts["gpu"]
    machine = facts["cpu"] + (f", {gpu['name']} (driver {gpu['driver_version']})" if gpu else "")
    workers = (worker for team in facts["workers"].values() for worker in team.values())
    versions = {name: v for worker in workers for name, v in worker["versions"].items()}
    libraries = ", ".join(f"{name} {v}" for name, v in versions.items() if name != "jaxlib")
    threads = " and ".join(map(str, facts["threads"]))
    return (
        f"{machine}; threads: {threads}; {libraries}; BLAS {facts.get('blas', 'unknown')}; Python "
        f"{facts['python']}; {facts['date']}, commit {facts.get('commit')}.\n"
    )


def not_run(results: Results) -> str:
    """Return a sentence on the backends that could not be used."""
    reasons: dict[str, list[str]] = {}
    for row in results.rows:
        if row.not_run and row.backend not in reasons.setdefault(row.not_run, []):
            reasons[row.not_run].append(row.backend)
    return "".join(f"Not run: {', '.join(names)} ({why}).\n" for why, names in reasons.items())


# The epochs


def epochs_table(results: Results) -> str:
    """Return the time per epoch of every backend, compared with ours and with the floor."""
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


# What was to be reached


@dataclass(frozen=True)
class Target:
    """What our epoch, operation or memory should reach: the rival's figure is so many times ours.

    Against a floor it is a limit: ours is at most so many times the floor.
    """

    group: str
    case: str
    against: str
    factor: float

    @property
    def is_limit(self) -> bool:
        """Whether it is to be reached from above."""
        return self.against.startswith("floor")


TARGETS = (
    Target("epoch", SOFTMAX_REGRESSION, "torch", 2.0),
    Target("epoch", SOFTMAX_REGRESSION, "JAX", 1.5),
    Target("epoch", SOFTMAX_REGRESSION, "scikit-learn", 1.8),
    Target("epoch", SOFTMAX_REGRESSION, "torchvision 0 workers", 45.0),
    Target("epoch", SOFTMAX_REGRESSION, BOTH_FLOORS, 1.3),
    Target("epoch", MLP, "torch", 1.4),
    Target("epoch", MLP, "JAX", 1.05),
    Target("epoch", MLP, "scikit-learn", 1.9),
    Target("epoch", MLP, "floor products", 1.5),
    *(
        Target("op", f"{op} {shape}", "torch", 1.0)
        for op in ("cross_entropy", "cross_entropy_with_gradient")
        for shape in ((256, 10), (4096, 10), (512, 1000))
    ),
    Target("memory", MLP, "torch", 1.0),
)


def targets_table(results: Results) -> str:
    """Return what was to be reached, and what was; they are meant for MNIST and 2 threads."""
    if results.threads != 2 or {row.case.data for row in results.of("epoch")} != {"mnist"}:
        return ""
    lines = ["| case | against | target | measured (quartiles) | |", "|---|---|--:|--:|---|"]
    for target in TARGETS:
        measured = measured_factor(results, target)
        limit = "≤" if target.is_limit else "≥"
        what = f"{target.case}, memory" if target.group == "memory" else target.case
        verdict = measured and ("met" if holds(target, measured) else "**missed**")
        lines.append(
            f"| {what} | {target.against} | {limit} {target.factor:g} "
            f"| {_range(measured) if measured else 'not measured'} | {verdict or ''} |"
        )
    return "\n".join(lines) + "\n"


def holds(target: Target, measured: Summary) -> bool:
    """Return whether the median reaches the target."""
    if target.is_limit:
        return measured.median <= target.factor
    return measured.median >= target.factor


def measured_factor(results: Results, target: Target) -> Summary | None:
    """Return how many times ours the rival needs (ours, the floor), or None if not measured."""
    for case, rows in by_backend(results.of(target.group)).items():
        if not case.name.startswith(target.case) or OURS not in rows:
            continue
        if target.is_limit:
            least = floor(rows, target.against)
            return rows[OURS].times(least) if least else None
        return rows[target.against].times(rows[OURS]) if target.against in rows else None
    return None


# All other figures


def group_table(results: Results, groups: Iterable[str]) -> str:
    """Return our figure of each case, and how many times ours every other backend needs."""
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


def _batches(wins: list[int], all_: list[int]) -> str:
    if not wins:
        return "no batch size"
    if len(wins) == len(all_):
        return "every batch size"
    return f"batches of {', '.join(map(str, sorted(wins)))}"


def _range(s: Summary) -> str:
    median, low, high = (f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in s)
    return f"{median} ({low} to {high})"


def _label(case: Case) -> str:
    return case.name if case.group == "op" else f"{case.group}: {case.name}"
