"""The three checks: each slope, the inner product, and Taylor's remainder."""

from __future__ import annotations  # numpy.random need not be imported for a type

from collections.abc import Callable, Iterator

import numpy as np

from scratchnn.arrays import Array
from scratchnn.gradcheck.derivatives import Curve, Measured, complex_step, five_points, order, steps
from scratchnn.gradcheck.diagnosis import Evidence, cause_of
from scratchnn.gradcheck.pairs import Pair, draw
from scratchnn.gradcheck.report import Finding

METHODS = {True: "complex step", False: "five-point differences"}
DIRECTIONS = 10  # random ones, for an argument that has too many elements


def each_slope(
    pair: Pair, i: int, dy: Array, gradient: Array, rng: np.random.Generator, limit: int
) -> Finding:
    """Compare one argument's gradient with ∂⟨dy, f⟩ along each coordinate, or random directions."""
    x = pair.arguments[i]
    single = x.size <= limit
    scale = step_scale(pair, {i: draw(rng, x.shape)}, dy)
    directions = [scale * u for u in (_units(x.shape) if single else _random(rng, x.shape))]
    curves = [
        pair.curve({i: u}, _probe(dy, k if single else None)) for k, u in enumerate(directions)
    ]
    analytic = is_analytic(pair, pair.curve({i: scale * draw(rng, x.shape)}, _probe(dy, None)))
    measured = [measure(curve, pair.u, analytic) for curve in curves]
    evidence = _gather(pair, i, dy, gradient, rng, directions, measured)
    worst = evidence.worst
    unit = scale if single else 1.0
    index = tuple(map(int, np.unravel_index(worst, x.shape))) if single else None
    return Finding(
        f"{'each element' if single else 'random directions'} by {METHODS[analytic]}",
        pair.names[i], index,
        float(evidence.formula[worst]) / unit, float(evidence.measured[worst]) / unit,
        float(evidence.tolerance[worst]) / unit,
        "" if evidence.holds else cause_of(evidence, curves[worst], measured[worst].noise[0]),
    )  # fmt: skip


def _gather(
    pair: Pair, i: int, dy: Array, gradient: Array, rng: np.random.Generator,
    directions: list[Array], measured: list[Measured],
) -> Evidence:  # fmt: skip
    """Put one argument's gradient beside its measured slopes, and what may explain a difference."""

    def project(g: Array) -> Array:
        return np.array([np.vdot(u, g) for u in directions])

    value, error = (np.array([m[part] for m in measured]) for part in (0, 1))
    moved = [project(g[pair.wrt.index(i)] - gradient) for g in _perturbed(pair, dy, rng)]
    rounded = rounding(pair, [*moved, pair.u * project(gradient), pair.u * value[:, 0]])
    slopes, of_ones, diagonal = value.T
    return Evidence(
        gradient=gradient, dy=dy, project=project, measured=slopes, of_ones=of_ones,
        diagonal=diagonal, tolerance=error[:, 0] + rounded, lengths=_lengths(pair),
        u=pair.u, argument=pair.names[i], at_result=pair.gradient_at_result(i, dy),
    )  # fmt: skip


def along_all_arguments(pair: Pair, rng: np.random.Generator) -> Iterator[Finding]:
    """Compare along one direction of all arguments: ⟨v, J u⟩ with ⟨Jᵀ v, u⟩, and the remainder."""
    v = draw(rng, pair.y.shape).astype(pair.y.dtype)
    u = {i: draw(rng, pair.arguments[i].shape) for i in pair.wrt}
    scale = step_scale(pair, u, v)
    u = {i: scale * direction for i, direction in u.items()}
    phi = pair.curve(u, _probe(v, None))
    measured = measure(phi, pair.u, is_analytic(pair, phi))

    def slope(gradients: list[Array]) -> Array:
        return np.array(sum(np.vdot(u[i], g) for i, g in zip(pair.wrt, gradients, strict=True)))

    gradients = pair.gradients(v)
    formula = slope(gradients)
    terms = sum(np.vdot(abs(u[i]), abs(g)) for i, g in zip(pair.wrt, gradients, strict=True))
    others = [slope(g) - formula for g in _perturbed(pair, v, rng)]
    rounded = rounding(pair, [*others, pair.u * np.array(terms), pair.u * measured.value[:1]])
    names = ", ".join(pair.names[i] for i in pair.wrt)
    yield Finding(
        "⟨v, J u⟩ = ⟨Jᵀ v, u⟩", names, None,
        float(formula), float(measured.value[0]), float(measured.error[0]) + rounded,
    )  # fmt: skip
    t = steps(pair.u)
    values = np.array([phi(step)[0] for step in (0.0, *t)])
    remainder = abs(values[1:] - values[0] - t * formula)
    p = order(remainder, five_points(phi, pair.u).noise[0] + t * rounded)
    yield Finding("Taylor's remainder ∝ h^p", names, None, 2.0, min(p, 2.0), 0.5)


def is_analytic(pair: Pair, phi: Curve) -> bool:
    """Whether the complex step gives what differences give, to half of the digits or better."""
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
    """Return φ'(0) by the better of the two ways."""
    exact = complex_step(phi) if analytic else None
    if exact is None:
        return five_points(phi, u)
    return Measured(exact, np.zeros_like(exact), u * abs(phi(0.0)))


def rounding(pair: Pair, responses: list[Array]) -> float:
    """Return how far rounding may move a gradient: its response to one ulp, √n times over, twice.

        4 √n max |response|, and no more than n times it; n numbers go in and out

    Source   Higham & Mary 2019, doi:10.1137/18M1226312
    """
    growth = min(pair.size, 4 * np.sqrt(pair.size))
    return 2 * float(growth * max(abs(response).max() for response in responses))


def step_scale(pair: Pair, u: dict[int, Array], dy: Array) -> float:
    """Return what a step is relative to: the size of x or 1, whichever measures a slope better."""
    sizes = [np.sqrt(np.mean(pair.arguments[i] ** 2, dtype=np.float64)) for i in u]
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
    """Yield gradients at arguments that are each a rounding away."""
    for _ in range(3):
        ulp = pair.u * draw(rng, dy.shape)
        yield pair.nearby(rng).gradients((dy * (1 + ulp)).astype(dy.dtype))


def _units(shape: tuple[int, ...]) -> Iterator[Array]:
    for k in range(int(np.prod(shape))):
        unit = np.zeros(shape)
        unit.flat[k] = 1
        yield unit


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[Array]:
    for _ in range(DIRECTIONS):
        yield draw(rng, shape)


def _lengths(pair: Pair) -> dict[str, int]:
    """Return the lengths that a mean could have been taken over, by what they are."""
    arrays = {pair.names[i]: pair.arguments[i].shape for i in pair.floats} | {"y": pair.y.shape}
    lengths = {
        f"the length of axis {axis} of {name}": length
        for name, shape in arrays.items()
        for axis, length in enumerate(shape)
    }
    return lengths | {
        f"the number of elements of {name}": int(np.prod(shape)) for name, shape in arrays.items()
    }
