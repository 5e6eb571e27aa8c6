"""The three checks: each slope, the inner product, and Taylor's remainder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from scratchnn.gradcheck.derivatives import Curve, Measured, complex_step, five_points, order, steps
from scratchnn.gradcheck.diagnosis import Evidence, cause_of
from scratchnn.gradcheck.pairs import Pair, PairError, draw
from scratchnn.gradcheck.report import Finding
from scratchnn.ops.shared import Array

DIRECTIONS = 10  # the random ones, for an argument with more elements than the limit
MOST_WAYS = 50  # of calling backward otherwise; a backward(*anything) would take hundreds


def compare(pair: Pair, rng: np.random.Generator, limit: int) -> list[Finding]:
    """Check backward for one random dy; say what is wrong, if it is known.

    Raises   PairError where f or backward makes a comparison impossible
    """
    dy = draw(rng, pair.y.shape).astype(pair.y.dtype)
    try:
        gradients = pair.gradients(dy)
    except PairError as error:
        words = recognized(pair, rng)
        if words:
            raise PairError("backward", words) from error
        raise
    pair.check_backward_is_pure(dy)
    findings = [
        each_slope(pair, i, dy, gradient, rng, limit)
        for i, gradient in zip(pair.wrt, gradients, strict=True)
        if gradient.size and dy.size
    ]
    if findings:
        findings += along_all_arguments(pair, rng)
    words = "" if all(finding.ok for finding in findings) else recognized(pair, rng)
    return [replace(found, cause=words) if words and found.cause else found for found in findings]


def recognized(pair: Pair, rng: np.random.Generator) -> str:
    """Return in which other way backward takes its arguments, if its gradients are right then."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it was not made for most of these arguments
        for words, other in islice(pair.called_otherwise(), MOST_WAYS):
            try:
                if all(finding.ok for finding in along_all_arguments(other, rng)):
                    return words
            except PairError:  # it does not take them, or returns something else
                continue
    return ""


def each_slope(
    pair: Pair, i: int, dy: Array, gradient: Array, rng: np.random.Generator, limit: int
) -> Finding:
    """Compare the gradient of argument i with the slopes of ⟨dy, f⟩, measured one by one.

    The directions are the argument's elements, or random ones where it has more than `limit`.
    """
    x = pair.array(i)
    single = x.size <= limit
    scale = step_scale(pair, {i: draw(rng, x.shape)}, dy)
    directions = [scale * u for u in (_units(x.shape) if single else _random(rng, x.shape))]
    curves = [
        pair.curve({i: u}, _probe(dy, k if single else None)) for k, u in enumerate(directions)
    ]
    analytic = is_analytic(pair, pair.curve({i: scale * draw(rng, x.shape)}, _probe(dy, None)))
    measured = [measure(curve, pair.u, analytic) for curve in curves]
    evidence = _evidence(pair, i, dy, gradient, rng, directions, measured)
    worst = evidence.worst
    unit = scale if single else 1.0
    return Finding(
        check=(
            f"{'each element' if single else 'random directions'} "
            f"by {'complex step' if analytic else 'five-point differences'}"
        ),
        argument=pair.names[i],
        index=tuple(map(int, np.unravel_index(worst, x.shape))) if single else None,
        formula=float(evidence.formula[worst]) / unit,
        measured=float(evidence.measured[worst]) / unit,
        tolerance=float(evidence.tolerance[worst]) / unit,
        cause=(
            ""
            if evidence.holds
            else cause_of(evidence, curves[worst], float(measured[worst].noise[0]))
        ),
    )


def _evidence(
    pair: Pair,
    i: int,
    dy: Array,
    gradient: Array,
    rng: np.random.Generator,
    directions: list[Array],
    measured: list[Measured],
) -> Evidence:
    """Return the gradient of argument i with its measured slopes, and how far they may differ."""

    def project(g: Array) -> Array:
        return np.array([np.vdot(u, g) for u in directions])

    value = np.array([m.value for m in measured])
    error = np.array([m.error[0] for m in measured])
    moved = [project(g[pair.wrt.index(i)] - gradient) for g in _perturbed(pair, dy, rng)]
    rounded = rounding(pair, [*moved, pair.u * project(gradient), pair.u * value[:, 0]])
    slopes, of_ones, diagonal = value.T  # as _probe has them
    return Evidence(
        gradient=gradient,
        dy=dy,
        project=project,
        measured=slopes,
        of_ones=of_ones,
        diagonal=diagonal,
        tolerance=error + rounded,
        lengths=_lengths(pair),
        u=pair.u,
    )


