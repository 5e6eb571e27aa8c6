"""A subject asked by a reading: its value and gradients for a case, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from parity import bounds, digits, judge
from parity.cases import Case
from parity.checking import names
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.conventions import kind
from parity.checking.readings import Reading
from parity.checking.subject import Outcome, Subject, gradients_in
from parity.digits import Numbers
from scratchnn.ops.shared import AnyArray, Array

DY = names.DY  # in a case of a gradient, the upstream gradient of the function's own result
CLEAR = 0.01  # an error that anyone sees, relative to the largest entry


@dataclass(frozen=True)
class Problem:
    """What is wrong with an answer.

    Parts    kind         "value", "shape", "kind", "raises"
             words        the problem, in words
             got, right   the answers, in the function's form; None where there is none
             size         the largest error, relative to the largest entry of the right answer
             role         of a gradient: of which array
             place        the user's line that raised
    """

    kind: str
    words: str
    got: Any = None
    right: AnyArray | None = None
    size: float = np.inf
    role: str = ""
    place: str = ""


@dataclass(frozen=True)
class Answer:
    """What a function returned for a case: one array or, of a backward, one for each role."""

    arrays: dict[str, Any]
    warned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A subject, and how it is read."""

    subject: Subject
    reading: Reading
    gradient: bool = False
    copy: Callable[[Any], Any] = np.array  # of each argument, before each call
    objects: list[Any] | None = None  # of one object that is asked again and again
    heard: list[tuple[Case, str]] = field(default_factory=list)  # warnings, where it was right

    @property
    def row(self) -> Any:
        return self.reading.row

    def prepared(self, case: Case, seed: int | None = 0) -> Case:
        """Return a case as it is asked, with an upstream gradient if the backward takes one.

        Options  seed   of a random one; None: one with few digits
        """
        reading = self.reading
        case = reading.prepared(case)
        if not self.gradient:
            return case
        dtype = judge.value_dtype(self.row, case)
        with np.errstate(all="ignore"):
            shape = np.shape(self.reading.right(case))
        taken = self.reading.gradient and self.reading.gradient.takes_dy
        dy = _upstream(shape, seed) if taken else np.ones(shape)
        if reading.gradient and reading.gradient.over and shape:
            dy = dy / (shape[0] if reading.gradient.over == "N" else np.size(dy))
        return case | {DY: np.asarray(dy, dtype)}

    @classmethod
    def of_gradient(cls, subject: Subject, reading: Reading) -> Asked:
        """Return the backward, asked with the options that both functions take."""
        if reading.gradient and not reading.gradient.second:
            both = reading.taken & subject.backward_options.keys()
            reading = replace(reading, taken=frozenset(both))
        return cls(subject, reading, gradient=True)

    @property
    def floor(self) -> float:
        """Below it a loss is as good as 0: relative errors of smaller ones say nothing."""
        return 0.0 if self.gradient or "target" not in self.row.arguments else 1e-3

    # Asking

    def __call__(self, case: Case) -> Answer:
        """Return the value under "", or the gradients by role. Raises RaisedError."""
        found = [self._one(case, n, given) for n, given in enumerate(self.reading.calls(case))]
        warned = tuple(dict.fromkeys(w for _, outcome in found for w in outcome.warned))
        if not self.gradient:
            return Answer({"": self._stacked([f[""] for f, _ in found], case)}, warned)
        roles = [role for role in found[0][0] if all(role in f for f, _ in found)]
        stacked = {r: self._stacked([f[r] for f, _ in found], case, r) for r in roles}
        return Answer(stacked, warned)

    def _one(
        self, case: Case, n: int, given: dict[str, AnyArray]
    ) -> tuple[dict[str, Any], Outcome]:
        subject, reading = self.subject, self.reading
        ran = self.run(given, case)
        if not self.gradient:
            return {"": ran.value}, ran
        how = reading.gradient
        assert how is not None
        if how.second:
            return self._matched(gradients_in(ran.extra, None), case), ran
        pool: dict[str, Any] = {**given, names.RESULT: ran.value, names.CACHE: ran.extra}
        dy = case[DY][n] if reading.layout.each and reading.layout.each != "number" else case[DY]
        dy = case[DY].reshape(-1)[n] if reading.layout.each == "number" else dy
        if np.shape(ran.value) != np.shape(dy) and np.size(ran.value) == np.size(dy):
            dy = np.reshape(dy, np.shape(ran.value))
        pool |= {names.DY: np.array(dy)[()], names.RATE: names.STEP}
        if names.P in how.roles:
            pool[names.P] = self._p(given)
        if names.LOGITS in how.roles:
            p = given[self.row.inputs[0]]
            pool[names.LOGITS] = np.log(p) - (np.log1p(-p) if kind(self.row) == "entries" else 0)
        arrays = [self._own(pool[role]) for role in how.roles]
        pulled = subject.pull(ran, arrays, self._options(case, reading.taken), how.updates)
        return self._matched(pulled.value, case), pulled

    def run(self, given: dict[str, AnyArray], case: Case) -> Outcome:
        how = self.reading.gradient
        moved = self.gradient and how is not None and how.updates
        instance = self.subject.start(given, self.objects, moved)
        arrays = [self._own(given[role]) for role in self.reading.binding]
        return self.subject.call(instance, arrays, self._options(case, self.subject.options))

    def _own(self, x: Any) -> Any:
        return self.copy(x) if isinstance(x, np.ndarray) and x.ndim else x

    def _options(self, case: Case, taken: Iterable[str]) -> dict[str, object]:
        """Return the values of options; a weight of 1 for each class where None is no choice."""
        found = {o: case[o] for o in taken if o in case and o not in self.reading.settings}
        for option in {"weight", "pos_weight"} & found.keys():
            if found[option] is None and self.subject.default(option) is not None:
                z = case[self.row.inputs[0]]
                found[option] = np.ones(z.shape[-1], z.dtype)
        return found

    def _p(self, given: Mapping[str, AnyArray]) -> AnyArray:
        """Return the probabilities of the logits, in the function's layout."""
        z, entries = given[self.row.inputs[0]], kind(self.row) == "entries"
        axis = 0 if self.reading.layout.turned or np.ndim(z) == 1 else -1
        e = np.exp(-abs(z)) if entries else np.exp(z - z.max(axis=axis, keepdims=True))
        if entries:
            return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)
        return e / e.sum(axis=axis, keepdims=True)

    def _stacked(self, found: list[Any], case: Case, role: str = "") -> Any:
        each = self.reading.layout.each
        if not each:
            return found[0]
        try:
            stack = np.stack([np.asarray(value) for value in found])
        except ValueError:
            return found
        if role in self.reading.parameters:
            return stack.sum(axis=0)
        if each == "number":
            shape = np.shape(case[self.row.inputs[0]])
            return stack.reshape(shape) if stack.size == np.prod(shape) else stack
        if each in ("row", "column") and stack.ndim == 3:
            axis = 1 if each == "row" else 2
            stack = stack.squeeze(axis) if stack.shape[axis] == 1 else stack
        if stack.ndim == 2 and stack.shape[-1] == 1 and not self.gradient:
            return stack[:, 0]
        return stack

    def _matched(self, found: list[Any] | dict[str, Any], case: Case) -> dict[str, Any]:
        """Return gradients by role: as they are named, else by their shapes, else in order."""
        first = self.row.inputs[0]
        if isinstance(found, dict):
            return {role or first: value for role, value in found.items()}
        wanted = {role: self._gradient_shape(role, case) for role in self.row.inputs}
        if self.reading.gradient and self.reading.gradient.of != "inputs":
            wanted = {first: None}
        roles: dict[str, Any] = {}
        for value in found:
            left = [role for role in wanted if role not in roles]
            fits = [r for r in left if wanted[r] is None or alike(np.shape(value), wanted[r])]
            if left:
                roles[(fits or left)[0]] = value
        return roles

    def _gradient_shape(self, role: str, case: Case) -> tuple[int, ...] | None:
        given = self.reading.given(case)
        shape = given[role].shape if role in given else np.shape(case[role])
        each = self.reading.layout.each
        if role in self.reading.parameters:
            return shape
        return () if each == "number" else shape[1:] if each else shape

    # Judging

    def rights(self, case: Case) -> tuple[dict[str, Numbers], dict[str, Array]]:
        """Return the right answers, and their bounds, by role."""
        if not self.gradient:
            return {"": self.reading.right(case)}, {"": self.reading.bound(case)}
        given = {name: value for name, value in case.items() if name != DY}
        right = self.reading.right_gradients(given, case[DY])
        return right, self.reading.gradient_bounds(given, case[DY])

    def problem(self, case: Case, strict: bool = False) -> Problem | None:
        """Return what is wrong with the answer for a case; None where nothing is, or none comes.

        None comes of an object whose sizes cannot be told from the arrays of the case.

        Options  strict   where NumPy warns of an overflow, judge numbers below the smallest normal
                          one as well
        """
        with np.errstate(all="ignore"):
            rights, allowed = self.rights(case)
        try:
            answer = self(case)
        except RaisedError as error:
            right = next(iter(rights.values()))
            words = f"it raises {error.words}"
            return Problem("raises", words, None, _plain(right, case, self), place=error.place)
        except Mismatch:
            return None
        if not answer.arrays:
            return Problem(
                "kind", "the backward returns no gradient, and leaves none in an attribute"
            )
        for small in (False, True) if strict and _overflows(answer) else (False,):
            found = [self._of(role, answer, rights, allowed, case, small) for role in answer.arrays]
            worst = max(filter(None, found), key=lambda p: p.size, default=None)
            if worst:
                return worst
        self.heard.extend((case, words) for words in answer.warned if "encountered" in words)
        return None

    def _of(
        self,
        role: str,
        answer: Answer,
        rights: Mapping[str, Numbers],
        allowed: Mapping[str, Array],
        case: Case,
        strict: bool,
    ) -> Problem | None:
        if role not in rights:
            return None
        own = case[role].dtype if role in case else None
        dtype = own or judge.value_dtype(self.row, case)
        bound = allowed[role]
        if own is not None:
            bound = bound + judge.cast_error(rights[role], judge.value_dtype(self.row, case), own)
        got = self.reshaped(answer.arrays[role], np.shape(rights[role]))
        found = judged(got, rights[role], bound, dtype, strict, self.floor)
        return found and replace(found, role=role)

    def reshaped(self, got: Any, shape: tuple[int, ...]) -> Any:
        """Return an answer in another shape, if that differs by axes of length 1 alone."""
        kept = self.reading.kept or (self.gradient and not self.subject.as_torch)
        if kept and np.size(got) == np.prod(shape) and alike(np.shape(got), shape):
            return np.reshape(got, shape)
        return got


