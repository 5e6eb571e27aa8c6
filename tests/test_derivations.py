"""docs/derivations.md has every gradient, and SymPy agrees with each of its results.

A case holds a small forward computation, the formula as the page prints it, and the same formula
in Python. SymPy differentiates the forward, contracts the derivatives with symbolic upstream
gradients, and compares; at the case's numbers, the backward of scratchnn must give the same.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn import mlp
from scratchnn.kronecker import kronecker_linear_backward
from tests.helpers import DTYPES, assert_within

PAGE = (Path(__file__).parents[1] / "docs/derivations.md").read_text()
BEYOND_FUNCTIONAL = {"kronecker_linear", "mlp.backward"}

exp = np.vectorize(sympy.exp, otypes=[object])
log = np.vectorize(sympy.log, otypes=[object])
onehot = np.eye(3, dtype=int)


class Case(NamedTuple):
    heading: str
    formula: str  # as printed below that heading, in one line or several
    values: dict[str, Any]  # exact in float32: dy, and the arguments of the forward
    wrt: tuple[str, ...]
    forward: Callable[..., Any]  # of symbols
    derived: Callable[..., tuple[Any, ...]]  # of dy and symbols, a result for each of wrt
    ours: Callable[..., tuple[Any, ...]]  # of dy and numbers
    bound: Callable[..., tuple[Any, ...]]  # of dy, u and numbers


def symbols_of(case: Case) -> dict[str, Any]:
    """Return an array of real symbols, or a symbol, for each of the case's values."""

    def symbols(name: str, shape: tuple[int, ...]) -> Any:
        array = np.empty(shape, dtype=object)
        for k in np.ndindex(shape):
            array[k] = sympy.Symbol("_".join([name, *map(str, k)]), real=True)
        return array if shape else array[()]

    return {name: symbols(name, np.shape(value)) for name, value in case.values.items()}


def vjp(y: Any, dy: Any, x: Any) -> list[Any]:
    """Return Σ dy ∂y/∂x_k for every entry of x, as SymPy differentiates."""
    pairs = list(zip(np.ravel(dy), np.ravel(y), strict=True))
    return [sum(d * sympy.diff(f, entry) for d, f in pairs) for entry in np.ravel(x)]


def is_zero(expression: Any) -> bool:
    expression = sympy.cancel(sympy.expand(expression))
    return expression == 0 or sympy.simplify(expression) == 0


def check_symbolically(case: Case) -> None:
    symbols = symbols_of(case)
    arguments = {name: symbol for name, symbol in symbols.items() if name != "dy"}
    y = case.forward(**arguments)
    results = case.derived(**symbols)
    for name, result in zip(case.wrt, results, strict=True):
        expected = vjp(y, symbols["dy"], symbols[name])
        for wanted, derived in zip(expected, np.ravel(result), strict=True):
            assert is_zero(wanted - derived), f"d{name}: {derived} is not {wanted}"


def check_numerically(case: Case, dtype: type) -> None:
    symbols = symbols_of(case)
    point = {
        symbol: sympy.Rational(number)
        for name in symbols
        for symbol, number in zip(
            np.ravel(symbols[name]), np.ravel(case.values[name]).tolist(), strict=True
        )
    }
    exact = [
        np.array([float(sympy.sympify(entry).subs(point).evalf(30)) for entry in np.ravel(result)])
        for result in case.derived(**symbols)
    ]
    numbers = {
        name: np.array(value, dtype) if np.ndim(value) else value
        for name, value in case.values.items()
    }
    wide = {name: np.array(value) if np.ndim(value) else value for name, value in numbers.items()}
    limits = case.bound(u=bounds.unit_roundoff(dtype), **wide)
    for ours, wanted, limit in zip(case.ours(**numbers), exact, limits, strict=True):
        assert ours.dtype == dtype
        assert_within(ours.ravel(), wanted, np.broadcast_to(limit, ours.shape).ravel())


# Forwards and shared pieces, as written in textbooks; symbolic arithmetic cannot overflow.


def softmax(z):
    return exp(z) / exp(z).sum(axis=-1, keepdims=True)


