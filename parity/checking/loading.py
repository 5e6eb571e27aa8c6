"""What the user named, as a Python object: from a file, a notebook or a package.

    FILE.py:NAME   FILE.py:Class.method   FILE.ipynb:NAME   package.module:NAME

What the code prints while it is loaded is held back by the caller.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

from parity.checking.notebooks import run_cells
from scratchnn.data import DataError

FORMS = "FILE.py:NAME, FILE.py:Class.method, FILE.ipynb:NAME or package.module:NAME"
PRIVATE = "parity checks "  # no import has such a name


@contextmanager
def loaded(*wheres: str | None) -> Iterator[list[object]]:
    """Load what is named, each file once; forget the files and where their neighbours are after.

    Raises   ValueError where a name is no such thing, DataError where a file does not run
    """
    path, known = list(sys.path), set(sys.modules)
    try:
        wanted = {where.rpartition(":")[2].partition(".")[0] for where in wheres if where}
        yield [None if where is None else load(where, wanted) for where in wheres]
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            own = getattr(sys.modules[name], "__file__", None) or ""
            if name.startswith(PRIVATE) or any(Path(own).is_relative_to(p) for p in _visited):
                del sys.modules[name]
        _visited.clear()


_visited: list[Path] = []  # folders whose modules are forgotten after


def load(where: str, wanted: Set[str]) -> object:
    """Return the object that a name such as FILE.py:NAME stands for.

    Options  wanted   what a notebook must define
    """
    file, colon, name = where.rpartition(":")
    if not colon or not name or not file:
        raise ValueError(f"what to check is named {FORMS}, got {where}")
    if file.endswith((".py", ".ipynb")) and not Path(file).is_file():
        raise ValueError(f"there is no file {file}")
    if file.endswith(".ipynb"):
        module = _run_once(file, partial(run_cells, wanted=wanted))
    elif file.endswith(".py") or Path(file).is_file():
        module = _run_once(file, _run_file)
    else:
        module = _package(file)
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ValueError(f"{file} has no function or class {name}{_nearest(module, name)}")
    return found


def _nearest(module: ModuleType, name: str) -> str:
    import difflib

    names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
    near = difflib.get_close_matches(name, names, 1)
    return f": did you mean {near[0]}?" if near else ""


def _run_once(file: str, run: Callable[[ModuleType, Path], None]) -> ModuleType:
    path = Path(file).resolve()
    key = f"{PRIVATE}{path}"
    if key not in sys.modules:
        module = sys.modules[key] = ModuleType(key)  # dataclasses look there
        module.__file__, module.__package__ = str(path), ""
        sys.path.insert(0, str(path.parent))
        _visited.append(path.parent)
        try:
            run(module, path)
        except _RelativeImportError:
            del sys.modules[key]
            return _package(*_dotted(path))
        except (Exception, SystemExit) as error:
            raise DataError(f"{file} does not run: {type(error).__name__}: {error}") from error
    return sys.modules[key]


class _RelativeImportError(Exception):
    """The file is part of a package."""


def _run_file(module: ModuleType, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except ImportError as error:
        if "relative import" in str(error):
            raise _RelativeImportError from error
        raise


def _dotted(path: Path) -> tuple[str, Path]:
    """Return a file's name as a module, and the folder that it is imported from."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file() or len(parts) == 1:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _package(name: str, folder: Path | None = None) -> ModuleType:
    folder = folder or Path.cwd()
    sys.path.insert(0, str(folder))
    _visited.append(folder / name.partition(".")[0])
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise ValueError(f"there is no file or module {name}: give {FORMS}") from error
        raise DataError(f"{name} does not run: {error}") from error
    except (Exception, SystemExit) as error:
        raise DataError(f"{name} does not run: {type(error).__name__}: {error}") from error
