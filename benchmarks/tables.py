"""The tables of results, and the sentences that say what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.backends import BACKENDS
from benchmarks.cases import GROUPS, MLP, SOFTMAX_REGRESSION, Case
from benchmarks.noise import MARK
from benchmarks.results import (
    BOTH_FLOORS,
    FLOAT_FLOORS,
    FLOORS,
    OURS,
    Results,
    Row,
    Summary,
    by_backend,
    counted,
    exponent,
    floor,
    quantity,
    rivals,
)

OTHER_GROUPS = ("step", "inference", "loading", "memory", "import")
MODELS = (SOFTMAX_REGRESSION, MLP)
SHOWN_FLOORS = {
    FLOORS[0]: "floor: products alone",
    BOTH_FLOORS: "floor: plus moving the bytes",
}
ABOUT_FLOORS = {
    FLOORS[0]: "the matrix products of an epoch, in NumPy",
    BOTH_FLOORS: "and each row of the data copied once, and made floats",
}
MAIN = (f"{OURS} fast", OURS, "torch", "JAX", "scikit-learn", "CUDA graph")  # in sentences
THEORY_MARGIN = 0.15  # of a fitted exponent: with five sizes it is not more certain


def not_run(results: Results) -> str:
    """Return a sentence on the backends that could not be used."""
    reasons: dict[str, list[str]] = {}
    for row in results.rows:
        if row.not_run and row.backend not in reasons.setdefault(row.not_run, []):
            reasons[row.not_run].append(row.backend)
    return "".join(f"Not run: {', '.join(names)} ({why}).\n" for why, names in reasons.items())


def noise_line(results: Results, groups: Sequence[str] = GROUPS) -> str:
    """Say how many figures of some groups are noise, and how they are marked."""
    rows = [row for row in results.rows if not row.not_run and row.case.group in groups]
    if not (count := sum(bool(row.noisy) for row in rows)):
        return ""
    return (
        f"{count} of {len(rows)} figures are noise: {results.machine} was busy. A `{MARK}` marks "
        "them, in pictures a hollow point or an empty cell. Nothing is concluded from them.\n"
    )


# The epochs: which is fastest, by how much, and how far from the machine's limit?


def answers(machines: Iterable[Results]) -> str:
    """Return a sentence for each machine and model."""
    lines = []
    for results in machines:
        found = [_answer(rows, model) for model, rows in _epochs(results).items()]
        if any(found):
            lines.append(f"- **{results.where}.** {' '.join(filter(None, found))}\n")
    return "".join(lines)


def _answer(rows: dict[str, Row], model: str) -> str:
    reliable = {name: row for name, row in _training(rows).items() if not row.noisy}
    if not reliable:
        return ""
    best = _fastest(rows)
    equal = [n for n, row in reliable.items() if row is best or row.times(best).low <= 1]
    least = floor(rows, BOTH_FLOORS)
    verb = "is" if len(equal) == 1 else "are"
    limit = f", {_times(best, least)} × the floor" if least and not least.noisy else ""
    others = [n for n in _by_time(reliable) if n in MAIN and n not in equal]
    slower = [
        f"{name} {'' if i else 'takes '}{_times(reliable[name], best)} ×"
        for i, name in enumerate(others)
    ]
    rest = f" {_listed(slower)} as long." if slower else ""
    seconds = quantity(best.summary.median, best.unit)
    return f"{_capital(model)}: {_listed(equal)} {verb} fastest ({seconds} per epoch{limit}).{rest}"


def epochs_table(machines: Sequence[Results], model: str) -> str:
    """Return seconds, × the fastest and × the floor of every backend, on every machine.

    The ratios are those of the seconds shown. Other tables have the medians of the rounds' ratios.
    """
    found = [(r.where, _epochs(r)[model]) for r in machines if model in _epochs(r)]
    if not found:
        return ""
    columns = [f"{name}: seconds per epoch | × the fastest | × the floor" for name, _ in found]
    lines = [f"| {_described(model, machines)} | what it is | {' | '.join(columns)} |"]
    lines.append(f"|---|---|{'--:|' * 3 * len(found)}")
    names = dict.fromkeys(name for _, rows in found for name in _by_time(rows))
    for name in (*names, *SHOWN_FLOORS):
        cells = [cell for _, rows in found for cell in _epoch_cells(rows, name)]
        if any(cells):
            shown, about = SHOWN_FLOORS.get(name, name), ABOUT_FLOORS.get(name, _about(name))
            lines.append(f"| {shown} | {about} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _described(model: str, machines: Sequence[Results]) -> str:
    """Return a model's name with its layers and its batch, as the cases have them."""
    rows = (row for results in machines for row in results.of("epoch"))
    case = next(row.case for row in rows if row.case.name.startswith(model))
    return f"{_capital(case.name)}, layers {'-'.join(map(str, case.sizes))}"


