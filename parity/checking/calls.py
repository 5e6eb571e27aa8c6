"""A call of anyone's code: its exceptions and warnings, and arrays as tensors."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from parity.ops import Function


class RaisedError(Exception):
    """An exception of the code that is checked, which is its cause; no fault of our own."""

    @property
    def place(self) -> str:
        """The line that raised, in the code that is checked."""
        error, own = self.__cause__, __file__
        frames = (
            inspect.getinnerframes(error.__traceback__) if error and error.__traceback__ else []
        )
        inner = [f for f in frames if f.filename != own and "site-packages" not in f.filename]
        if not inner or not inner[-1].code_context:
            return ""
        return f"line {inner[-1].lineno}: {inner[-1].code_context[0].strip()}"

    @property
    def words(self) -> str:
        return f"{type(self.__cause__).__name__}: {self.__cause__}".partition("\n")[0][:200]


def quietly(
    function: Function, arrays: Sequence[object], named: Mapping[str, object], tensors: bool
) -> tuple[object, list[str]]:
    """Call a function; return what it returned, and its warnings.

    Raises   RaisedError for whatever it raises
    """
    if tensors:
        arrays = [tensor(array) for array in arrays]
        named = {name: tensor(value) for name, value in named.items()}
    with warnings.catch_warnings(record=True) as warned, np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("always")
        try:
            result = function(*arrays, **named)
        except (Exception, SystemExit) as error:
            raise RaisedError(f"{type(error).__name__}: {error}") from error
    return result, [str(w.message) for w in warned]


def tensor(array: object) -> object:
    """Return an array as a tensor, and the name of a dtype as torch's dtype; all else as it is."""
    import torch

    if isinstance(array, np.ndarray | np.generic):
        return torch.from_numpy(np.array(array))
    return getattr(torch, array) if array in ("float32", "float64") else array
