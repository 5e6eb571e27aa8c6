"""strict: an undefined result becomes an error that names the row."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
Result = TypeVar("Result")  # an array, or a tuple of them


def strict(f: Callable[P, Result]) -> Callable[P, Result]:
    """Return an operation, or its backward, that raises where its result holds NaN.

        strict(F.softmax)(z)

    As torch's, the operations return NaN for a row of -inf, an infinite logit, a
    NaN that came in, or a mean over nothing (an empty batch; all targets ignored
    or of weight 0). Nothing else changes: `strict` keeps no state, so it works
    in threads and async tasks as anywhere.

    Options  f   an operation of scratchnn.functional, or its backward
    Raises   ValueError that names the row, when the operation is called
    """

    name = getattr(f, "__name__", repr(f))

    @wraps(f)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Result:
        result = f(*args, **kwargs)
        arrays = [np.asarray(y) for y in (result if isinstance(result, tuple) else (result,))]
        undefined = [y for y in arrays if np.isnan(y).any()]
        if not undefined:
            return result
        worst = max(undefined, key=np.ndim)
        if worst.ndim == 0 and "reduction" in (getattr(f, "__kwdefaults__", None) or {}):
            each = np.asarray(f(*args, **{**kwargs, "reduction": "none"}))  # type: ignore[arg-type]
            if not np.isnan(each).any():
                raise ValueError(
                    f"{name}: the mean is over nothing: no rows, all ignored, or of weight 0"
                )
            worst = each
        index = tuple(int(i) for i in np.argwhere(np.isnan(worst))[0])
        where = f"in row {index[0]} (at {list(index)})" if index else "at its only entry"
        raise ValueError(f"{name} is nan {where}")

    return checked
