"""A context in which an undefined result is an error and not a silent NaN."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from scratchnn.arrays import Array

P = ParamSpec("P")
Result = TypeVar("Result")  # an array, or a tuple of them
_strict: ContextVar[bool] = ContextVar("strict", default=False)


@contextmanager
def strict() -> Iterator[None]:
    """Make the operations and their gradients raise where their result would hold NaN.

    As torch, they return NaN for a row of -inf, an infinite logit, a NaN that came in, or a mean
    over nothing (an empty batch; all targets ignored or of weight 0).

    Raises   ValueError that names the row, in the block
    """
    token = _strict.set(True)
    try:
        yield
    finally:
        _strict.reset(token)


def watched(f: Callable[P, Result]) -> Callable[P, Result]:
    """Let `strict` watch the results of an operation."""

    @wraps(f)
    def operation(*args: P.args, **kwargs: P.kwargs) -> Result:
        return _watch(f, *args, **kwargs) if _strict.get() else f(*args, **kwargs)

    return operation


def checked(f: Callable[P, Result]) -> Callable[P, Result]:
    """Let an operation return NaN without a warning, and `strict` watch its results."""

    @wraps(f)
    def operation(*args: P.args, **kwargs: P.kwargs) -> Result:
        with np.errstate(invalid="ignore", divide="ignore"):
            return _watch(f, *args, **kwargs) if _strict.get() else f(*args, **kwargs)

    return operation


def _watch(f: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    token = _strict.set(False)  # on the way there may be NaN, as in an ignored row
    try:
        result = f(*args, **kwargs)
        undefined = [y for y in _arrays(result) if np.isnan(y).any()]
        if undefined:
            raise ValueError(_explain(f, args, kwargs, max(undefined, key=np.ndim)))
    finally:
        _strict.reset(token)
    return result


def _arrays(result: Any) -> tuple[Array, ...]:
    return result if isinstance(result, tuple) else (result,)


def _explain(f: Callable[..., Any], args: Any, kwargs: Any, result: Array) -> str:
    if np.ndim(result) == 0 and "reduction" in (f.__kwdefaults__ or {}):
        each = np.asarray(f(*args, **{**kwargs, "reduction": "none"}))
        if not np.isnan(each).any():
            return f"{f.__name__}: the mean is over nothing: no rows, all ignored, or of weight 0"
        result = each
    index = tuple(int(i) for i in np.argwhere(np.isnan(result))[0])
    where = f"in row {index[0]} (at {list(index)})" if index else "at its only entry"
    return f"{f.__name__} is nan {where}"