def mass(w, ε, t):
    """Return v for the class weights w and a distribution t."""
    return w * ((1 - ε) * t + ε / 3)


def σ(z):
    return 1 / (1 + exp(-z))


def bce(z, t, w, p):
    return -w * (p * t * log(σ(z)) + (1 - t) * log(1 - σ(z)))


def minus_row_sum(p, v):
    """Return p_c Σ_(k≠c) v_k + v_c (p_c - 1)."""
    return p * (v.sum(axis=-1, keepdims=True) - v) + v * (p - 1)


Z = [0.5, -1.25, 2.0]
ROWS = [[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]]
DY3 = [1.5, -0.75, 0.25]
WEIGHT = [0.5, 2.0, 1.25]
LABELS = np.array([2, 1])
IGNORED = np.array([-100, 1])  # the first row
SOFT = [[0.25, 0.5, 0.25], [0.125, 0.0, 0.875]]
MEAN = {"reduction": "mean"}
NONE = {"reduction": "none"}


def piece(heading, formula, name, value, forward, slope, ours, bound):
    """Return the case of a scalar function on one of its pieces."""
    values = {"dy": [0.75], name: [value]}
    return Case(
        heading, formula, values, (name,),
        lambda **x: forward(x[name]),
        lambda dy, **x: (dy * slope(x[name]),),
        lambda dy, **x: (ours(dy, x[name]),),
        lambda dy, u, **x: (bound(dy, x[name], u),),
    )  # fmt: skip


def difference(heading, formula, r, forward, slope, **option):
    """Return the case of a loss of prediction - target, on the piece where r lies, as a mean."""
    values = {"dy": 0.75, "x": [0.5 + r, 1.25 + r], "t": [0.5, 1.25]} | option
    backward = getattr(F, heading + "_backward")
    backward_target = getattr(F, heading + "_backward_target")

    def derived(dy, x, t, **option):
        dr = dy * slope(x - t, **option) * np.ones(2, dtype=int) / sympy.Integer(2)
        return dr, -dr

    def ours(dy, x, t, **option):
        return backward(dy, x, t, **option), backward_target(dy, x, t, **option)

    def bound(dy, x, t, u, **option):
        each = backward(np.ones_like(x), x, t, **option, reduction="none")
        return loss_bounds.difference_loss_backward(np.asarray(dy), each, "mean", u)

    return Case(
        heading, formula, values, ("x", "t"),
        lambda x, t, **option: (forward(x - t, **option) * np.ones(2, dtype=int)).sum() / 2,
        derived, ours, bound,
    )  # fmt: skip


def cross_entropy_case(formula, soft):
    """Return the case of a mean over two rows, with weights and smoothing."""
    values = {"dy": 0.75, "z": ROWS, "w": WEIGHT, "ε": 0.25} | ({"t": SOFT} if soft else {})
    wrt = ("z", "t") if soft else ("z",)

    def v_and_count(w, ε, t=None):
        if t is not None:
            return mass(w, ε, t), sympy.Integer(2)
        hard = onehot[LABELS]
        return (1 - ε) * w[LABELS][:, None] * hard + ε * w / 3, w[LABELS].sum()

    def forward(z, w, ε, t=None):
        v, count = v_and_count(w, ε, t)
        return -(v * log(softmax(z))).sum() / count

    def derived(dy, z, w, ε, t=None):
        v, count = v_and_count(w, ε, t)
        dz = dy / count * minus_row_sum(softmax(z), v)
        return (dz,) if t is None else (dz, -dy / count * w * (1 - ε) * log(softmax(z)))

    def ours(dy, z, w, ε, t=None):
        options = {"weight": w, "label_smoothing": ε}
        dz = F.cross_entropy_backward(dy, z, LABELS if t is None else t, **options)
        if t is None:
            return (dz,)
        return dz, F.cross_entropy_backward_target(dy, z, t, **options)

    def bound(dy, z, w, ε, u, t=None):
        options = {"weight": w, "label_smoothing": ε}
        target = LABELS if t is None else t
        limit = loss_bounds.cross_entropy_backward(dy, z, target, "mean", u, **options)
        if t is None:
            return (limit,)
        return limit, loss_bounds.cross_entropy_backward_target(dy, z, t, "mean", u, **options)

    return Case("cross_entropy", formula, values, wrt, forward, derived, ours, bound)


