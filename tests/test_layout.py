"""The architecture: who may import whom, and what an import costs."""

import ast
import re
import subprocess
import sys
import tomllib
from itertools import groupby
from pathlib import Path

import pytest

import parity
import scratchnn

ROOT = Path(__file__).parents[1]

# A file imports only files that stand above it in its package's list.
SCRATCHNN = [
    *["extras", "arrays", "strictness", "linear", "activations", "softmax", "reductions"],
    *["targets", "classification", "binary", "regression", "robust", "divergence"],
    *["functional", "information", "gradcheck.derivatives", "gradcheck.report"],
    *["gradcheck.diagnosis", "gradcheck.pairs", "gradcheck.compare", "gradcheck"],
    *["kronecker", "layers", "mlp", "sgd", "metrics", "calibration"],
    *["data.idx", "data.transforms", "data.batches", "data.geometry", "data.resampling"],
    *["data.augmentation", "data.dataset", "data.datasets", "data.streaming", "data.download"],
    *["data.folder", "data"],
    *["objectives", "distributed", "launch", "train", "checkpoint", "recipes", "plots", "watch"],
    *["", "arguments", "cli", "__main__"],
]  # fmt: skip
PARITY = [
    *["", "bounds", "loss_bounds"],
    *["oracle.digits", "oracle", "oracle.losses"],
    *["verdict", "conventions", "convert", "devices.tf32", "devices", "later"],
    *["strategies", "ops", "right", "literal"],
    *["search.sides", "search.reproduction", "search"],
    *["data"],
    *["accuracy.answers", "accuracy.textbook", "accuracy.libraries", "accuracy", "accuracy.speed"],
    *["steps.trace", "steps.formulas", "steps.elements", "steps.checks"],
    *["steps.objective_bounds", "steps.spread", "steps.network", "steps"],
    *["lockstep.torch_side", "lockstep.culprit", "lockstep"],
    *["report.page", "report", "report.ops"],
    *["training", "training.free_run", "training.paired", "training.saving", "training.modes"],
    *["training.optimizer"],
    *["golden", "golden.replay", "golden.record"],
    *["flaws.flaw", "flaws.softmax", "flaws.losses", "flaws.activations", "flaws.regression"],
    *["flaws.layers", "flaws", "flaws.training"],
    *["battery.subject", "battery.finding", "battery.search"],
    *["battery.answer", "battery.typical", "battery.hand", "battery.properties"],
    *["battery.outcome", "battery.values", "battery.laws", "battery.rivals", "battery.habits"],
    *["battery.backward", "battery.gradient", "battery.diagnosis", "battery"],
    *["mutants"],
    *["commands", "commands.ops", "commands.train", "commands.record", "commands.replay"],
    *["commands.accuracy", "commands.check", "commands.mutants", "__main__"],
]  # fmt: skip
BENCHMARKS = [
    *["", "statistics", "cases", "inputs", "ops", "backends", "backends.on_numpy"],
    *["backends.torch_training", "backends.transfers", "backends.on_torch", "backends.on_loader"],
    *["backends.on_jax", "backends.on_sklearn", "backends.floor", "checks", "work", "worker"],
    *["environment", "results", "team", "runner", "tables", "panels", "crossover", "plots"],
    *["report", "mpi_scaling", "__main__"],
]  # fmt: skip


