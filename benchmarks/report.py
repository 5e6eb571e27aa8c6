"""Writes the tables into the README and docs/benchmarks.md, and draws the pictures."""

from collections.abc import Callable
from pathlib import Path

from benchmarks import plots, tables
from benchmarks.results import FOLDER, Results, by_backend
from scratchnn.plots import save

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/images/benchmarks"
NOTHING = "*Not yet measured.*\n"


def write() -> list[Path]:
    """Make tables and pictures of every file in benchmarks/results; return what was written."""
    files = sorted(FOLDER.glob("*.json"))
    written = []
    for file in files:
        written += draw(Results.load(file), PICTURES / file.stem)
    results = [Results.load(file) for file in files]
    for page, made in pages(results).items():
        page.write_text(fill(page.read_text(encoding="utf-8"), made), encoding="utf-8")
        written.append(page)
    return written


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw all pictures into a folder, as SVG and PNG."""
    return [
        path
        for name, figure in plots.all_of(results).items()
        for path in save(figure, folder, name)
    ]


def pages(machines: list[Results]) -> dict[Path, dict[str, str]]:
    """Return the tables of each page by the names of their markers."""
    return {
        ROOT / "README.md": {"benchmarks": _each(machines, summary)},
        ROOT / "docs/benchmarks.md": {"benchmark-tables": _each(machines, details)},
    }


def summary(results: Results) -> str:
    """Return what the README says of a machine."""
    return "\n".join(
        part
        for part in (
            f"**{results.environment['cpu']}{_gpu(results)}**\n",
            tables.epochs_table(results),
            tables.not_run(results),
            tables.environment_line(results.environment),
        )
        if part
    )


def details(results: Results) -> str:
    """Return all tables of a machine, and its pictures."""
    pairs = [rows for rows in by_backend(results.of("crossover")).values() if tables.OURS in rows]
    rivals = dict.fromkeys(name for rows in pairs for name in rows)
    answers = [tables.crossover_line(results, rival) for rival in rivals if rival != tables.OURS]
    machine = results.environment["machine"]
    shown = sorted((PICTURES / machine).glob("*.png"))
    pictures = [f"![{p.stem}](images/benchmarks/{machine}/{p.name})\n" for p in shown]
    others = ("step", "inference", "loading", "memory", "import")
    return "\n".join(
        part
        for part in (
            f"### {results.environment['cpu']}{_gpu(results)}\n",
            tables.environment_line(results.environment),
            tables.targets_table(results),
            *answers,
            tables.group_table(results, ("op",)),
            tables.group_table(results, others),
            *pictures,
        )
        if part
    )


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


def _each(machines: list[Results], of: Callable[[Results], str]) -> str:
    return "\n".join(of(results) for results in machines) if machines else NOTHING


def _gpu(results: Results) -> str:
    gpu = results.environment["gpu"]
    return f" with {gpu['name']}" if gpu else ""