def bce_case(z, formula, slope):
    """Return the case of one choice of terms, with both weights and a mean over two entries."""
    values = {"dy": 0.75, "z": z, "t": [0.25, 0.875], "w": [0.5, 1.5], "p": [2.0, 0.75]}
    heading = "binary_cross_entropy_with_logits"

    def both(module, last):
        return lambda dy, z, t, w, p, **u: tuple(
            getattr(module, heading + name)(
                np.asarray(dy), z, t, *last(u), weight=w, pos_weight=p
            )
            for name in ("_backward", "_backward_target")
        )  # fmt: skip

    return Case(
        heading, formula, values, ("z", "t"),
        lambda z, t, w, p: bce(z, t, w, p).sum() / 2,
        lambda dy, z, t, w, p: (
            dy / 2 * w * slope(z, t, p, 1 - t + p * t),
            dy / 2 * w * (p * log(1 + exp(-z)) - log(1 + exp(z))),
        ),
        both(F, lambda u: ()), both(loss_bounds, lambda u: ("mean", u["u"])),
    )  # fmt: skip


def kl_case(formula, log_target):
    target = [[-0.5, -2.0], [-1.25, -0.25]] if log_target else [[0.25, 0.75], [0.5, 0.125]]
    values = {"dy": 0.75, "q": [[-0.25, -1.5], [-0.75, -1.0]], "t": target}
    options = {"reduction": "batchmean", "log_target": log_target}

    def p_and_log_p(t):
        return (exp(t), t) if log_target else (t, log(t))

    def forward(q, t):
        p, log_p = p_and_log_p(t)
        return (p * (log_p - q)).sum() / 2

    def derived(dy, q, t):
        p, log_p = p_and_log_p(t)
        return -p * dy / 2, (log_p - q + 1) * (p if log_target else 1) * dy / 2

    return Case(
        "kl_div", formula, values, ("q", "t"), forward, derived,
        lambda dy, q, t: (
            F.kl_div_backward(dy, q, t, **options), F.kl_div_backward_target(dy, q, t, **options)
        ),
        lambda dy, q, t, u: loss_bounds.kl_div_backward(np.asarray(dy), q, t, *options.values(), u),
    )  # fmt: skip


def softmax_derived(dy, z):
    p, shift = softmax(z), dy[2]  # p_2 > 1/2; any constant gives the same
    return (p * (dy - shift - (p * (dy - shift)).sum()),)


def log_softmax_derived(dy, z):
    p = softmax(z)
    dz = dy - p * dy.sum()
    dz[2] = dy[2] * (1 - p[2]) - p[2] * (dy[0] + dy[1])  # the likeliest
    return (dz,)


def linear_bound(dy, X, W, b, u):
    return bounds.linear_backward_input(dy, W, u), *bounds.linear_backward_parameters(dy, X, u)


def kronecker_forward(X, A, S, b):
    return X @ sum(np.kron(A_i, S_i) for A_i, S_i in zip(A, S, strict=True)) + b


def kronecker_derived(dy, X, A, S, b):
    X, dY = X.reshape(-1, 2, 2), dy.reshape(-1, 2, 3)
    pairs = list(zip(A, S, strict=True))
    dX = [sum(A_i @ dY_n @ S_i.T for A_i, S_i in pairs) for dY_n in dY]
    rows = list(zip(X, dY, strict=True))
    dA = [sum(X_n @ S_i @ dY_n.T for X_n, dY_n in rows) for S_i in S]
    dS = [sum(X_n.T @ A_i @ dY_n for X_n, dY_n in rows) for A_i in A]
    return dX, dA, dS, dy.sum(axis=0)


def kronecker_bound(dy, X, A, S, b, u):
    dX = bounds.kronecker_backward_input(dy, A, S, u)
    return dX, *bounds.kronecker_backward_parameters(dy, X, A, S, u)


