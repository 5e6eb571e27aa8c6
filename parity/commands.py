"""What each command of `python -m parity` does: cli.py has their arguments.

A command imports what it needs when it runs: `replay` runs with NumPy alone, and `check` without
torch.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

import parity
import scratchnn
from parity import report, theirs
from parity.report import Report, Section
from scratchnn.data import DataError
from scratchnn.extras import need
from scratchnn.run.recipes import RECIPES

if TYPE_CHECKING:
    from parity.checking import Report as Checked
    from parity.devices import Precision
    from parity.ops import Op
    from parity.search import Cell

DTYPES = ("float32", "float64")
PRIVATE = "parity checks "  # no import has such a name


def ops(arguments: argparse.Namespace) -> int:
    """Search every cell for its worst case, print the matrix, and judge."""
    for package in ("torch", "hypothesis", "mpmath"):
        need(package, "parity")
    if arguments.html:
        need("matplotlib", "plots")
    from parity import devices

    names = devices.available() if arguments.device == "all" else [arguments.device]
    device = [devices.prepare(name, deterministic=False) for name in names][-1]
    with devices.threads(arguments.threads):
        environment = devices.environment(device)
        cells = _search(arguments, names)
    settings = {name: getattr(arguments, name) for name in ("dtype", "examples", "bounds", "seed")}
    found = report.of_cells(cells, {"devices": names} | settings, environment)
    print("", *filter(None, map(report.cell_failure, cells)), sep="\n")
    print(*report.refusals(cells), found.verdict, sep="\n")
    _say_saved(report.save(found, arguments.json, arguments.html))
    return 0 if found.holds else 1


def _search(arguments: argparse.Namespace, names: list[str]) -> list[Cell]:
    from parity.judge import OURS
    from parity.search import ROWS, search

    print(report.cells_header([OURS, *(f"torch {name}" for name in names)]))
    cells = []
    for dtype in ROWS if arguments.dtype == "all" else [arguments.dtype]:
        for op in _rows(arguments.op, dtype):
            cells.append(
                search(op, dtype, names, arguments.examples, arguments.seed, arguments.bounds)
            )
            print(report.cell_line(cells[-1]), flush=True)
    if not cells:
        raise ValueError("--dtype tf32 is for operations that multiply matrices, got none")
    return cells


def _rows(names: list[str] | None, dtype: str) -> list[Op]:
    """Return the rows of the table with these names, in TF32 those that multiply matrices.

    A name without its variant, as cross_entropy of "cross_entropy, probabilities", means all.

    Raises   ValueError
    """
    from parity.ops import OPS

    named = {name: {name, op.function} for name, op in OPS.items()}
    unknown = set(names or ()) - set().union(*named.values())
    if unknown:
        wanted = "; ".join(name for name in OPS if "," not in name)
        raise ValueError(f"--op must be of {wanted}; got {'; '.join(sorted(unknown))}")
    rows = [op for op in OPS.values() if not names or named[op.name] & set(names)]
    return [op for op in rows if op.products] if dtype == "tf32" else rows


def train(arguments: argparse.Namespace) -> int:
    """Train in the mode asked for, report, and return the exit status."""
    need("torch", "torch")
    if arguments.html and arguments.mode != "accuracy":
        need("matplotlib", "plots")  # before the training, and not after it
    from parity.training import modes

    return modes.run(arguments)


def record(arguments: argparse.Namespace) -> int:
    """Record each recipe on its bundled data."""
    need("torch", "torch")
    from parity import devices
    from parity.training import golden

    device = devices.prepare(arguments.device)
    folder = Path(arguments.out or golden.FOLDER)
    kinds: list[tuple[str, Precision]]
    kinds = [("float64", "ieee"), ("float32", "ieee"), ("float32", "tf32")]
    for name in arguments.recipe:
        recipe = RECIPES[name].on(RECIPES[name].default_data)
        for dtype, precision in kinds:
            if arguments.dtype in (None, dtype) and arguments.precision in (None, precision):
                facts, arrays = golden.record(
                    recipe, device, dtype, precision, seed=arguments.seed, steps=arguments.steps
                )
                kind = "tf32" if precision == "tf32" else dtype
                path = folder / f"{name}-{device.type}-{kind}.npz"
                golden.save(path, facts, arrays)
                print(f"{path}  {path.stat().st_size:,} bytes", flush=True)
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Replay each file and report; 1 where one fails."""
    from parity.training import golden

    files = arguments.files or sorted(golden.FOLDER.glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"{golden.FOLDER} has no recordings: `python -m parity record`")
    print(f"scratchnn {scratchnn.__version__}, numpy {np.__version__}, {platform.platform()}")
    failed = 0
    for file in files:
        result = golden.replay(golden.load(file), arguments.judged_as)
        failed += not result.holds
        print(result, flush=True)
    print(f"{len(files) - failed} of {len(files)} recordings hold")
    return 1 if failed else 0


