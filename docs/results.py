"""Measure what the documents show, and make their tables from what was measured.

    python docs/results.py measure    every recipe, NumPy and parity → docs/results/reference.json
    python docs/results.py speed      cross-entropy and a textbook's → docs/results/speed.json
    python docs/results.py bounds     100,000 generated cases → docs/results/ops.json
    python docs/results.py fixtures   what `parity check` says of them → docs/results/fixtures.json
    python docs/results.py drift      free runs and their controls → docs/results/free-run.json
    python docs/results.py pages      docs/results/ → the tables of README.md and docs/

`measure` needs MNIST (SCRATCHNN_DATA) and takes about five minutes on 2 cores; `bounds` takes
longer. Four other files of docs/results/ are written by the commands themselves:

    python -m parity accuracy --json docs/results/accuracy.json
    python -m parity mutants --json docs/results/mutants.json
    python -m benchmarks.mpi_scaling --json docs/results/mpi.json
    python -m tests.reliability --long --json docs/results/reliability.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from statistics import median

try:
    from benchmarks import mpi_scaling, textbook
    from benchmarks.report import fill
    from parity import accuracy, devices
    from parity.checking import mutants
    from parity.cli import main as parity
    from scratchnn.run import record
    from scratchnn.run.cli import main as scratchnn
    from scratchnn.run.recipes import RECIPES
    from tests.parity import verdicts
except ImportError as error:
    raise SystemExit(
        f"docs/results.py needs all packages, and {error.name} is not installed: "
        "pip install -e '.[all]' in a checkout"
    ) from None

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/results"
R1_ACCURACY = [89, 93, 95, 95, 96, 97, 97, 97, 97, 97]  # %, as its text prints it: truncated
LARGE = (
    *(("softmax-regression", "mnist"), ("mlp", "mnist")),
    ("softmax-regression", "fashion-mnist"),
)
DRIFT_STEPS = (1, 10, 20, 50, 100, 300, 1000)
SHOWN = (  # of the accuracy table, in the README
    *("softmax", "softmax gradient", "log_softmax", "cross_entropy", "cross_entropy gradient"),
    *("sigmoid", "bce, t in {0, 1}"),
)


def measure() -> None:
    """Train and compare every recipe on its bundled data, and some on MNIST and Fashion-MNIST."""
    facts = devices.environment(devices.prepare("cpu"))
    results = {"environment": facts, "train": [], "parity": []}
    runs = [(name, recipe.default_data) for name, recipe in RECIPES.items()]
    for name, data in [*runs, *LARGE]:
        with tempfile.TemporaryDirectory() as folder:
            fewer = ["--steps", "1000"] if (name, data) in LARGE else []
            for command, kind, limit in ((scratchnn, "train", []), (parity, "parity", fewer)):
                status = command(["train", name, "--data", data, "--out", folder, *limit])
                assert status == 0, (name, data, kind, status)
            run = record.read(folder)
            results["train"].append(
                {**run["settings"], "interrupted": False, "history": run["history"]}
            )
            results["parity"].append(json.loads((Path(folder) / "parity.json").read_text()))
            for side in results["parity"][-1]:
                del side["epochs"], side["environment"]  # the verdict is enough here
            keep_pictures(Path(folder), f"{name}-{data}")
    write("reference", results)


def keep_pictures(folder: Path, run: str) -> None:
    """Copy the pictures that the README shows."""
    wanted = {
        "softmax-regression-digits": "parity-float32.png",
        "mlp-mnist": "curves.png",
    }
    if run in wanted:
        shutil.copy(folder / wanted[run], ROOT / "docs/images" / f"{run}-{wanted[run]}")


def bounds() -> None:
    """Look for errors beyond the bounds in 2,600 cases of each cell."""
    made = ["--examples", "2600", "--json", str(FOLDER / "ops.json")]
    assert parity(["ops", "--device", "cpu", *made]) == 0


def drift() -> None:
    """Train `mlp` freely on MNIST, and keep how far the two θ are apart at some steps."""
    command = "train mlp --data mnist --mode free-run --steps 1000 --learning-rate 0.1 --momentum 0"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "free-run.json"
        assert parity([*command.split(), "--json", str(file)]) == 0
        found = json.loads(file.read_text())
    results = [
        {"dtype": run["dtype"], "holds": run["holds"]}
        | {line: [run[line][step - 1] for step in DRIFT_STEPS] for line in ("apart", "control")}
        for run in found["results"]
    ]
    facts = {"command": f"python -m parity {command}", "environment": found["environment"]}
    write("free-run", facts | {"steps": DRIFT_STEPS, "results": results})


def measure_speed() -> None:
    """Time cross-entropy and its gradient."""
    facts = devices.environment(devices.prepare("cpu"))
    write("speed", {"environment": facts, "rows": textbook.measure()})


def pages() -> None:
    """Put every table between its markers."""
    for name in PAGES:
        path = ROOT / name
        path.write_text(with_tables(name, path.read_text()))


def with_tables(name: str, text: str) -> str:
    """Return a page's text with its tables made anew."""
    return fill(text, PAGES[name]())


