"""Print how large and how simple the code is, with the targets of the rewrite to version 0.2.0.

    python docs/figures.py

It runs with NumPy alone.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

import scratchnn.functional as F

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("scratchnn", "parity", "benchmarks")
TARGETS = {"parity": "about 36 files, at most 7,500 lines", "benchmarks": "about 20 files"}


def main() -> None:
    """Print the figures of each package, then those of all."""
    for package in PACKAGES:
        print_package(package)
    files = [path for package in PACKAGES for path in files_of(package)]
    skips = sum(len(re.findall("# fmt: *skip", path.read_text("utf-8"))) for path in files)
    print(f"`# fmt: skip`: {skips} (target 0)")
    print(f"modules with __getattr__: {sum(map(has_getattr, files))} (target 0)")
    print_way()
    print(f"`import scratchnn` beyond NumPy: {import_ms():.0f} ms (target 60)")


def print_package(package: str) -> None:
    """Print how large a package is, and how often it says Any."""
    files = files_of(package)
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in files}
    largest = max(files, key=lambda path: lines[path])
    length, function = max(found for path in files for found in functions(path))
    uses = sum(map(says_any, files))
    target = f" (target: {TARGETS[package]})" if package in TARGETS else ""
    print(f"{package}: {len(files)} files, {sum(lines.values()):,} lines{target}")
    print(f"    largest file: {largest.relative_to(ROOT)}, {lines[largest]} lines (target 400)")
    print(f"    largest function: {function}, {length} lines (target 40)")
    print(f"    Any: {1000 * uses / sum(lines.values()):.1f} per 1,000 lines (target 8)")


def files_of(package: str) -> list[Path]:
    """Return the files of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines and the name of each function, without its docstring."""
    yield 0, "none"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            length = (node.end_lineno or 0) - node.lineno + 1
            if doc:
                length -= (first.end_lineno or 0) - first.lineno + 1
            yield length, f"{node.name} in {path.relative_to(ROOT)}"


def says_any(path: Path) -> int:
    """Return how often a file says Any, imports not counted."""
    tree = ast.parse(path.read_text("utf-8"))
    return sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))


def has_getattr(path: Path) -> bool:
    """Return whether a module has a __getattr__ of its own."""
    tree = ast.parse(path.read_text("utf-8"))
    return any(isinstance(n, ast.FunctionDef) and n.name == "__getattr__" for n in tree.body)


Z = np.array([[0.2, 0.1, -0.1], [1.0, -2.0, 0.0]])
LABELS = np.array([0, 1])


def print_way() -> None:
    """Print how many functions of how many files of scratchnn a cross-entropy goes through."""
    seen: set[tuple[str, str]] = set()
    probabilities = F.softmax(Z)

    def note(frame: FrameType, event: str, _: object) -> None:
        file, code = frame.f_code.co_filename, frame.f_code
        if event == "call" and str(ROOT / "scratchnn") in file and not code.co_name.startswith("<"):
            seen.add((file, code.co_qualname))

    sys.setprofile(note)
    try:
        F.cross_entropy(Z, LABELS, weight=np.ones(3), ignore_index=1, label_smoothing=0.1)
        F.cross_entropy(Z, probabilities)
    finally:
        sys.setprofile(None)
    files = {file for file, _ in seen}
    print(
        f"F.cross_entropy, of labels with all options and of probabilities: {len(seen)} functions "
        f"in {len(files)} files (target 8 in 3)"
    )


def import_ms() -> float:
    """Return the milliseconds of `import scratchnn` after NumPy, the least of a few processes.

    The time is that of the importing thread: the threads of NumPy's BLAS wait actively at first.
    Python keeps the compiled modules, as it does unless it is told not to.
    """
    code = (
        "import time, numpy; start = time.thread_time(); import scratchnn; "
        "print(time.thread_time() - start)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        for _ in range(7)
    ]
    return min(1000 * float(run.stdout) for run in runs)


if __name__ == "__main__":
    main()
