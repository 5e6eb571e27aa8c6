"""python -m parity check FILE.py:FUNCTION --op OP: is an implementation of your own right?"""

import argparse
import importlib.util
import platform
import sys
from ast import literal_eval
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import parity
import scratchnn
from parity import later
from parity.report import page
from scratchnn.data import DataError

PRIVATE = "parity checks "  # no import has such a name


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("check", help="check an implementation of your own")
    sub.add_argument("function", metavar="FILE.py:FUNCTION")
    sub.add_argument("--op", required=True, help="softmax, cross_entropy, ...: what it should be")
    sub.add_argument("--backward", metavar="FILE.py:FUNCTION", help="its gradient")
    sub.add_argument(
        "--set", metavar="OPTION=VALUE", action="append", default=[], type=_setting,
        help="what an option is in your function: reduction=none",
    )  # fmt: skip
    sub.add_argument("--any-shape", action="store_true", help="other than two dimensions, too")
    sub.add_argument("--skip", metavar="CHECK", action="append", default=[])
    page.add_arguments(sub)
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Load the functions, check them, and print the report."""
    with loaded(arguments.function, arguments.backward) as (function, backward):
        report = parity.check(
            function,
            arguments.op,
            backward,
            settings=dict(arguments.set),
            any_shape=arguments.any_shape,
            skip=arguments.skip,
        )
    print(report)
    saved = page.save(_page(report, arguments), arguments.json, arguments.html)
    if saved:
        print(f"saved {', '.join(map(str, saved))}")
    return 0 if report.ok else 1


def _page(report: Any, arguments: argparse.Namespace) -> page.Report:
    return page.Report(
        f"{report.function} as {report.op}",
        report.ok,
        str(report).partition("\n")[0],
        {name: getattr(arguments, name) for name in ("set", "any_shape", "skip")},
        _environment(),
        report.as_dict(),
        lambda: [page.Section("Report", "", page.code(str(report)))],
    )


def _environment() -> dict[str, Any]:
    if later.has_torch():
        from parity import devices

        return devices.environment(devices.prepare("cpu"))
    versions = {"scratchnn": scratchnn.__version__, "numpy": np.__version__}
    return versions | {"python": platform.python_version(), "platform": platform.platform()}


@contextmanager
def loaded(*names: str | None) -> Iterator[list[Any]]:
    """Give the functions that FILE.py:FUNCTION names; each file runs once, its neighbours at hand.

    Raises   ValueError where there is no such file or function; DataError for a file that fails
    """
    path, modules = list(sys.path), set(sys.modules)
    try:
        yield [_function(name) if name else None for name in names]
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name.startswith(PRIVATE):
                del sys.modules[name]


def _function(where: str) -> Callable[..., Any]:
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


def _module(path: Path) -> Any:
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


def _setting(text: str) -> tuple[str, Any]:
    option, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be OPTION=VALUE, got {text!r}")
    try:
        return option, literal_eval(value)
    except (SyntaxError, ValueError):
        return option, value
