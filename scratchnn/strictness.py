"""A context in which an undefined result is an error and not a silent NaN."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from scratchnn.arrays import Array

P = ParamSpec("P")
_strict: ContextVar[bool] = ContextVar("strict", default=False)


@contextmanager
def strict() -> Iterator[None]:
    """Make the softmax family, sigmoid and the losses raise where their result would hold NaN.

    As torch, the operations return NaN for a row of -inf, an infinite logit, or a mean over
    nothing (an empty batch; all targets ignored or of weight 0).

    Raises   ValueError that names the row, in the block
    """
    token = _strict.set(True)
    try:
        yield
    finally:
        _strict.reset(token)


def checked(f: Callable[P, Array]) -> Callable[P, Array]:
    """Let an operation return NaN without a warning, and `strict` watch its result."""

    @wraps(f)
    def operation(*args: P.args, **kwargs: P.kwargs) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            if not _strict.get():
                return f(*args, **kwargs)
            token = _strict.set(False)  # on the way there may be NaN, as in an ignored row
            try:
                result = f(*args, **kwargs)
                if np.isnan(result).any():
                    raise ValueError(_explain(f, args, kwargs, result))
            finally:
                _strict.reset(token)
        return result

    return operation


def _explain(f: Callable[..., Array], args: Any, kwargs: Any, result: Array) -> str:
    if np.ndim(result) == 0 and "reduction" in (f.__kwdefaults__ or {}):
        each = np.asarray(f(*args, **{**kwargs, "reduction": "none"}))
        if not np.isnan(each).any():
            return f"{f.__name__}: the mean is over nothing: no rows, all ignored, or of weight 0"
        result = each
    index = tuple(int(i) for i in np.argwhere(np.isnan(result))[0])
    where = f"in row {index[0]} (at {list(index)})" if index else "at its only entry"
    return f"{f.__name__} is nan {where}"