def counting(shape, start=-3):
    """Return small numbers, on which sums of products are exact."""
    numbers = (np.arange(np.prod(shape)) * 5 + start) % 11 - 5
    return (numbers / 4).reshape(shape)


ACTIVE = np.array([[1, 0], [0, 1]])  # [a_1 > 0] at the numbers of the case below
MLP = {
    "dy": [[0.5], [-1.0]],
    "X": [[1.0, 2.0], [-1.0, 0.5]],
    "U": [[1.0, -1.0], [0.5, -0.25]],
    "c": [0.25, 0.5],
    "V": [[2.0], [-1.5]],
    "b": [0.75],
}


def mlp_derived(dy, X, U, c, V, b):
    a = ACTIVE * (X @ U + c)
    dz = dy @ V.T * ACTIVE
    return X.T @ dz, dz.sum(axis=0), a.T @ dy, dy.sum(axis=0)


def mlp_ours(dy, X, U, c, V, b):
    network = mlp.Parameters.from_arrays([(U, c), (V, b)])
    activations = mlp.forward(network, X)
    np.testing.assert_array_equal(activations[1] > 0, ACTIVE)
    grad = mlp.backward(network, activations, dy)
    return *grad.layers[0], *grad.layers[1]


CASES = {
    "linear": Case(
        "linear", "dX = dY Wᵀ        dW = Xᵀ dY        db_h = Σ_n dY_nh",
        {"dy": counting((2, 2)), "X": counting((2, 3)), "W": counting((3, 2)), "b": [0.5, -1.0]},
        ("X", "W", "b"), lambda X, W, b: X @ W + b,
        lambda dy, X, W, b: (dy @ W.T, X.T @ dy, dy.sum(axis=0)),
        lambda dy, X, W, b: F.linear_backward(dy, X, W), linear_bound,
    ),
    "relu, z > 0": piece(
        "relu", "dz = dy [y > 0]", "z", 1.25, lambda z: z, lambda z: 1,
        lambda dy, z: F.relu_backward(dy, F.relu(z)), lambda dy, z, u: bounds.relu(z, u),
    ),
    "relu, z < 0": piece(
        "relu", "dz = dy [y > 0]", "z", -1.25, lambda z: 0 * z, lambda z: 0,
        lambda dy, z: F.relu_backward(dy, F.relu(z)), lambda dy, z, u: bounds.relu(z, u),
    ),
    "sigmoid, z > 0": piece(
        "sigmoid", "dz = dp e / (1 + e)²,   e = exp(-|z|)", "z", 1.25, σ,
        lambda z: exp(-z) / (1 + exp(-z)) ** 2, F.sigmoid_backward, bounds.sigmoid_backward,
    ),
    "sigmoid, z < 0": piece(
        "sigmoid", "dz = dp e / (1 + e)²,   e = exp(-|z|)", "z", -1.25, σ,
        lambda z: exp(z) / (1 + exp(z)) ** 2, F.sigmoid_backward, bounds.sigmoid_backward,
    ),
    "softmax": Case(
        "softmax", "dz_k = p_k ((dp_k - d) - Σ_i p_i (dp_i - d))", {"dy": DY3, "z": Z}, ("z",),
        softmax, softmax_derived, lambda dy, z: (F.softmax_backward(dy, F.softmax(z)),),
        lambda dy, z, u: (bounds.softmax_backward(dy, z, -1, u),),
    ),
    "log_softmax": Case(
        "log_softmax", "dz_m = dlog_p_m (1 - p_m) - p_m Σ_(i≠m) dlog_p_i",
        {"dy": DY3, "z": Z}, ("z",), lambda z: log(softmax(z)), log_softmax_derived,
        lambda dy, z: (F.log_softmax_backward(dy, F.log_softmax(z)),),
        lambda dy, z, u: (bounds.log_softmax_backward(dy, z, -1, u),),
    ),
    "logsumexp": Case(
        "logsumexp", "dz_k = dlse p_k", {"dy": 0.75, "z": Z}, ("z",),
        lambda z: log(exp(z).sum()), lambda dy, z: (dy * softmax(z),),
        lambda dy, z: (F.logsumexp_backward(dy, z),),
        lambda dy, z, u: (bounds.logsumexp_backward(dy, z, -1, u),),
    ),
    "nll_loss, mean": Case(
        "nll_loss", "dlog_p_nc = -dloss w_t [c = t] / Σ_m w_(t_m)",
        {"dy": 0.75, "q": ROWS, "w": WEIGHT}, ("q",),
        lambda q, w: -(w[LABELS] * q[[0, 1], LABELS]).sum() / w[LABELS].sum(),
        lambda dy, q, w: (-dy * w * onehot[LABELS] / w[LABELS].sum(),),
        lambda dy, q, w: (F.nll_loss_backward(dy, q, LABELS, weight=w),),
        lambda dy, q, w, u: (
            loss_bounds.nll_loss_backward(dy, q, LABELS, u, weight=w, **MEAN),
        ),
    ),
    "cross_entropy, p - onehot": Case(
        "cross_entropy", "dz_c = dloss_n (p_c - [c = t])", {"dy": DY3[:2], "z": ROWS}, ("z",),
        lambda z: -log(softmax(z))[[0, 1], LABELS],
        lambda dy, z: (dy[:, None] * (softmax(z) - onehot[LABELS]),),
        lambda dy, z: (F.cross_entropy_backward(dy, z, LABELS, **NONE),),
        lambda dy, z, u: (loss_bounds.cross_entropy_backward(dy, z, LABELS, "none", u),),
    ),
    "cross_entropy, ignored": Case(
        "cross_entropy", "get zeros", {"dy": 0.75, "z": ROWS}, ("z",),
        lambda z: -log(softmax(z))[1, 1],
        lambda dy, z: (dy * np.array([[0], [1]]) * (softmax(z) - onehot[1]),),
        lambda dy, z: (F.cross_entropy_backward(dy, z, IGNORED),),
        lambda dy, z, u: (loss_bounds.cross_entropy_backward(dy, z, IGNORED, "mean", u),),
    ),
    "cross_entropy, index": cross_entropy_case(
        "dz_nc = dloss_n (p_nc Σ_(k≠c) v_nk + v_nc (p_nc - 1))", soft=False
    ),
    "cross_entropy, soft": cross_entropy_case("dt_nc = -dloss_n w_c (1 - ε) log p_nc", soft=True),
    "binary_cross_entropy_with_logits, far below": bce_case(
        [-0.5, -2.5],
        "dt = dloss w (p⁺ log(1 + exp(-z)) - log(1 + exp(z)))\n"
        "m σ(z) < 1 - t:   dz = dloss w (m σ(z) - p⁺ t)",
        lambda z, t, p, m: m / (1 + exp(-z)) - p * t,
    ),
    "binary_cross_entropy_with_logits, far above": bce_case(
        [0.5, 2.0], "m σ(z) ≥ 1 - t:   dz = dloss w ((1 - t) - m σ(-z))",
        lambda z, t, p, m: (1 - t) - m / (1 + exp(z)),
    ),
    "squared_loss": difference("squared_loss", "dx = dloss r", 0.75, lambda r: r**2 / 2,
                               lambda r: r),
    "mse_loss": difference("mse_loss", "dx = 2 dloss r", 0.75, lambda r: r**2, lambda r: 2 * r),
    "l1_loss, r > 0": difference("l1_loss", "dx = dloss sign r", 0.75, lambda r: r, lambda r: 1),
    "l1_loss, r < 0": difference("l1_loss", "dx = dloss sign r", -2.5, lambda r: -r, lambda r: -1),
    "kl_div": kl_case("dlog_q = -dloss p\ndp = dloss (log p - log q + 1)", log_target=False),
    "kl_div, log_target": kl_case("dlog_p = dloss p (log p - log q + 1)", log_target=True),
    "kronecker_linear": Case(
        "kronecker_linear", "dX_n = Σ_i A_i dY_n S_iᵀ\ndA_i = Σ_n X_n S_i dY_nᵀ\n"
        "dS_i = Σ_n X_nᵀ A_i dY_n\ndb = Σ_n dY_n",
        {"dy": counting((2, 6)), "X": counting((2, 4)), "A": counting((2, 2, 2)),
         "S": counting((2, 2, 3)), "b": counting(6)},
        ("X", "A", "S", "b"), kronecker_forward, kronecker_derived,
        lambda dy, X, A, S, b: kronecker_linear_backward(dy, X, A, S), kronecker_bound,
    ),
    "mlp.backward": Case(
        "mlp.backward", "dW_l = a_(l-1)ᵀ dz_l\ndz_(l-1) = dz_l W_lᵀ ∘ [a_(l-1) > 0]",
        MLP, ("U", "c", "V", "b"),
        lambda X, U, c, V, b: ACTIVE * (X @ U + c) @ V + b, mlp_derived, mlp_ours,
        lambda u, **x: (0.0,) * 4,  # these numbers need no rounding
    ),
}  # fmt: skip
for _place, _r, _sign in (("near", 0.75, 0), ("far above", 2.5, 1), ("far below", -2.5, -1)):
    CASES[f"huber_loss, {_place}"] = difference(
        "huber_loss", "dx = dloss clip(r, -δ, δ)", _r,
        lambda r, delta, s=_sign: delta * (s * r - delta / 2) if s else r**2 / 2,
        lambda r, delta, s=_sign: s * delta if s else r,
        delta=1.5,
    )  # fmt: skip
    CASES[f"smooth_l1_loss, {_place}"] = difference(
        "smooth_l1_loss", "dx = dloss clip(r / β, -1, 1)", _r,
        lambda r, beta, s=_sign: s * r - beta / 2 if s else r**2 / (2 * beta),
        lambda r, beta, s=_sign: s if s else r / beta,
        beta=1.5,
    )  # fmt: skip

