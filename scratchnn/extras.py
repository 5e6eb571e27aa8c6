"""Optional packages, imported where they are used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

NAMES = {"PIL": "Pillow"}  # what pip calls a module


class MissingExtraError(ImportError):
    """A package of an optional extra is not installed; the message names the extra."""


def need(module: str, extra: str) -> Any:
    """Import and return a module that an extra of this project brings.

    Options  module   its name, as "matplotlib.figure"
             extra    the extra, as "plots": the error says how to install it
    Raises   MissingExtraError
    """
    return need_all({module: extra})[0]


def need_all(extras: Mapping[str, str]) -> list[Any]:
    """Import and return the modules that a command needs; one error names all that are missing.

    Options  extras   the extra that brings it, by the name of a module
    Raises   MissingExtraError
    """
    found, missing = [], {}
    for module, extra in extras.items():
        package = module.partition(".")[0]
        try:
            found.append(import_module(module))
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != package:  # it lacks something itself
                raise
            missing[NAMES.get(package, package)] = extra
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"this needs {' and '.join(missing)}, which {verb} not installed: "
            f"{install(*missing.values())}"
        )
    return found


def install(*extras: str) -> str:
    """Return the command that installs extras. It is for a checkout: no index has this project."""
    return f"in a checkout, pip install -e '.[{','.join(dict.fromkeys(extras))}]'"
