"""What the operations share: array types, checks of arguments, and the reduction of losses."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Number
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]
Reduction: TypeAlias = Literal["none", "mean", "sum"]

REDUCTIONS = ("none", "mean", "sum")


def check_array(**arrays: AnyArray) -> None:
    """Raise for anything but a NumPy array, with what to do about a list, a tensor and the like.

    A masked array is refused, as its mask would not count; np.matrix, as its operators differ.

    Raises   TypeError
    """
    for name, array in arrays.items():
        if type(array) is np.ndarray or isinstance(array, (np.generic, np.memmap)):
            continue
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} must be a NumPy array, got {_described(name, array)}")
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                f"{name} must be a plain array, got a masked one, whose mask would not count: "
                f"pass the rows that count, or {name}.filled(value)"
            )
        if isinstance(array, np.matrix):
            raise TypeError(f"{name} must be a plain array, got np.matrix: pass np.asarray({name})")


def check_float(**arrays: AnyArray) -> None:
    """Raise where an argument is not a floating-point array.

    NumPy would round or widen integers without a word. Complex arrays pass, as
    complex-step differentiation needs them.

    Raises   TypeError
    """
    for name, array in arrays.items():
        if type(array) is not np.ndarray:
            check_array(**{name: array})
        if array.dtype.kind not in "fc":
            advice = f": pass {name}.astype(np.float32)" if array.dtype.kind in "iub" else ""
            raise TypeError(f"{name} must be floating point, got {array.dtype}{advice}")


def check_real(**arrays: AnyArray) -> None:
    """Raise where an argument is not a floating-point array of real numbers.

    What takes |z|, compares numbers or drops an imaginary part would be silently wrong.

    Raises   TypeError
    """
    for name, array in arrays.items():
        if type(array) is np.ndarray and array.dtype.kind == "f":
            continue
        check_float(**{name: array})
        if array.dtype.kind == "c":
            raise TypeError(f"{name} must be real, got {array.dtype}")


def check_out(out: Array | None, **like: Array) -> None:
    """Raise where the array for a result would not hold it as it is.

    Raises   TypeError, ValueError
    """
    if out is None:
        return
    ((name, array),) = like.items()
    check_array(out=out)
    if out.shape != array.shape or out.dtype != array.dtype:
        raise ValueError(
            f"out must have the shape and dtype of {name}, {array.shape} {array.dtype}, "
            f"got {out.shape} {out.dtype}"
        )
    check_writeable(out=out)


def check_writeable(**arrays: AnyArray) -> None:
    """Raise where an array that is to be changed in place is read-only.

    Raises   ValueError
    """
    for name, array in arrays.items():
        if not array.flags.writeable:
            raise ValueError(f"{name} is changed in place, got a read-only array: pass a copy")


def check_number(**numbers: object) -> None:
    """Raise for anything but a real number: text, None, an array, a type.

    Raises   TypeError
    """
    for name, number in numbers.items():
        if not isinstance(number, (int, float, np.integer, np.floating, np.bool_)):
            got = "an array" if isinstance(number, np.ndarray) else repr(number)
            exact = isinstance(number, Number) and not isinstance(number, complex)
            advice = f": pass float({name})" if exact else ""  # a Fraction, a Decimal
            raise TypeError(f"{name} must be a number, got {got}{advice}")


def check_whole(least: float = -math.inf, /, **numbers: object) -> None:
    """Raise for anything but a whole number that is not below the least.

    Raises   TypeError, ValueError
    """
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, got {number!r}")
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")


def check_flag(**flags: object) -> None:
    """Raise for anything but True and False: the text "no" would count as yes.

    Raises   TypeError
    """
    for name, flag in flags.items():
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {flag!r}")


def check_choice(choices: Collection[str], /, **options: object) -> None:
    """Raise for anything but one of some words.

    Raises   ValueError that lists them
    """
    for name, choice in options.items():
        if not isinstance(choice, str) or choice not in choices:
            *words, last = (f'"{word}"' for word in choices)
            raise ValueError(f"{name} must be {', '.join(words)} or {last}, got {choice!r}")


def check_dtype(dtype: DTypeLike | None) -> None:
    """Raise for anything but a floating-point dtype. NumPy takes None for float64.

    Raises   TypeError
    """
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or found.kind != "f" or dtype is None:
        raise TypeError(f"dtype must be floating point, got {found or dtype!r}")


def check_axis(axis: object, ndim: int) -> int:
    """Return the number of an axis, counted from the first one.

    Raises   TypeError; numpy.exceptions.AxisError, a ValueError, where there is no such axis
    """
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, got {axis!r}")
    return normalize_axis_index(int(axis), ndim)


def generator(rng: np.random.Generator | int | None) -> np.random.Generator:
    """Return a random generator: the one given, or that of a seed, or for None any.

    Raises   TypeError
    """
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(f"rng must be a generator, or a seed from 0 up, got {rng!r}") from error


def check_rates(**rates: float) -> None:
    """Raise for anything but a finite number that is not negative.

    Raises   TypeError, ValueError
    """
    check_number(**rates)
    for name, rate in rates.items():
        if not 0 <= rate < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {rate}")


def check_same_shape(**arrays: AnyArray) -> None:
    """Raise where the shapes differ: (N, 1) - (N,) would broadcast to (N, N).

    Raises   ValueError
    """
    (name, array), *others = arrays.items()
    for other, value in others:
        if value.shape != array.shape:
            raise ValueError(
                f"{other} must have the shape of {name} {array.shape}, got {value.shape}"
            )


def check_matrix(**arrays: AnyArray) -> None:
    """Raise for anything but a matrix with at least one row and one column.

    Raises   ValueError
    """
    for name, array in arrays.items():
        if type(array) is not np.ndarray:
            check_array(**{name: array})
        if array.ndim != 2:
            raise ValueError(f"{name} must be a matrix (rows, columns), got shape {array.shape}")
        if array.size == 0:
            raise ValueError(
                f"{name} must have at least one row and column, got shape {array.shape}"
            )


def check_labels(
    target: IntArray, shape: tuple[int, ...], classes: int, ignore_index: int | None = None
) -> tuple[IntArray, BoolArray | None]:
    """Raise where the target does not hold one class index per row; -1 would read the last class.

    Return the target, with class 0 in the rows that are ignored, and which rows these are, or
    None where no row can be.

    Shapes   target `shape`, with values in [0, classes) or `ignore_index`
    Raises   TypeError, ValueError
    """
    if type(target) is not np.ndarray:
        check_array(target=target)
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"target: class indices must be integers in a NumPy array, got {target.dtype}"
        )
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape}, one class per row, got {target.shape}")
    index, ignored = target, None
    largest = target.astype(np.uintp).max(initial=0)  # -1 becomes huge
    if ignore_index is not None and (0 <= ignore_index < classes or largest >= classes):
        ignored = target == ignore_index
        index = np.where(ignored, 0, target)
        largest = index.astype(np.uintp).max(initial=0)
    if largest >= classes:
        raise ValueError(
            f"target must hold class indices in [0, {classes}), "
            f"got values in [{target.min()}, {target.max()}]"
        )
    return index, ignored


def reduce(losses: Array, reduction: Reduction, count: Array | float | None = None) -> Array:
    """Reduce the losses of a batch to their mean or sum, or return them as they are.

        mean: Σ losses / count

    The mean of nothing is 0 / 0, which is NaN, as in torch.

    Shapes   losses (...) → (...) for "none", else ()
    Options  reduction   "none", "mean" or "sum"
             count       what the mean divides by; default: the number of losses
    Raises   ValueError for another reduction
    """
    if type(reduction) is not str or reduction not in REDUCTIONS:
        check_choice(REDUCTIONS, reduction=reduction)
    if reduction == "none":
        return losses
    if losses.dtype.char == "e":  # float16, whose sums overflow at 65,504
        return reduce(losses.astype(np.float32), reduction, count).astype(np.float16)
    with np.errstate(invalid="ignore", divide="ignore"):  # inf - inf; the mean of nothing
        total = losses.sum()
        if reduction == "sum":
            return total
        if count is None:
            return total / losses.size
        return np.divide(total, count, dtype=losses.dtype)


def reduce_backward(
    dloss: Array | float,
    shape: tuple[int, ...],
    reduction: Reduction,
    count: Array | float | None = None,
    *,
    dtype: DTypeLike,
) -> Array:
    """Backward of `reduce`: what each loss gets of dloss.

        mean: dloss / count        sum, none: dloss

    The result has the `dtype` of the losses. A float64 number in an array would
    widen everything that it is multiplied by.

    Shapes   dloss () or, for "none", also `shape`, that of the losses → the same
    Raises   ValueError for a dloss of another shape
    """
    if type(reduction) is not str or reduction not in REDUCTIONS:
        check_choice(REDUCTIONS, reduction=reduction)
    dloss = upstream(dtype, dloss=dloss)
    if dloss.shape != () and (reduction != "none" or dloss.shape != shape):
        wanted = f"() or {shape}" if reduction == "none" else "()"
        raise ValueError(f'dloss must have shape {wanted} for "{reduction}", got {dloss.shape}')
    if reduction != "mean":
        return dloss
    with np.errstate(invalid="ignore", divide="ignore"):  # the mean of nothing
        return np.asarray(np.divide(dloss, math.prod(shape) if count is None else count), dtype)


def upstream(dtype: DTypeLike, **gradients: Array | float) -> Array:
    """Return an upstream gradient as an array of this dtype; it may come as a number.

    Raises   TypeError for anything but a number or a floating-point array, and for complex
             numbers where the others are real
    """
    ((name, gradient),) = gradients.items()
    if type(gradient) is not float and not isinstance(gradient, (int, complex)):
        check_float(**{name: gradient})  # type: ignore[arg-type]
    if np.dtype(dtype).kind == "f" and np.iscomplexobj(gradient):
        raise TypeError(f"{name} must be real, as the arguments are, got complex numbers")
    return np.asarray(gradient, dtype)


def _described(name: str, value: object) -> str:
    """Say what came in place of an array, and what to do about it."""
    package = type(value).__module__.partition(".")[0]
    if package == "torch":
        return f"a torch tensor: pass {name}.detach().cpu().numpy()"
    words = type(value).__name__
    if hasattr(value, "__array__") or isinstance(value, (list, tuple)):
        return f"{words}: pass np.asarray({name})"
    return words
