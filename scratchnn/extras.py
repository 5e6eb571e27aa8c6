"""Optional packages, imported where they are used."""

from importlib import import_module
from typing import Any


class MissingExtraError(ImportError):
    """A package of an optional extra is not installed; the message names the extra."""


def need(module: str, extra: str) -> Any:
    """Import and return a module that an extra of this project brings.

    Options  module   its name, as "matplotlib.figure"
             extra    the extra, as "plots": the error says how to install it
    Raises   MissingExtraError
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[
            0
        ] != package:  # it is there, and lacks something itself
            raise
        raise MissingExtraError(
            f"this needs {package}, which is not installed: pip install 'scratchnn[{extra}]', "
            f"or in a checkout pip install -e '.[{extra}]'"
        ) from error