def _epoch_cells(rows: dict[str, Row], name: str) -> list[str]:
    row, best = floor(rows, name), _fastest(rows)
    if row is None or best is None:
        return ["", "", ""]
    seconds = f"{row.summary.median:.3g}{MARK if row.noisy else ''}"
    if name in SHOWN_FLOORS:
        return [seconds, "", ""]
    least = floor(rows, FLOAT_FLOORS if name == f"{OURS} floats" else BOTH_FLOORS)
    cells = [seconds, _of_medians(row, best), _of_medians(row, least)]
    return [f"**{cell}**" for cell in cells] if row is best else cells


def threads_table(results: Results) -> str:
    """Return the time per epoch with quartiles, with each number of threads."""
    counts = sorted({row.threads for row in results.rows}, reverse=True)
    columns = {
        f"{model}, {counted(n, 'thread')}": rows
        for n in counts
        for model, rows in _epochs(results, n).items()
    }
    if not columns:
        return ""
    lines = [f"| seconds per epoch (quartiles) | {' | '.join(columns)} |"]
    lines.append(f"|---|{'--:|' * len(columns)}")
    for name in dict.fromkeys(name for rows in columns.values() for name in rows):
        cells = (_seconds(rows[name]) if name in rows else "" for rows in columns.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _epochs(results: Results, threads: int | None = None) -> dict[str, dict[str, Row]]:
    """Return the rows of each model's epoch, by backend."""
    found = by_backend(results.of("epoch", threads=threads))
    return {m: rows for m in MODELS for case, rows in found.items() if case.name.startswith(m)}


def _training(rows: dict[str, Row]) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if name not in FLOORS}


def _by_time(rows: dict[str, Row]) -> dict[str, Row]:
    return dict(sorted(_training(rows).items(), key=lambda item: item[1].summary.median))


def _fastest(rows: dict[str, Row]) -> Row:
    """Return the fastest row that is no noise, or where all are, the fastest."""
    ordered = list(_by_time(rows).values())
    return next((row for row in ordered if not row.noisy), ordered[0])


def _about(name: str) -> str:
    return BACKENDS[name].about if name in BACKENDS else ""


# What was to be reached


@dataclass(frozen=True)
class Target:
    """What our epoch, operation or memory should reach: the rival's figure is so many times ours.

    Against a floor or the plain loop it is a limit: ours is at most so many times theirs.
    """

    group: str
    case: str
    against: str
    factor: float
    ours: str = OURS
    threads: int = 2

    @property
    def is_limit(self) -> bool:
        """Whether it is to be reached from above."""
        return self.against.startswith(("floor", "plain"))


FAST = f"{OURS} fast"
TARGETS = (
    Target("epoch", SOFTMAX_REGRESSION, "torch", 1.8),
    Target("epoch", SOFTMAX_REGRESSION, "JAX", 1.15),
    Target("epoch", SOFTMAX_REGRESSION, "scikit-learn", 1.6),
    Target("epoch", SOFTMAX_REGRESSION, BOTH_FLOORS, 1.8),
    Target("epoch", SOFTMAX_REGRESSION, "plain loop", 1.03),
    Target("epoch", MLP, "torch", 1.35, FAST),
    Target("epoch", MLP, "JAX", 1.0, FAST),
    Target("epoch", MLP, FLOORS[0], 1.5, FAST),
    Target("epoch", MLP, "torch", 1.0),
    Target("epoch", MLP, "plain loop", 1.03),
    *(
        Target("op", f"cross_entropy_with_gradient {shape}", "torch", 1.0, threads=1)
        for shape in ((256, 10), (4096, 10), (512, 1000))
    ),
)


def targets_table(results: Results) -> str:
    """Return what was to be reached, and what was; they are meant for MNIST and 2 threads."""
    if results.threads != 2 or {row.case.data for row in results.of("epoch")} != {"mnist"}:
        return ""
    lines = ["| case | ours | against | target | measured (quartiles) | |"]
    lines.append("|---|---|---|--:|--:|---|")
    for target in TARGETS:
        limit = "≤" if target.is_limit else "≥"
        case = target.case if target.threads == 2 else f"{target.case}, 1 thread"
        lines.append(
            f"| {case} | {target.ours} | {target.against} | {limit} {target.factor:g} "
            f"| {' | '.join(_reached(results, target))} |"
        )
    return "\n".join(lines) + "\n"


def _reached(results: Results, target: Target) -> tuple[str, str]:
    """Return what was measured, and the verdict, which noise does not get."""
    pair = compared(results, target)
    if not pair:
        return "not measured", ""
    measured = pair[0].times(pair[1])
    if pair[0].noisy or pair[1].noisy:
        return _range(measured) + MARK, "the machine was busy"
    return _range(measured), "met" if holds(target, measured) else "**missed**"