def accuracy(arguments: argparse.Namespace) -> int:
    """Measure every operation's errors, print the tables, and judge them."""
    need("torch", "torch")
    need("mpmath", "accuracy")
    from parity import accuracy as ulps
    from parity import devices
    from parity.accuracy import libraries
    from parity.digits import DIGITS

    versions = libraries.versions()
    for name, package in libraries.PACKAGES.items():
        print(f"{name} {versions.get(package, 'not installed')}", end=", ")
    print(f"against {DIGITS} digits")
    found = list(ulps.measure(arguments.quick))
    for dtype in DTYPES:
        print(f"\n{ulps.table(found, dtype)}", end="")
    broken = [cell for cell in found if not cell.holds]
    print(f"\n{ulps.summary(found)}")
    for cell in broken:
        print(f"  broken: {cell}")
    if arguments.json:
        facts = devices.environment(devices.prepare("cpu")) | versions
        facts |= {"quick": arguments.quick, "digits": DIGITS}
        ulps.save(Path(arguments.json), found, facts)
        _say_saved([arguments.json])
    return 1 if broken else 0


def check(arguments: argparse.Namespace) -> int:
    """Load the functions, check them, and print the report."""
    with loading():
        found = parity.check(
            _function(arguments.function),
            arguments.op,
            _function(arguments.backward) if arguments.backward else None,
            settings=dict(arguments.set),
            any_shape=arguments.any_shape,
            skip=arguments.skip,
        )
    print(found)
    _say_saved(report.save(_page(found, arguments), arguments.json, arguments.html))
    return 0 if found.ok else 1


def _page(found: Checked, arguments: argparse.Namespace) -> Report:
    return Report(
        f"{found.function} as {found.op}",
        found.ok,
        str(found).partition("\n")[0],
        {name: getattr(arguments, name) for name in ("set", "any_shape", "skip")},
        _environment(),
        found.as_dict(),
        lambda: [Section("Report", "", report.code(str(found)))],
    )


def _environment() -> dict[str, object]:
    if theirs.has_torch():
        from parity import devices

        return devices.environment(devices.prepare("cpu"))
    versions: dict[str, object] = {"scratchnn": scratchnn.__version__, "numpy": np.__version__}
    return versions | {"python": platform.python_version(), "platform": platform.platform()}


@contextmanager
def loading() -> Iterator[None]:
    """Forget in the end which files were loaded, and where their neighbours are."""
    path, modules = list(sys.path), set(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name.startswith(PRIVATE):
                del sys.modules[name]


def _function(where: str) -> Callable[..., object]:
    """Load the function that FILE.py:FUNCTION names; within `loading`, a file runs once.

    Raises   ValueError where there is no such file or function; DataError for a file that fails
    """
    file, colon, name = where.rpartition(":")
    if not colon or not name:
        raise ValueError(f"a function is named FILE.py:FUNCTION, got {where}")
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"there is no file {file}")
    function = getattr(_module(path), name, None)
    if not callable(function):
        raise ValueError(f"{file} has no function {name}")
    return function


def _module(path: Path) -> ModuleType:
    name = f"{PRIVATE}{path.resolve()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"a function is named FILE.py:FUNCTION, got the file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise DataError(f"{path} does not run: {type(error).__name__}: {error}") from error
    return module


def mutants(arguments: argparse.Namespace) -> int:
    """Plant every bug, print which check sees it, and fail if one is seen by none."""
    for package in ("torch", "hypothesis", "mpmath"):
        need(package, "tests")
    from parity import devices
    from parity.checking import mutants as planted

    found = []
    for mutant in planted.run():
        found.append(mutant)
        seen = ", ".join(mutant.killed_by) or "SURVIVES"
        print(f"{mutant.where}: {mutant.bug}: {seen}", flush=True)
    print(f"\n{planted.summary(found)}", end="")
    if arguments.json:
        facts = devices.environment(devices.prepare("cpu"))
        planted.save(Path(arguments.json), found, facts)
        _say_saved([arguments.json])
    return 1 if any(mutant.survives for mutant in found) else 0


def _say_saved(paths: Sequence[object]) -> None:
    if paths:
        print(f"saved {', '.join(map(str, paths))}")