each_case = pytest.mark.parametrize("name", CASES)


@cache
def sections() -> dict[str, str]:
    """Return the text below every `## heading`."""
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def backwards() -> dict[str, str]:
    """Return the function that each public backward belongs to."""
    return {name: name.partition("_backward")[0] for name in F.__all__ if "_backward" in name}


@pytest.mark.parametrize(("backward", "function"), backwards().items())
def test_every_backward_is_derived(backward, function):
    assert function in sections(), f"docs/derivations.md has no heading ## {function}"
    assert f"`{backward}`" in sections()[function]


def test_every_section_has_a_case():
    assert {case.heading for case in CASES.values()} == {*backwards().values(), *BEYOND_FUNCTIONAL}
    assert set(sections()) > BEYOND_FUNCTIONAL


@each_case
def test_page_prints_the_formula(name):
    case = CASES[name]
    for line in case.formula.splitlines():
        assert line in sections()[case.heading]


@each_case
def test_derived_formula_is_the_derivative(name):
    check_symbolically(CASES[name])


@pytest.mark.parametrize("dtype", DTYPES)
@each_case
def test_derived_formula_is_what_the_code_computes(name, dtype):
    check_numerically(CASES[name], dtype)


@each_case
def test_wrong_formula_is_found(name):
    """The first gradient gets the upstream gradient of one output too much."""
    case = CASES[name]

    def wrong(dy, **x):
        first, *others = case.derived(dy=dy, **x)
        return np.array(first, dtype=object) + np.ravel(dy)[0], *others

    with pytest.raises(AssertionError, match="is not"):
        check_symbolically(case._replace(derived=wrong))
    with pytest.raises(AssertionError):
        check_numerically(case._replace(derived=wrong), np.float32)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("softmax", lambda dy, z: (softmax(z) * dy,)),
        ("log_softmax", lambda dy, z: (dy - softmax(z),)),
        ("linear", lambda dy, X, W, b: (dy @ W.T, (dy.T @ X).ravel(), dy.sum(axis=0))),
        ("cross_entropy, p - onehot", lambda dy, z: (softmax(z) - onehot[LABELS],)),
    ],
)
def test_usual_mistake_is_found(name, wrong):
    with pytest.raises(AssertionError, match="is not"):
        check_symbolically(CASES[name]._replace(derived=wrong))