def along_all_arguments(pair: Pair, rng: np.random.Generator) -> Iterator[Finding]:
    """Move all arguments at once along one direction u, and compare in two ways.

        ⟨v, J u⟩ = ⟨Jᵀ v, u⟩        f(x + h u) - f(x) - h ⟨Jᵀ v, u⟩ = O(h²)

    v is another random dy, J u is measured, and Jᵀ v is what backward returns.
    """
    v = draw(rng, pair.y.shape).astype(pair.y.dtype)
    gradients = pair.gradients(v)
    u = {i: draw(rng, pair.array(i).shape) for i in pair.wrt}
    scale = step_scale(pair, u, v)
    u = {i: scale * direction for i, direction in u.items()}
    phi = pair.curve(u, _probe(v, None))
    measured = measure(phi, pair.u, is_analytic(pair, phi))

    def slope(gradients: list[Array]) -> Array:
        return np.array(sum(np.vdot(u[i], g) for i, g in zip(pair.wrt, gradients, strict=True)))

    formula = slope(gradients)
    terms = sum(np.vdot(abs(u[i]), abs(g)) for i, g in zip(pair.wrt, gradients, strict=True))
    others = [slope(g) - formula for g in _perturbed(pair, v, rng)]
    rounded = rounding(pair, [*others, pair.u * np.array(terms), pair.u * measured.value[:1]])
    names = ", ".join(pair.names[i] for i in pair.wrt)
    yield Finding(
        check="⟨v, J u⟩ = ⟨Jᵀ v, u⟩",
        argument=names,
        formula=float(formula),
        measured=float(measured.value[0]),
        tolerance=float(measured.error[0]) + rounded,
    )
    t = steps(pair.u)
    values = np.array([phi(step)[0] for step in (0.0, *t)])
    remainder = abs(values[1:] - values[0] - t * formula)
    p = order(remainder, five_points(phi, pair.u).noise[0] + t * rounded)
    yield Finding("Taylor's remainder ∝ h^p", names, None, 2.0, min(p, 2.0), 0.5)


def is_analytic(pair: Pair, phi: Curve) -> bool:
    """Whether the complex step can be used for φ.

    Code that takes |z| loses the imaginary part without a word. So the complex step must agree
    with five-point differences, to half of the digits.
    """
    if pair.u > np.finfo(np.float64).eps:
        return False
    try:
        exact = complex_step(phi)
    except Exception:  # f does not take complex numbers
        return False
    rough = five_points(phi, pair.u)
    half = np.sqrt(pair.u) * np.maximum(abs(rough.value), rough.noise / pair.u)
    return exact is not None and bool(
        (rough.error <= half).all() and (abs(exact - rough.value) <= half).all()
    )


def measure(phi: Curve, u: float, analytic: bool) -> Measured:
    """Return φ'(0) by the complex step where φ is analytic, else by five-point differences."""
    exact = complex_step(phi) if analytic else None
    if exact is None:
        return five_points(phi, u)
    return Measured(exact, np.zeros_like(exact), u * abs(phi(0.0)))


def rounding(pair: Pair, responses: list[Array]) -> float:
    """Return how far rounding may move a slope.

        2 min(n, 4 √n) max |response|

    A response is what one rounding of each number changes. n is the count of the numbers that go
    in and out; their roundings add up like √n, as they are as often up as down, and never to more
    than n. 4 and 2 are safety.

    Source   Higham & Mary 2019, doi:10.1137/18M1226312
    """
    growth = min(pair.size, 4 * np.sqrt(pair.size))
    return 2 * float(growth * max(abs(response).max() for response in responses))


def step_scale(pair: Pair, u: dict[int, Array], dy: Array) -> float:
    """Return what the steps are relative to: the size of x, or 1 where that measures better."""
    sizes = [np.sqrt(np.mean(pair.array(i) ** 2, dtype=np.float64)) for i in u]
    best, scale = np.inf, 1.0
    for candidate in {1.0, float(max(sizes)) or 1.0}:
        moved = {i: candidate * direction for i, direction in u.items()}
        error = five_points(pair.curve(moved, _probe(dy, None)), pair.u).error[0] / candidate
        if error < best:
            best, scale = error, candidate
    return scale


def _probe(dy: Array, k: int | None) -> Callable[[Array], Array]:
    """Return y → (⟨dy, y⟩, Σ y, dy_k y_k); the last is 0 where y has no such element."""

    def probe(y: Array) -> Array:
        y = y.astype(np.result_type(y, np.float64))
        own = 0.0 if k is None or k >= y.size else dy.flat[k] * y.flat[k]
        return np.array([np.sum(dy * y), np.sum(y), own])

    return probe


def _perturbed(pair: Pair, dy: Array, rng: np.random.Generator) -> Iterator[list[Array]]:
    """Yield the gradients three times, each at dy and arguments that are moved by a rounding."""
    for _ in range(3):
        ulp = pair.u * draw(rng, dy.shape)
        yield pair.nearby(rng).gradients((dy * (1 + ulp)).astype(dy.dtype))


def _units(shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield the directions that move one element each."""
    for k in range(int(np.prod(shape))):
        unit = np.zeros(shape)
        unit.flat[k] = 1
        yield unit


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[Array]:
    for _ in range(DIRECTIONS):
        yield draw(rng, shape)


def _lengths(pair: Pair) -> dict[str, int]:
    """Return the lengths that a mean could be taken over, by what they are."""
    arrays = {pair.names[i]: pair.array(i).shape for i in pair.floats} | {"y": pair.y.shape}
    lengths = {
        f"the length of axis {axis} of {name}": length
        for name, shape in arrays.items()
        for axis, length in enumerate(shape)
    }
    return lengths | {
        f"the number of elements of {name}": int(np.prod(shape)) for name, shape in arrays.items()
    }
