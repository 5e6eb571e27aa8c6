"""Measure the reference models, and write the README's tables from what was measured.

    python docs/results.py measure    every recipe, NumPy and parity → docs/results/reference.json
    python docs/results.py readme     docs/results/reference.json → the tables of README.md
    python docs/results.py speed      cross-entropy beside the textbook's → docs/results/speed.json
    python docs/results.py accuracy   accuracy.json and speed.json → the tables of docs/accuracy.md
    python docs/results.py bounds     more than 100,000 generated cases → docs/results/ops.json
    python docs/results.py scaling    docs/results/mpi.json → the tables of docs/distributed.md
    python docs/results.py mutants    docs/results/mutants.json → the tables of docs/mutants.md

`measure` needs MNIST (SCRATCHNN_DATA) and takes about five minutes on 2 cores; `bounds` ten.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import mpi_scaling
from benchmarks.report import fill
from parity import accuracy, devices, mutants, speed
from parity.__main__ import main as parity
from scratchnn.cli import main as scratchnn
from scratchnn.recipes import RECIPES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results/reference.json"
SPEED = ROOT / "docs/results/speed.json"
OPS_RESULTS = ROOT / "docs/results/ops.json"
ACCURACY_PAGE = ROOT / "docs/accuracy.md"
SCALING_PAGE = ROOT / "docs/distributed.md"
MUTANTS_PAGE = ROOT / "docs/mutants.md"
R1_ACCURACY = [89, 93, 95, 95, 96, 97, 97, 97, 97, 97]  # %, as its text prints it: truncated
MNIST = ("softmax-regression", "mlp")


def measure() -> None:
    """Train and compare every recipe on its bundled data, and two on MNIST."""
    RESULTS.parent.mkdir(exist_ok=True)
    results = {
        "environment": devices.environment(devices.prepare("cpu")),
        "train": [],
        "parity": [],
    }
    runs = [(name, recipe.default_data) for name, recipe in RECIPES.items()]
    for name, data in [*runs, *((name, "mnist") for name in MNIST)]:
        with tempfile.TemporaryDirectory() as folder:
            fewer = ["--steps", "1000"] if data == "mnist" else []
            for command, kind, file, limit in (
                (scratchnn, "train", "history.json", []),
                (parity, "parity", "parity.json", fewer),
            ):
                status = command(["train", name, "--data", data, "--out", folder, *limit])
                assert status == 0, (name, data, kind, status)
                results[kind].append(json.loads((Path(folder) / file).read_text()))
            for side in results["parity"][-1]:
                del side["epochs"], side["environment"]  # the verdict is enough here
            keep_pictures(Path(folder), f"{name}-{data}")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def keep_pictures(folder: Path, run: str) -> None:
    """Copy the pictures that the README shows."""
    wanted = {
        "softmax-regression-digits": "parity-float32.png",
        "mlp-mnist": "curves.png",
    }
    if run in wanted:
        shutil.copy(folder / wanted[run], ROOT / "docs/images" / f"{run}-{wanted[run]}")


def bounds() -> None:
    """Look for errors beyond the bounds in 3,100 cases of each of 33 cells."""
    assert parity(["ops", "--examples", "3100", "--json", str(OPS_RESULTS)]) == 0


def readme() -> None:
    """Put the tables between their markers in README.md."""
    path = ROOT / "README.md"
    path.write_text(with_tables(path.read_text(), json.loads(RESULTS.read_text())))


def measure_speed() -> None:
    """Time cross-entropy and its gradient."""
    facts = devices.environment(devices.prepare("cpu"))
    SPEED.write_text(json.dumps({"environment": facts, "rows": speed.measure()}, indent=1) + "\n")


def accuracy_page() -> None:
    """Put the tables of errors and of speed between their markers in docs/accuracy.md."""
    ACCURACY_PAGE.write_text(with_accuracy(ACCURACY_PAGE.read_text()))


def scaling_page() -> None:
    """Put the tables of ranks between their markers in docs/distributed.md."""
    SCALING_PAGE.write_text(with_scaling(SCALING_PAGE.read_text()))


def with_scaling(text: str) -> str:
    """Return the text of docs/distributed.md with its tables made anew."""
    results = json.loads((ROOT / "docs/results/mpi.json").read_text())
    names = ("constants", "check_table", "paper_table")
    return fill(text, {name: getattr(mpi_scaling, name)(results) for name in names})


def with_accuracy(text: str) -> str:
    """Return the text of docs/accuracy.md with its tables made anew."""
    cells = accuracy.read(accuracy.RESULTS)
    facts = json.loads(accuracy.RESULTS.read_text())["environment"]
    packages = ", ".join(
        f"{name} {facts[name]}"
        for name in ("numpy", "torch", "scipy", "jax", "scikit-learn")
        if name in facts
    )
    rows = "fewer rows (`--quick`)" if facts["quick"] else "all rows"
    summary = f"{accuracy.summary(cells)}\n\nMeasured on {rows}, with {packages}.\n"
    made = {dtype: accuracy.table(cells, dtype) for dtype in ("float32", "float64")}
    measured = json.loads(SPEED.read_text())
    made["speed"] = speed.table(measured["rows"]) + "\n" + environment_line(measured["environment"])
    return fill(text, made | {"summary": summary})


def mutants_page() -> None:
    """Put the matrix of bugs and checks between its markers in docs/mutants.md."""
    MUTANTS_PAGE.write_text(with_mutants(MUTANTS_PAGE.read_text()))


def with_mutants(text: str) -> str:
    """Return the text of docs/mutants.md with its tables made anew."""
    found = mutants.read(mutants.RESULTS)
    return fill(text, mutants.tables(found) | {"summary": mutants.summary(found)})


def with_tables(text: str, results: dict) -> str:
    """Return the README's text with each marked table made anew."""
    return fill(text, tables(results))


