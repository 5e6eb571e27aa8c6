"""Who may import whom, and what an import costs."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import scratchnn

ROOT = Path(__file__).parents[1]
PACKAGES = ("scratchnn", "parity", "benchmarks")


def modules_of(package):
    """Return the files of a package by the names of their modules."""
    files = sorted((ROOT / package).rglob("*.py"))
    return {module_name(path): path for path in files}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {package: modules_of(package) for package in PACKAGES}


def imported(code, everywhere=True):
    """Yield what some code imports: in functions, too, or only what runs with it."""
    waiting = [ast.parse(code)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the whole path"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif everywhere or not later(node):
            waiting.extend(ast.iter_child_nodes(node))


def later(node):
    """Tell whether code does not run with the import of its module."""
    types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return types or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def within(name, package):
    return f"{name}.".startswith(f"{package}.")


def entered(name):
    """Return a module and the packages around it, all of which an import of it runs."""
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts) + 1)]


def graph(sources):
    """Return for each module those that run before it, of sources by module name."""
    runs_before = {}
    for module, code in sources.items():
        names = {n for name in imported(code, everywhere=False) for n in entered(name)}
        # The packages around a module run before it. What it takes from them comes later.
        runs_before[module] = {n for n in names if n in sources} - set(entered(module))
    return runs_before


def cycle(sources):
    """Return modules that import each other in a circle, or nothing."""
    try:
        TopologicalSorter(graph(sources)).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_imports_in_a_circle(package):
    assert not cycle({name: path.read_text() for name, path in MODULES[package].items()})


def test_circle_is_found():
    sources = {
        "p": "import numpy",
        "p.a": "from p import b",
        "p.b": "from p.c.d import f",
        "p.c": "",
        "p.c.d": "def f():\n    from p import a",
    }
    assert not cycle(sources)  # `f` imports when it is called
    assert not cycle(sources | {"p.c.d": "from typing import X\nif TYPE_CHECKING:\n    import p.a"})
    assert set(cycle(sources | {"p.c.d": "import p.a as a"})) == {"p.a", "p.b", "p.c.d"}
    assert set(cycle(sources | {"p.c": "class X:\n    import p.a"})) == {"p.a", "p.b", "p.c"}


FORBIDDEN = {  # what no module of a package imports, not even in a function
    "scratchnn": ["torch", "parity", "benchmarks"],
    "parity": ["benchmarks"],
    "scratchnn.ops": ["scratchnn.run", "scratchnn.layers", "scratchnn.mlp", "scratchnn.data"],
    "scratchnn.data": ["scratchnn.run", "scratchnn.mlp", "scratchnn.train"],
}


def parts():
    """Return the two parts of scratchnn as its docstring has them: the subject, and around it."""
    subject, around = scratchnn.__doc__.split("Around the subject:")
    return tuple(
        re.findall(r"^    (\w+)(?:\.py|/) ", part, re.MULTILINE) for part in (subject, around)
    )


def violations(package, path, code):
    for name in imported(code):
        for forbidden in FORBIDDEN.get(package, ()):
            if within(name, forbidden):
                yield f"{path} imports {name}"


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_imports_nothing_forbidden(package):
    found = [
        violation
        for name, path in MODULES[package.partition(".")[0]].items()
        if within(name, package)
        for violation in violations(package, path, path.read_text())
    ]
    assert not found


def test_forbidden_import_is_found():
    for code in (
        "def f():\n    import torch.nn as nn",
        "from parity import bounds",
        "import torch",
    ):
        assert list(violations("scratchnn", "file.py", code))
    assert not list(violations("scratchnn", "file.py", "import torchvision_like, numpy"))


def test_docstring_names_every_module():
    entries = {path.stem for path in (ROOT / "scratchnn").iterdir() if path.name[0] not in "_."}
    subject, around = parts()
    assert sorted(subject + around) == sorted(entries - {"py"})  # py.typed


def test_subject_imports_nothing_around_it():
    """But for extras, which names a missing package."""
    subject, around = parts()
    assert len(subject) > 5
    for name, path in MODULES["scratchnn"].items():
        if name.split(".")[1:2] and name.split(".")[1] in subject:
            for other in imported(path.read_text()):
                assert other.split(".")[1:2] not in [[a] for a in around if a != "extras"], path


def test_nothing_that_is_installed_needs_the_benchmarks():
    """They run from a checkout, and no wheel has them."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"]["packages"] == ["scratchnn", "parity"]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    ).stdout


def test_import_brings_numpy_alone():
    code = "import sys, numpy.random; before = set(sys.modules); import scratchnn.run.cli; "
    loaded = run(code + "print(*(set(sys.modules) - before))").split()
    packages = {name.partition(".")[0] for name in loaded}
    assert packages - set(sys.stdlib_module_names) == {"scratchnn", "numpy"}


def test_import_costs_under_60_ms_beyond_numpy(tmp_path):
    """With its bytecode, which the first run writes."""
    code = (
        "import time, numpy; start = time.process_time(); import scratchnn; "
        "print(time.process_time() - start)"
    )
    cached = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    assert min(float(run(code, **cached)) for _ in range(4)) < 0.060


def test_all_exports_exist():
    for name in scratchnn.__all__:
        assert hasattr(scratchnn, name)
    with pytest.raises(AttributeError, match="no attribute 'perceptron'"):
        scratchnn.perceptron  # noqa: B018


def test_no_module_has_the_name_of_an_exported_function():
    """`import scratchnn.fit` would put the module in the place of the function."""
    for name in scratchnn.__all__:
        if not isinstance(getattr(scratchnn, name), type(scratchnn)):
            assert f"scratchnn.{name}" not in MODULES["scratchnn"]