def _upstream(shape: tuple[int, ...], seed: int | None) -> Array:
    """Return an upstream gradient: never ones, for which a wrong backward is often right."""
    if seed is None:
        return np.resize([0.5, -1.5, 2.0, 0.25, -0.75], shape)
    return np.random.default_rng(seed).normal(size=shape)


def _overflows(answer: Answer) -> bool:
    return any("overflow" in words for words in answer.warned)


def alike(a: tuple[int, ...], b: tuple[int, ...] | None) -> bool:
    """Return whether two shapes are the same but for axes of length 1."""
    return b is not None and [n for n in a if n != 1] == [n for n in b if n != 1]


def _plain(right: Numbers, case: Case, asked: Asked) -> AnyArray:
    return digits.rounded(right, judge.value_dtype(asked.row, case))


def numbers(answer: Any, dtype: DTypeLike) -> AnyArray | None:
    """Return an answer in the precision it should have; None where it is no array of numbers."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(answer)
            if found.dtype == object and any(x is None for x in found.flat):
                return None
            return found.astype(dtype) if found.dtype.kind in "fiubO" else None
    except (TypeError, ValueError):
        return None


def judged(
    answer: Any,
    exact: Numbers,
    bound: ArrayLike,
    dtype: DTypeLike,
    strict: bool = False,
    floor: float = 0.0,
) -> Problem | None:
    """Return what is wrong with an answer: its type, its shape, or a number beyond its bound.

    Where the right answer is finite and its bound is not, nobody is judged, nor where it is NaN.
    """
    right = digits.rounded(exact, dtype)
    found = numbers(answer, dtype)
    if found is None:
        words = f"the result is no array of numbers, but {type(answer).__name__}"
        return Problem("kind", words, answer, right)
    if found.shape != right.shape:
        words = f"the result has shape {found.shape}, and must have {right.shape}"
        return Problem("shape", words, found, right)
    if found.size == 0:
        return None
    error = digits.distance(found, exact)
    tolerance = bounds.allowance(np.asarray(bound, float), dtype)
    if strict:
        tolerance = tolerance - float(np.finfo(np.dtype(dtype)).tiny)
    tolerance = np.broadcast_to(tolerance, right.shape)
    with np.errstate(all="ignore"):
        beyond = np.where(
            np.isfinite(right), np.isfinite(tolerance) & (error > tolerance), error > 0
        )
    beyond &= ~(np.isinf(right) & (abs(found) >= 0.99 * np.finfo(found.dtype).max))
    beyond &= ~np.isnan(right)
    if not beyond.any():
        return None
    size = apart(found, right, floor)
    if strict:
        size = max(size, CLEAR)
    worst = np.unravel_index(np.argmax(np.where(beyond, error, -1)), right.shape)
    at = judge.at(tuple(map(int, worst)))
    words = (
        f"the answer{at} is {float(found[worst])!r}, right is {float(right[worst])!r}: off by "
        f"{float(error[worst]):.2g}, where rounding explains {float(tolerance[worst]):.2g}"
    )
    return Problem("value", words, found, right, size)


def apart(a: AnyArray, b: AnyArray, floor: float = 0.0) -> float:
    """Return the largest difference, relative to the largest entry of b.

    Equal infinities agree, and two NaNs; it is inf where only one of the two is finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return np.inf
    if a.size == 0:
        return 0.0
    with np.errstate(all="ignore"):
        agree = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.where(agree, 0, abs(a - b))
        difference = np.where(np.isnan(difference), np.inf, difference)
        scale = abs(b[np.isfinite(b)]).max(initial=0)
        worst = float(difference.max())
        return worst if worst in (0, np.inf) else worst / max(float(scale), floor, 1e-300)
