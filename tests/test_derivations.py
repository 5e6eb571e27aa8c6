"""docs/derivations.md has every gradient, and SymPy agrees with each of its results.

A case holds a small forward computation, the formula as the page prints it, and the same formula
in Python. SymPy differentiates the forward, contracts the derivatives with symbolic upstream
gradients, and compares. At the case's numbers, the backward of scratchnn must give the same.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn import mlp
from tests.helpers import DTYPES, assert_within

sympy = pytest.importorskip("sympy")

PAGE = (Path(__file__).parents[1] / "docs/derivations.md").read_text(encoding="utf-8")
BEYOND_FUNCTIONAL = {"mlp.backward"}

exp = np.vectorize(sympy.exp, otypes=[object])
log = np.vectorize(sympy.log, otypes=[object])
onehot = np.eye(3, dtype=int)


def backward_of(heading: str, dy: Any, u: float | None, **arguments: Any) -> tuple[Any, ...]:
    """Return the gradients of an operation, or with a unit roundoff u their bounds."""
    name = f"{heading}_backward"
    if u is None:
        found = getattr(F, name)(dy, **arguments)
    else:
        module = bounds if hasattr(bounds, name) else loss_bounds
        found = getattr(module, name)(dy, **arguments, u=u)
    return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True)
class Case:
    heading: str  # in the page: the name of the operation
    formula: str  # as printed below that heading, in one line or several
    values: dict[str, Any]  # exact in float32: dy, and the arguments of the operation by name
    wrt: tuple[str, ...]
    forward: Callable[..., Any]  # of symbols
    derived: Callable[..., tuple[Any, ...]]  # of dy and symbols, a result for each of wrt
    options: dict[str, Any] = field(
        default_factory=dict
    )  # arguments of the operation that are no symbols
    backward: Callable[..., tuple[Any, ...]] = backward_of


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
    wide = {
        name: np.array(value, np.float64) if np.ndim(value) else value
        for name, value in numbers.items()
    }
    results = case.backward(case.heading, u=None, **numbers, **case.options)
    limits = case.backward(case.heading, u=bounds.unit_roundoff(dtype), **wide, **case.options)
    for ours, wanted, limit in zip(results, exact, limits, strict=True):
        assert ours.dtype == dtype
        assert_within(ours.ravel(), wanted, np.broadcast_to(limit, ours.shape).ravel())


# Forwards and shared pieces, as written in textbooks; symbolic arithmetic cannot overflow.


def softmax(z):
    return exp(z) / exp(z).sum(axis=-1, keepdims=True)


def σ(z):
    return 1 / (1 + exp(-z))


def tanh(z):
    return (exp(z) - exp(-z)) / (exp(z) + exp(-z))


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


def piece(heading, formula, z, forward, slope):
    """Return the case of a function of one number, on the piece where z lies."""
    values = {"dy": [0.75], "z": [z]}
    return Case(heading, formula, values, ("z",), forward, lambda dy, z: (dy * slope(z),))


def difference(heading, formula, r, forward, slope, **option):
    """Return the case of a loss of prediction - target, on the piece where r lies, as a mean."""
    arrays = {"prediction": [0.5 + r, 1.25 + r], "target": [0.5, 1.25]}
    both = np.ones(2, dtype=int)

    def derived(dy, prediction, target, **option):
        dr = dy * slope(prediction - target, **option) * both / sympy.Integer(2)
        return dr, -dr

    def mean(prediction, target, **option):
        return (forward(prediction - target, **option) * both).sum() / 2

    return Case(
        heading, formula, {"dy": 0.75} | arrays | option, ("prediction", "target"), mean, derived
    )


def cross_entropy_case(formula, soft):
    """Return the case of a mean over two rows, with weights and smoothing."""
    values = {"dy": 0.75, "z": ROWS, "weight": WEIGHT, "label_smoothing": 0.25}
    values |= {"target": SOFT} if soft else {}

    def v_and_count(weight, ε, t):
        if t is not None:
            return weight * ((1 - ε) * t + ε / 3), sympy.Integer(2)
        w = weight[LABELS]
        return (1 - ε) * w[:, None] * onehot[LABELS] + ε * weight / 3, w.sum()

    def forward(z, weight, label_smoothing, target=None):
        v, count = v_and_count(weight, label_smoothing, target)
        return -(v * log(softmax(z))).sum() / count

    def derived(dy, z, weight, label_smoothing, target=None):
        v, count = v_and_count(weight, label_smoothing, target)
        dz = dy / count * minus_row_sum(softmax(z), v)
        if target is None:
            return (dz,)
        return dz, -dy / count * weight * (1 - label_smoothing) * log(softmax(z))

    wrt, options = (("z", "target"), {}) if soft else (("z",), {"target": LABELS})
    return Case("cross_entropy", formula, values, wrt, forward, derived, options)


def bce_case(z, formula, slope):
    """Return the case of one choice of terms, with both weights and a mean over two entries."""
    values = {"dy": 0.75, "z": z, "target": [0.25, 0.875]}
    values |= {"weight": [0.5, 1.5], "pos_weight": [2.0, 0.75]}

    def forward(z, target, weight, pos_weight):
        yes, no = log(σ(z)), log(1 - σ(z))
        return (-weight * (pos_weight * target * yes + (1 - target) * no)).sum() / 2

    def derived(dy, z, target, weight, pos_weight):
        t, p = target, pos_weight
        return (
            dy / 2 * weight * slope(z, t, p, 1 - t + p * t),
            dy / 2 * weight * (p * log(1 + exp(-z)) - log(1 + exp(z))),
        )

    return Case(
        "binary_cross_entropy_with_logits", formula, values, ("z", "target"), forward, derived
    )


def kl_case(formula, log_target):
    target = [[-0.5, -2.0], [-1.25, -0.25]] if log_target else [[0.25, 0.75], [0.5, 0.125]]
    values = {"dy": 0.75, "log_q": [[-0.25, -1.5], [-0.75, -1.0]], "target": target}
    options = {"reduction": "batchmean", "log_target": log_target}

    def p_and_log_p(target):
        return (exp(target), target) if log_target else (target, log(target))

    def forward(log_q, target):
        p, log_p = p_and_log_p(target)
        return (p * (log_p - log_q)).sum() / 2

    def derived(dy, log_q, target):
        p, log_p = p_and_log_p(target)
        return -p * dy / 2, (log_p - log_q + 1) * (p if log_target else 1) * dy / 2

    return Case("kl_div", formula, values, ("log_q", "target"), forward, derived, options)


def softmax_derived(dy, z):
    p, shift = softmax(z), dy[2]  # p_2 > 1/2; any constant gives the same
    return (p * (dy - shift - (p * (dy - shift)).sum()),)


def log_softmax_derived(dy, z):
    p = softmax(z)
    dz = dy - p * dy.sum()
    dz[2] = dy[2] * (1 - p[2]) - p[2] * (dy[0] + dy[1])  # the likeliest
    return (dz,)


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


def mlp_backward(_, dy, u, X, U, c, V, b):
    """Return the gradients, and as their bounds 0: these numbers need no rounding."""
    if u is not None:
        return (0.0,) * 4
    network = mlp.Parameters.from_arrays([(U, c), (V, b)])
    outputs = mlp.forward(network, X)
    np.testing.assert_array_equal(outputs[2] > 0, ACTIVE)
    return tuple(view for _, _, view in mlp.backward(network, outputs, dy).arrays())


CASES = {
    "linear": Case(
        "linear",
        "dX = dY Wᵀ        dW = Xᵀ dY        db_h = Σ_n dY_nh",
        {"dy": counting((2, 2)), "X": counting((2, 3)), "W": counting((3, 2)), "b": [0.5, -1.0]},
        ("X", "W", "b"),
        lambda X, W, b: X @ W + b,
        lambda dy, X, W, b: (dy @ W.T, X.T @ dy, dy.sum(axis=0)),
    ),
    "relu, z > 0": piece("relu", "dz = dy [y > 0]", 1.25, lambda z: z, lambda z: 1),
    "relu, z < 0": piece("relu", "dz = dy [y > 0]", -1.25, lambda z: 0 * z, lambda z: 0),
    "sigmoid, z > 0": piece(
        "sigmoid",
        "dz = dp e / (1 + e)²,   e = exp(-|z|)",
        1.25,
        σ,
        lambda z: exp(-z) / (1 + exp(-z)) ** 2,
    ),
    "sigmoid, z < 0": piece(
        "sigmoid",
        "dz = dp e / (1 + e)²,   e = exp(-|z|)",
        -1.25,
        σ,
        lambda z: exp(z) / (1 + exp(z)) ** 2,
    ),
    "tanh, z > 0": piece(
        "tanh",
        "dz = dy 4 e / (1 + e)²,   e = exp(-2 |z|)",
        1.25,
        tanh,
        lambda z: 4 * exp(-2 * z) / (1 + exp(-2 * z)) ** 2,
    ),
    "tanh, z < 0": piece(
        "tanh",
        "dz = dy (1 - y²) = dy (1 - y) (1 + y)",
        -1.25,
        tanh,
        lambda z: (1 - tanh(z)) * (1 + tanh(z)),
    ),
    "softplus": Case(
        "softplus",
        "dz = dy σ(β z)",
        {"dy": [0.75, -1.5], "z": [1.25, -0.5], "beta": 0.5},
        ("z",),
        lambda z, beta: log(1 + exp(beta * z)) / beta,
        lambda dy, z, beta: (dy * σ(beta * z),),
    ),
    "softplus, beyond the threshold": Case(
        "softplus",
        "β z > threshold:   dz = dy",
        {"dy": [0.75], "z": [1.25]},
        ("z",),
        lambda z: z,
        lambda dy, z: (dy,),
        {"threshold": 1.0},
    ),
    "softmax": Case(
        "softmax",
        "dz_k = p_k ((dp_k - d) - Σ_i p_i (dp_i - d))",
        {"dy": DY3, "z": Z},
        ("z",),
        softmax,
        softmax_derived,
    ),
    "log_softmax": Case(
        "log_softmax",
        "dz_m = dlog_p_m (1 - p_m) - p_m Σ_(i≠m) dlog_p_i",
        {"dy": DY3, "z": Z},
        ("z",),
        lambda z: log(softmax(z)),
        log_softmax_derived,
    ),
    "logsumexp": Case(
        "logsumexp",
        "dz_k = dlse p_k",
        {"dy": 0.75, "z": Z},
        ("z",),
        lambda z: log(exp(z).sum()),
        lambda dy, z: (dy * softmax(z),),
    ),
    "nll_loss, mean": Case(
        "nll_loss",
        "dlog_p_nc = -dloss w_t [c = t] / Σ_m w_(t_m)",
        {"dy": 0.75, "log_p": ROWS, "weight": WEIGHT},
        ("log_p",),
        lambda log_p, weight: (
            -(weight[LABELS] * log_p[[0, 1], LABELS]).sum() / weight[LABELS].sum()
        ),
        lambda dy, log_p, weight: (-dy * weight * onehot[LABELS] / weight[LABELS].sum(),),
        {"target": LABELS},
    ),
    "cross_entropy, p - onehot": Case(
        "cross_entropy",
        "dz_c = dloss_n (p_c - [c = t])",
        {"dy": DY3[:2], "z": ROWS},
        ("z",),
        lambda z: -log(softmax(z))[[0, 1], LABELS],
        lambda dy, z: (dy[:, None] * (softmax(z) - onehot[LABELS]),),
        {"target": LABELS, "reduction": "none"},
    ),
    "cross_entropy, ignored": Case(
        "cross_entropy",
        "get zeros",
        {"dy": 0.75, "z": ROWS},
        ("z",),
        lambda z: -log(softmax(z))[1, 1],
        lambda dy, z: (dy * np.array([[0], [1]]) * (softmax(z) - onehot[1]),),
        {"target": np.array([-100, 1])},  # the first row is ignored
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
        [0.5, 2.0],
        "m σ(z) ≥ 1 - t:   dz = dloss w ((1 - t) - m σ(-z))",
        lambda z, t, p, m: (1 - t) - m / (1 + exp(z)),
    ),
    "squared_loss": difference(
        "squared_loss", "dx = dloss r", 0.75, lambda r: r**2 / 2, lambda r: r
    ),
    "mse_loss": difference("mse_loss", "dx = 2 dloss r", 0.75, lambda r: r**2, lambda r: 2 * r),
    "l1_loss, r > 0": difference("l1_loss", "dx = dloss sign r", 0.75, lambda r: r, lambda r: 1),
    "l1_loss, r < 0": difference("l1_loss", "dx = dloss sign r", -2.5, lambda r: -r, lambda r: -1),
    "kl_div": kl_case("dlog_q = -dloss p\ndp = dloss (log p - log q + 1)", log_target=False),
    "kl_div, log_target": kl_case("dlog_p = dloss p (log p - log q + 1)", log_target=True),
    "kronecker_linear": Case(
        "kronecker_linear",
        "dX_n = Σ_i A_i dY_n S_iᵀ\ndA_i = Σ_n X_n S_i dY_nᵀ\n"
        "dS_i = Σ_n X_nᵀ A_i dY_n\ndb = Σ_n dY_n",
        {
            "dy": counting((2, 6)),
            "X": counting((2, 4)),
            "A": counting((2, 2, 2)),
            "S": counting((2, 2, 3)),
            "b": counting(6),
        },
        ("X", "A", "S", "b"),
        kronecker_forward,
        kronecker_derived,
    ),
    "mlp.backward": Case(
        "mlp.backward",
        "dW_l = a_(l-1)ᵀ dz_l\ndz_(l-1) = dz_l W_lᵀ ∘ [a_(l-1) > 0]",
        MLP,
        ("U", "c", "V", "b"),
        lambda X, U, c, V, b: ACTIVE * (X @ U + c) @ V + b,
        mlp_derived,
        backward=mlp_backward,
    ),
}
for _place, _r, _sign in (("near", 0.75, 0), ("far above", 2.5, 1), ("far below", -2.5, -1)):
    CASES[f"huber_loss, {_place}"] = difference(
        "huber_loss",
        "dx = dloss clip(r, -δ, δ)",
        _r,
        lambda r, delta, s=_sign: delta * (s * r - delta / 2) if s else r**2 / 2,
        lambda r, delta, s=_sign: s * delta if s else r,
        delta=1.5,
    )
    CASES[f"smooth_l1_loss, {_place}"] = difference(
        "smooth_l1_loss",
        "dx = dloss clip(r / β, -1, 1)",
        _r,
        lambda r, beta, s=_sign: s * r - beta / 2 if s else r**2 / (2 * beta),
        lambda r, beta, s=_sign: s if s else r / beta,
        beta=1.5,
    )

each_case = pytest.mark.parametrize("name", CASES)


@cache
def sections() -> dict[str, str]:
    """Return the text below every `## heading`."""
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def backwards() -> dict[str, str]:
    """Return the function that each public backward belongs to."""
    return {name: name.partition("_backward")[0] for name in F.__all__ if "_backward" in name}


def test_every_function_has_a_backward_and_so_a_derivation():
    """`cross_entropy_with_gradient` computes the gradient of `cross_entropy`, and has no own."""
    public = {name for name in F.__all__ if "_backward" not in name}
    assert public - {*backwards().values()} == {"cross_entropy_with_gradient"}


@pytest.mark.parametrize(("backward", "function"), backwards().items())
def test_every_backward_is_derived(backward, function):
    assert function in sections(), f"docs/derivations.md has no heading ## {function}"
    assert f"`{backward}`" in sections()[function]


def test_every_section_has_a_case():
    derived = {case.heading for case in CASES.values()}
    without = {*backwards().values(), *BEYOND_FUNCTIONAL} - derived
    assert not without, f"add the formula, and SymPy's, to CASES of: {without}"
    assert derived <= {*backwards().values(), *BEYOND_FUNCTIONAL}
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
        check_symbolically(replace(case, derived=wrong))
    with pytest.raises(AssertionError):
        check_numerically(replace(case, derived=wrong), np.float32)


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
        check_symbolically(replace(CASES[name], derived=wrong))