def tables(results: dict) -> dict[str, str]:
    """Return the README's tables, by name."""
    return {
        "recipes": recipes_table(results),
        "mlp": mlp_table(results),
        "parity": parity_table(results),
        "accuracy": accuracy.table(accuracy.read(accuracy.RESULTS), "float32"),
        "ops": ops_table(json.loads(OPS_RESULTS.read_text())),
        "environment": environment_line(results["environment"]),
    }


def recipes_table(results: dict) -> str:
    """Return what each recipe reached."""
    rows = ["| recipe | data | epochs | test loss | test accuracy | seconds an epoch |"]
    rows.append("|---|---|--:|--:|--:|--:|")
    for run in results["train"]:
        last = run["history"][-1]
        seconds = median(row["seconds"] for row in run["history"])
        if last["test_accuracy"] is None:
            reached = f"{last['train_loss']:.4f} (train) | -"
        else:
            reached = f"{last['test_loss']:.4f} | {last['test_accuracy']:.1%}"
        rows.append(
            f"| `{run['recipe']}` | {run['data']} | {run['epochs']} | {reached} | {seconds:.3f} |"
        )
    return "\n".join(rows) + "\n"


def mlp_table(results: dict) -> str:
    """Return the MLP's test accuracy on MNIST beside that of its text."""
    (run,) = (r for r in results["train"] if (r["recipe"], r["data"]) == ("mlp", "mnist"))
    ours = [f"{row['test_accuracy']:.1%}" for row in run["history"]]
    return (
        f"| epoch | {' | '.join(str(row['epoch']) for row in run['history'])} |\n"
        f"|---|{'--:|' * len(ours)}\n"
        f"| R1 (truncated) | {' | '.join(f'{a}%' for a in R1_ACCURACY)} |\n"
        f"| `scratchnn train mlp --data mnist` | {' | '.join(ours)} |\n"
    )


def parity_table(results: dict) -> str:
    """Return how close each recipe came to its tolerances, and how far θ drifted apart."""
    rows = [
        "| recipe | data | steps | float32: worst share of a tolerance | float64: the same "
        "| float64: max \\|Δθ\\|, trained freely |"
    ]
    rows.append("|---|---|--:|--:|--:|--:|")
    for single, double in results["parity"]:
        assert single["holds"]
        assert double["holds"]
        settings = single["settings"]
        rows.append(
            f"| `{settings['recipe']}` | {settings['data']} | {single['steps']:,} "
            f"| {single['worst']['ratio']:.0%} | {double['worst']['ratio']:.0%} "
            f"| {double['free_run']:.1e} |"
        )
    return "\n".join(rows) + "\n"


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


def environment_line(facts: dict) -> str:
    """Return what these figures were measured with."""
    return (
        f"Measured with NumPy {facts['numpy']} ({facts['blas']}), torch {facts['torch']} on "
        f"{facts['device'].upper()}, Python {facts['python']}, {facts['cpus']} cores, "
        f"commit {facts['commit']}.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    commands = {
        "measure": measure,
        "readme": readme,
        "speed": measure_speed,
        "accuracy": accuracy_page,
        "bounds": bounds,
        "scaling": scaling_page,
        "mutants": mutants_page,
    }
    parser.add_argument("command", choices=commands)
    commands[parser.parse_args().command]()