def readme() -> dict[str, str]:
    """Return the README's tables."""
    results = read("reference")
    cells = [cell for cell in accuracy.read(accuracy.RESULTS) if cell.op in SHOWN]
    return {
        "models": parity_table(results),
        "environment": environment_line(results["environment"]),
        "accuracy": accuracy.table(cells, "float32"),
    }


def recipes_page() -> dict[str, str]:
    """Return what the recipes reach."""
    results = read("reference")
    return {
        "models": models_table(results),
        "environment": environment_line(results["environment"]),
        "mlp": mlp_table(results),
    }


def accuracy_page() -> dict[str, str]:
    """Return the tables of errors and of speed."""
    cells = accuracy.read(accuracy.RESULTS)
    facts = read("accuracy")["environment"]
    packages = ", ".join(
        f"{name} {facts[name]}"
        for name in ("numpy", "torch", "scipy", "jax", "scikit-learn")
        if name in facts
    )
    rows = "fewer rows (`--quick`)" if facts["quick"] else "all rows"
    timed = read("speed")
    return {
        "summary": f"{accuracy.summary(cells)}\n\nMeasured on {rows}, with {packages}.\n",
        "float32": accuracy.table(cells, "float32"),
        "float64": accuracy.table(cells, "float64"),
        "speed": textbook.table(timed["rows"]) + "\n" + environment_line(timed["environment"]),
    }


def scaling_page() -> dict[str, str]:
    """Return the tables of ranks."""
    results = read("mpi")
    names = ("constants", "check_table", "paper_table")
    return {name: getattr(mpi_scaling, name)(results) for name in names}


def fixtures() -> None:
    """Check every fixture of tests/parity/fixtures. The score of the first run stays as it is."""
    first_run = read("fixtures")["first_run"]
    found = [verdicts.verdict(fixture) for fixture in verdicts.fixtures()]
    write("fixtures", {"first_run": first_run, "fixtures": found})


def fixtures_page() -> dict[str, str]:
    """Return the matrix of fixtures and verdicts, and its sums."""
    results = read("fixtures")
    return {"summary": verdicts.summary(results), "fixtures": verdicts.table(results)}


def mutants_page() -> dict[str, str]:
    """Return the matrix of bugs and checks."""
    found = mutants.read(mutants.RESULTS)
    return mutants.tables(found) | {"summary": mutants.summary(found)}


PAGES = {
    "README.md": readme,
    "docs/recipes.md": recipes_page,
    "docs/accuracy.md": accuracy_page,
    "docs/bounds.md": lambda: {"ops": ops_table(read("ops"))},
    "docs/distributed.md": scaling_page,
    "docs/fixtures.md": fixtures_page,
    "docs/mutants.md": mutants_page,
    "docs/reliability.md": lambda: {"faults": faults_table(read("reliability"))},
    "docs/parity-training.md": lambda: {"drift": drift_table(read("free-run"))},
}


