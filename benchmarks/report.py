"""The pages and pictures of the committed results, and the text of any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks import pictures, tables
from benchmarks.environment import environment_line
from benchmarks.noise import marked
from benchmarks.results import FOLDER, Results
from scratchnn.plots import save

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/images/benchmarks"
NOTHING = "*Not yet measured.*\n"


def write() -> list[Path]:
    """Make tables and pictures of every file in benchmarks/results; return what was written."""
    machines = load()
    written = []
    for results in machines:
        written += draw(results, PICTURES / results.environment["machine"])
    if machines:
        written += save(pictures.epochs(machines), PICTURES, "epochs")
    for page, made in pages(machines).items():
        page.write_text(fill(page.read_text(encoding="utf-8"), made), encoding="utf-8")
        written.append(page)
    return written


def load() -> list[Results]:
    """Return the committed results of each machine, with their noisy rows marked."""
    return [marked(Results.load(file)) for file in sorted(FOLDER.glob("*.json"))]


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw all pictures into a folder, as SVG and PNG."""
    figures = pictures.all_of(results).items()
    return [path for name, figure in figures for path in save(figure, folder, name)]


def pages(machines: list[Results]) -> dict[Path, dict[str, str]]:
    """Return the tables of each page by the names of their markers."""
    return {
        ROOT / "README.md": {"benchmarks": summary(machines) or NOTHING},
        ROOT / "docs/benchmarks.md": {
            "benchmark-tables": _joined(
                *_epochs(machines), *(details(r) + _shown(r) for r in machines)
            )
            or NOTHING
        },
    }


def fill(page: str, made: dict[str, str]) -> str:
    """Return a page's text with these tables between their markers.

    Raises   ValueError for a page without them
    """
    for name, table in made.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = page.partition(begin)
        if end not in rest:
            raise ValueError(f"the page must have the markers {begin.strip()} and {end}, got none")
        page = before + begin + table + end + rest.partition(end)[2]
    return page


def summary(machines: list[Results]) -> str:
    """Return what the README says: which is fastest, by how much, how far from the limit."""
    shown = [results for results in machines if results.of("epoch")]
    if not shown:
        return ""
    names = ", ".join(results.machine for results in shown)
    return _joined(
        tables.answers(shown),
        *(tables.noise_line(results, ("epoch",)) for results in shown),
        *_once(tables.not_run(results) for results in shown),
        f"![seconds per epoch on {names}](docs/images/benchmarks/epochs.png)\n",
    )


def details(results: Results) -> str:
    """Return all tables of a machine; sections of what was not measured are left out."""
    return _joined(
        f"### {results.machine}\n",
        environment_line(results.environment),
        tables.noise_line(results),
        tables.answers([results]),
        tables.targets_table(results),
        tables.threads_table(results),
        tables.exponents_table(results),
        tables.crossover_lines(results),
        tables.group_table(results, ("op",)),
        tables.group_table(results, tables.OTHER_GROUPS),
    )


def text(machines: list[Results]) -> str:
    """Return the tables of some machines, for the terminal."""
    return _joined(*_epochs(machines), *(details(results) for results in machines))


def _epochs(machines: list[Results]) -> list[str]:
    """Return the epochs of both models in all backends, machine by machine in columns."""
    return [tables.epochs_table(machines, model) for model in tables.MODELS]


def _shown(results: Results) -> str:
    """Return links to the machine's pictures."""
    machine = results.environment["machine"]
    names = pictures.names(results)
    return "".join(f"\n![{n}](images/benchmarks/{machine}/{n}.png)\n" for n in names)


def _once(parts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(parts))


def _joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)