def holds(target: Target, measured: Summary) -> bool:
    """Return whether the median reaches the target."""
    if target.is_limit:
        return measured.median <= target.factor
    return measured.median >= target.factor


def compared(results: Results, target: Target) -> tuple[Row, Row] | None:
    """Return the rows whose ratio is a target's: the larger one should be first."""
    found = by_backend(results.of(target.group, threads=target.threads))
    for case, rows in found.items():
        ours, other = rows.get(target.ours), floor(rows, target.against)
        if case.name.startswith(target.case) and ours and other:
            return (ours, other) if target.is_limit else (other, ours)
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
        cells = [quantity(ours.summary.median, ours.unit) + (MARK if ours.noisy else "")]
        cells += [_ratio_range(rows[name], ours) if name in rows else "" for name in others]
        lines.append(f"| {_label(case)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def exponents_table(results: Results) -> str:
    """Return how the time grows with each size, by measurement and by theory.

    The theory is the number of multiplications. Both exponents are fitted to the same sizes,
    without those that are noise.
    """
    lines = []
    for (axis, backend), rows in series(results).items():
        if fitted := growth(rows):
            measured, theory = fitted
            verdict = _verdict(measured - theory)
            lines.append(f"| {axis} | {backend} | {measured:.2f} | {theory:.2f} | {verdict} |")
    if not lines:
        return ""
    head = ["| size | backend | exponent | in theory | |", "|---|---|--:|--:|---|"]
    return "\n".join((*head, *lines)) + "\n"


def series(results: Results) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of the scaling cases that ran, by the size that varies and the backend."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in results.of("scaling"):
        if not row.not_run:
            found.setdefault((row.case.axis, row.backend), []).append(row)
    return found


def growth(rows: list[Row]) -> tuple[float, float] | None:
    """Return the exponents of the time and of the multiplications, or None for too few sizes."""
    rows = [row for row in rows if not row.noisy]
    if len(rows) < 2:
        return None
    sizes = [row.case.value for row in rows]
    times, work = zip(*((r.summary.median, r.case.multiplications) for r in rows), strict=True)
    return exponent(sizes, times), exponent(sizes, work)


def _verdict(difference: float) -> str:
    if abs(difference) <= THEORY_MARGIN:
        return "as in theory"
    return "faster than in theory" if difference > 0 else "more slowly than in theory"


def crossover_line(results: Results, rival: str) -> str:
    """Say at which batch sizes softmax regression is faster here than with the rival."""
    wins: dict[int, list[int]] = {}
    batches: dict[int, list[int]] = {}
    for case, rows in by_backend(results.of("crossover")).items():
        if len(case.sizes) != 2 or not {rival, OURS} <= rows.keys():
            continue
        if rows[rival].noisy or rows[OURS].noisy:
            continue
        batches.setdefault(case.sizes[0], []).append(case.batch)
        if rows[rival].times(rows[OURS]).median > 1:
            wins.setdefault(case.sizes[0], []).append(case.batch)
    parts = [
        f"{width} inputs: {_batches(wins.get(width, []), all_)}" for width, all_ in batches.items()
    ]
    if not parts:
        return ""
    where = "; ".join(parts)
    return f"A step of softmax regression is faster in NumPy than with {rival} at {where}.\n"


def crossover_lines(results: Results) -> str:
    """Return a sentence for each library that the map compares with ours."""
    return "\n".join(filter(None, (crossover_line(results, rival) for rival in rivals(results))))


def _batches(wins: list[int], all_: list[int]) -> str:
    if not wins:
        return "no batch size"
    if len(wins) == len(all_):
        return "every batch size that was measured"
    return f"batches of {', '.join(map(str, sorted(wins)))}"


# Cells


def _times(row: Row, other: Row) -> str:
    return f"{row.summary.median / other.summary.median:.1f}"


def _of_medians(row: Row, other: Row | None) -> str:
    if other is None:
        return ""
    ratio = row.summary.median / other.summary.median
    return f"{ratio:.2f}" + (MARK if row.noisy or other.noisy else "")


def _ratio_range(row: Row, other: Row) -> str:
    return _range(row.times(other)) + (MARK if row.noisy or other.noisy else "")


def _seconds(row: Row) -> str:
    s = row.summary
    return f"{s.median:.3g} ({s.low:.3g} to {s.high:.3g}){MARK if row.noisy else ''}"


def _range(s: Summary) -> str:
    median, low, high = (f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in s)
    return f"{median} ({low} to {high})"


def _label(case: Case) -> str:
    return case.name if case.group == "op" else f"{case.group}: {case.name}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