def source_files(package):
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path, package):
    parts = path.relative_to(ROOT / package).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path, package):
    """Yield the modules of a package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = {f.with_suffix("") for f in source_files(package)}
            names = [n for n in inside if ROOT / n.replace(".", "/") in modules] or [node.module]
        else:
            continue
        for name in names:
            if name == package or name.startswith(f"{package}."):
                yield name.removeprefix(package).removeprefix(".")


@pytest.mark.parametrize(
    ("package", "order"),
    [("scratchnn", SCRATCHNN), ("parity", PARITY), ("benchmarks", BENCHMARKS)],
)
def test_files_import_only_files_above_them(package, order):
    modules = {module_name(path, package): path for path in source_files(package)}
    assert set(modules) == set(order)
    for module, path in modules.items():
        for name in imported(path, package):
            for other in [name, *packages_entered(name, module)]:
                assert order.index(other) < order.index(module), f"{module} imports {other}"


def packages_entered(name, module):
    """Return the packages around a name that are not around the module: an import runs them."""
    packages = [name[:i] for i, letter in enumerate(name) if letter == "."]
    return [package for package in packages if not f"{module}.".startswith(f"{package}.")]


def test_an_import_from_outside_enters_the_package():
    assert packages_entered("data.idx", "cli") == ["data"]
    assert packages_entered("data.idx", "data") == packages_entered("data.idx", "data.folder") == []


@pytest.mark.parametrize("order", [SCRATCHNN, PARITY, BENCHMARKS])
def test_files_of_a_package_stand_together(order):
    assert len(entries(order)) == len(set(entries(order)))


def entries(order):
    """Return what `ls` shows of a package, in the order of its list."""
    return [name for name, _ in groupby(module.split(".")[0] for module in order)]


def test_reading_order_of_parity_is_that_of_its_imports():
    lines = re.findall(r"^    (\w+)(?:\.py|/) ", parity.__doc__, re.MULTILINE)
    assert lines == [name for name in entries(PARITY) if name not in ("", "__main__")]
    for folder in {module.split(".")[0] for module in PARITY if "." in module} - {"commands"}:
        tree = ast.parse((ROOT / "parity" / folder / "__init__.py").read_text())
        named = re.findall(r"^    (\w+)\.py ", ast.get_docstring(tree, clean=False), re.MULTILINE)
        files = [m.removeprefix(f"{folder}.") for m in PARITY if m.startswith(f"{folder}.")]
        assert [name for name in named if name != "__init__"] == files


def test_scratchnn_never_imports_torch_or_parity():
    for path in source_files("scratchnn"):
        assert not list(imported(path, "torch")), path
        assert not list(imported(path, "parity")), path


def test_nothing_that_is_installed_needs_the_benchmarks():
    """They run from a checkout, and no wheel has them."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"]["packages"] == ["scratchnn", "parity"]
    for package in ("scratchnn", "parity"):
        for path in source_files(package):
            assert not list(imported(path, "benchmarks")), path


def test_layout_check_sees_a_forbidden_import(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    from scratchnn.cli import main\n")
    assert list(imported(file, "scratchnn")) == ["cli"]
    file.write_text("from scratchnn import mlp, cli\nimport torch.nn\n")
    assert list(imported(file, "scratchnn")) == ["mlp", "cli"]
    assert list(imported(file, "torch")) == ["nn"]


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_import_brings_numpy_alone():
    loaded = run("import sys, scratchnn, scratchnn.cli; print(*sys.modules)").split()
    foreign = {"torch", "matplotlib", "tqdm", "pooch", "threadpoolctl", "scipy", "parity"}
    foreign |= {"PIL", "tensorboardX", "IPython"}
    assert not foreign & set(loaded)


def test_import_costs_under_30_ms_beyond_numpy():
    code = (
        "import time, numpy; start = time.process_time(); import scratchnn; "
        "print(time.process_time() - start)"
    )
    assert min(float(run(code)) for _ in range(7)) < 0.030


def test_all_exports_exist():
    assert run("from scratchnn import *; import scratchnn; print(len(scratchnn.__all__), fit, mlp)")
    with pytest.raises(AttributeError, match="no attribute 'perceptron'"):
        scratchnn.perceptron  # noqa: B018


def test_no_module_has_the_name_of_an_exported_function():
    for name in scratchnn.__all__:
        if not isinstance(getattr(scratchnn, name), type(scratchnn)):
            assert name not in {module.split(".")[-1] for module in SCRATCHNN}


ABOVE_200_LINES = {  # and why it is one idea all the same
    "benchmarks/mpi_scaling.py": "the model, its measurement and its table",
    "parity/accuracy/__init__.py": "inputs, errors and the verdict of one table",
    "parity/bounds.py": "one bound an operation, as short as their docstrings let them be",
    "parity/flaws/losses.py": "one table of a loss's bugs, a function each",
    "parity/flaws/training.py": "likewise, of training's",
    "parity/lockstep/__init__.py": "the training, and what its results mean",
    "parity/loss_bounds.py": "one bound a loss",
    "parity/ops.py": "one table, a row an operation",
    "scratchnn/classification.py": "nll_loss and cross_entropy share every option and their kernel",
    "scratchnn/cli.py": "one command, with its four subcommands",
    "scratchnn/gradcheck/pairs.py": "all that a learner's two functions may do wrong",
    "scratchnn/train.py": "fit and evaluate, with their history",
}


def test_files_keep_to_their_budget():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for package in ("scratchnn", "parity", "benchmarks")
        for path in source_files(package)
    }
    assert max(lines.values()) <= 300
    assert {name for name, count in lines.items() if count > 200} == set(ABOVE_200_LINES)