def parity_table(results: dict) -> str:
    """Return how close NumPy and torch stayed in each recipe."""
    lines = [
        "| recipe | data | test accuracy | steps compared | largest difference, of its tolerance "
        "| \\|Δθ\\|, float64 |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for run, sides in zip(results["train"], results["parity"], strict=True):
        assert all(side["holds"] for side in sides)
        accuracy = run["history"][-1]["test_accuracy"]
        shown = "" if accuracy is None else f"{accuracy:.1%}"
        lines.append(
            f"| `{run['recipe']}` | {run['data']} | {shown} "
            f"| {sides[1]['steps']:,} | {max(side['worst']['ratio'] for side in sides):.0%} "
            f"| {sides[1]['free_run']:.1e} |"
        )
    return "\n".join(lines) + "\n"


def models_table(results: dict) -> str:
    """Return what each recipe reached, and how close NumPy and torch stayed."""
    lines = [
        "| recipe | data | epochs | test loss | test accuracy | ms per epoch, with evaluation "
        "| parity: steps | share, float32 | share, float64 | \\|Δθ\\|, float64 |",
        f"|---|---|{'--:|' * 8}",
    ]
    for run, (single, double) in zip(results["train"], results["parity"], strict=True):
        assert single["holds"]
        assert double["holds"]
        lines.append(
            f"| `{run['recipe']}` | {run['data']} | {run['epochs']} | {reached(run['history'])} "
            f"| {single['steps']:,} | {single['worst']['ratio']:.0%} "
            f"| {double['worst']['ratio']:.0%} | {double['free_run']:.1e} |"
        )
    return "\n".join(lines) + "\n"


def reached(history: list[dict]) -> str:
    """Return loss, accuracy and median milliseconds as cells of a table."""
    last, ms = history[-1], 1e3 * median(row["seconds"] for row in history)
    if last["test_accuracy"] is None:
        return f"{last['train_loss']:.4f} (train) | | {ms:,.1f}"
    return f"{last['test_loss']:.4f} | {last['test_accuracy']:.1%} | {ms:,.1f}"


def mlp_table(results: dict) -> str:
    """Return the MLP's test accuracy on MNIST compared with that of its text."""
    (run,) = (r for r in results["train"] if (r["recipe"], r["data"]) == ("mlp", "mnist"))
    ours = [f"{row['test_accuracy']:.1%}" for row in run["history"]]
    return (
        f"| epoch | {' | '.join(str(row['epoch']) for row in run['history'])} |\n"
        f"|---|{'--:|' * len(ours)}\n"
        f"| R1 (truncated) | {' | '.join(f'{a}%' for a in R1_ACCURACY)} |\n"
        f"| `scratchnn train mlp --data mnist` | {' | '.join(ours)} |\n"
    )


def ops_table(found: dict) -> str:
    """Return how close both sides came to their bounds in each operation."""
    assert found["holds"]
    rows = {}
    for cell in found["results"]:
        shares = (f"{worst['error']['ratio']:.0%}" for worst in cell["sides"].values())
        rows.setdefault(cell["op"], {})[cell["dtype"]] = " | ".join(shares)
    lines = ["| operation | float32: NumPy | torch | float64: NumPy | torch | TF32: torch |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for op, row in rows.items():
        tf32 = row["tf32"].split(" | ")[1] if "tf32" in row else ""
        lines.append(f"| {op} | {row['float32']} | {row['float64']} | {tf32} |")
    return "\n".join(lines) + f"\n\n{found['verdict'].capitalize()}.\n"


def drift_table(found: dict) -> str:
    """Return how far freely trained parameters came apart, and the control."""
    names = {"apart": "NumPy and torch", "control": "torch and torch + 1 ulp"}
    lines = [f"| max \\|θ - θ\\| at step | {' | '.join(f'{s:,}' for s in found['steps'])} |"]
    lines.append(f"|---|{'--:|' * len(found['steps'])}")
    for run in found["results"]:
        for line, name in names.items():
            figures = " | ".join(f"{value:.1e}" for value in run[line])
            lines.append(f"| {name}, {run['dtype']} | {figures} |")
    return "\n".join(lines) + f"\n\nMade by `{found['command']}`.\n"


def faults_table(found: dict) -> str:
    """Return how often each fault was tried, how often something was wrong, and when."""
    rows = found["faults"]
    lines = ["| fault | tried | wrong | measured |", "|---|--:|--:|---|"]
    lines += [f"| {r['fault']} | {r['cases']:,} | {len(r['wrong'])} | {r['date']} |" for r in rows]
    lines += ["", *(f"{r['fault'].capitalize()}: {r['said']}.\n" for r in rows if "said" in r)]
    used = [
        f"NumPy {e['numpy']}, Python {e['python']}, {e['system']}, {e['processor']}"
        for e in (row["environment"] for row in rows)
    ]
    minutes = sum(row["seconds"] for row in rows) / 60
    return (
        "\n".join(lines)
        + f"\nMeasured in {minutes:.0f} minutes with {'; '.join(dict.fromkeys(used))}.\n"
    )


def environment_line(facts: dict) -> str:
    """Return what these figures were measured with."""
    return (
        f"Measured with NumPy {facts['numpy']} ({facts['blas']}), torch {facts['torch']} on "
        f"{facts['device'].upper()}, Python {facts['python']}, {facts['cpus']} cores, "
        f"commit {facts['commit']}.\n"
    )


def read(name: str) -> dict:
    """Return a results file."""
    found: dict = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def write(name: str, results: dict) -> None:
    """Write a results file."""
    (FOLDER / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {
        "measure": measure,
        "speed": measure_speed,
        "bounds": bounds,
        "fixtures": fixtures,
        "drift": drift,
        "pages": pages,
    }
    parser.add_argument("command", choices=commands)
    commands[parser.parse_args().command]()
