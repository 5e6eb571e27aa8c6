"""gradcheck passes what is right, and names what is wrong."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import scratchnn.functional as F
from parity.ops import OPS
from scratchnn import gradcheck, mlp
from scratchnn.gradcheck.derivatives import complex_step, five_points, order, steps
from scratchnn.mlp import Parameters
from tests.helpers import DTYPES, C, D, H, N

U = 2.0**-53


def rng():
    return np.random.default_rng(0)


def linear_backward(dY, X, W, b):
    return F.linear_backward(dY, X, W)


def softmax_backward(dp, z):
    return F.softmax_backward(dp, F.softmax(z))


def cross_entropy(z, target):
    return F.cross_entropy(z, target)


def cross_entropy_backward(dloss, z, target):
    return F.cross_entropy_backward(dloss, F.log_softmax(z), target)


def dense(N=N, D=D, H=H):
    r = rng()
    return r.normal(size=(N, D)), r.normal(size=(D, H)), r.normal(size=H)


def labelled():
    return rng().normal(size=(N, C)), np.array([0, 3, 1, 2, 2])


# What is right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPS)
def test_every_operation_passes(name, dtype):
    """With the shapes and options of its parity cases, and values where it is smooth."""
    op = OPS[name]

    @settings(max_examples=10)
    @given(op.cases(dtype), st.integers(0, 99))
    def run(case, seed):
        smooth = np.random.default_rng(seed)
        for key in op.inputs:
            values = smooth.normal(size=case[key].shape)
            case[key] = np.asarray(abs(values) if (case[key] >= 0).all() else values, dtype)
        options = {key: value for key, value in case.items() if key not in op.inputs}
        arguments = [case[key] for key in op.inputs]
        assume(np.isfinite(op.ours(**case)).all())

        def f(*inputs):
            return op.ours(**dict(zip(op.inputs, inputs, strict=True)), **options)

        def backward(dy, *inputs):
            return op.backward(dy, **dict(zip(op.inputs, inputs, strict=True)), **options)

        gradcheck.check(f, backward, *arguments, limit=50).assert_ok()

    run()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[D, C], [D, H, 6, C], [D, 40, 30, C]])
def test_backpropagation_passes_as_a_function_of_theta(sizes, dtype):
    X = rng().normal(size=(N, D)).astype(dtype)

    def f(theta):
        return mlp.forward(Parameters(sizes, theta), X.astype(theta.real.dtype))[-1]

    def backward(dz, theta):
        network = Parameters(sizes, theta)
        return mlp.backward(network, mlp.forward(network, X.astype(theta.dtype)), dz).theta

    theta = mlp.init(sizes, rng=1, dtype=dtype).theta
    report = gradcheck.check(f, backward, theta)
    report.assert_ok()
    assert ("random directions" in str(report)) == (theta.size > 1000)


def test_report_says_what_was_compared():
    report = gradcheck.check(F.linear, linear_backward, *dense())
    assert report.ok
    assert str(report).startswith("linear: the gradient is right\n")
    assert [finding.argument for finding in report.findings] == ["X", "W", "b", *["X, W, b"] * 2]
    assert "each element by complex step" in str(report)
    assert report.causes == ""


def test_functions_that_drop_the_imaginary_part_get_differences():
    """|z| of a complex z is real: the complex step would be silently wrong."""
    z = rng().normal(size=(N, C))
    for f, df in [
        (F.sigmoid, F.sigmoid_backward),
        (lambda z: z**2 + abs(z), lambda dy, z: dy * (2 * z + np.sign(z))),  # half of it is lost
    ]:
        report = gradcheck.check(f, df, z)
        report.assert_ok()
        assert "five-point differences" in str(report)


def test_float32_functions_pass_within_their_own_precision():
    def single(z):
        return np.tanh(z.astype(np.float32))

    def picky(z):
        if z.dtype != np.float32:
            raise TypeError("z must be float32")
        return np.tanh(z)

    z = rng().normal(size=(N, C)).astype(np.float32)
    for f in (single, picky):
        gradcheck.check(f, lambda dy, z: dy * (1 - np.tanh(z) ** 2), z).assert_ok()
        report = gradcheck.check(f, lambda dy, z: dy * (1 - np.tanh(z) ** 2) * 1.01, z)
        assert "constant factor" in report.causes


def test_other_arguments_pass_through():
    calls = []

    def f(x, exponent, names):
        calls.append((exponent, names))
        return x**exponent

    report = gradcheck.check(
        f, lambda dy, x, e, names: (dy * e * x ** (e - 1), None, None), dense()[0], 3, ["a"]
    )
    report.assert_ok()
    assert all(call == (3, ["a"]) for call in calls)


def test_wrt_chooses_arguments():
    X, W, b = dense()
    for wrt in (["W"], [1]):
        report = gradcheck.check(F.linear, lambda dY, X, W, b: X.T @ dY, X, W, b, wrt=wrt)
        report.assert_ok()
        assert {finding.argument for finding in report.findings} == {"W"}
    gradcheck.check(F.linear, linear_backward, X, W, b, wrt=["b", "X"]).assert_ok()
    message = r"wrt must be among the floating-point arrays \['X', 'W', 'b'\], got 'dX'"
    with pytest.raises(ValueError, match=message):
        gradcheck.check(F.linear, linear_backward, X, W, b, wrt=["dX"])


@pytest.mark.parametrize(
    ("argument", "got"),
    [
        (0.5, "x: float"),
        ([0.5, 1.5], "x: list"),
        (np.array([1, 2]), "x: an array of int64"),
        (np.array([1j]), "x: an array of complex128"),
    ],
)
def test_arguments_without_a_floating_point_array_are_refused(argument, got):
    with pytest.raises(TypeError, match=f"must be a floating-point array, got {got}$"):
        gradcheck.check(lambda x: np.tanh(x), lambda dy, x: dy, argument)


def test_checking_nothing_is_refused():
    with pytest.raises(TypeError, match="must be a floating-point array, got none"):
        gradcheck.check(lambda: np.ones(3), lambda dy: None)
    with pytest.raises(ValueError, match="wrt must name at least one argument"):
        gradcheck.check(F.linear, linear_backward, *dense(), wrt=[])


def test_scales_are_those_of_the_argument():
    for scale in (1e-30, 1e-6, 1e6):
        x = scale * (1 + rng().random(size=N))
        gradcheck.check(np.log, lambda dy, x: dy / x, x).assert_ok()
        assert not gradcheck.check(np.log, lambda dy, x: dy / x * (1 + 1e-6), x).ok
    z = 1e-30 * rng().normal(size=(N, C))
    gradcheck.check(F.softmax, softmax_backward, z).assert_ok()
    assert not gradcheck.check(F.sigmoid, lambda dp, z: dp * (0.25 + 1e-6), z).ok


def test_empty_arrays_have_nothing_to_compare():
    assert gradcheck.check(np.tanh, lambda dy, x: dy, np.zeros((0, 3))).ok


# What is wrong


def times(factor):
    return lambda dloss, z, target: factor * cross_entropy_backward(dloss, z, target)


def in_place(z):
    z -= z.max()
    return np.exp(z)


def in_place_backward(dy, z):
    dy *= z
    return dy


def one_more_random_number(dy, z, state=np.random.default_rng(0)):  # noqa: B008
    return softmax_backward(dy, z) + state.normal()


def forgets_a_term(dy, z):
    dz = softmax_backward(dy, z)
    dz[2, 3] = 0
    return dz


Z = rng().normal(size=(N, C))
AT_ZERO = np.where(np.arange(C) == 2, 0.0, Z)
WRONG = {  # what is wrong: f, backward, arguments, what the report must say
    "no 1/N": (
        cross_entropy, times(N), labelled(),
        "5 times too large, the length of axis 0 of z: is 1/5 missing, a sum for a mean?",
    ),
    "1/N twice": (cross_entropy, times(1 / N), labelled(), "too small by 5, the length of axis 0"),
    "sign": (cross_entropy, times(-1), labelled(), "the sign is wrong"),
    "factor 2": (cross_entropy, times(2), labelled(), "the gradient is 2 times"),
    "factor 1 + 1e-9": (cross_entropy, times(1 + 1e-9), labelled(), "off by a constant factor"),
    "zero": (cross_entropy, times(0), labelled(), "zero everywhere"),
    "no dy": (
        cross_entropy, lambda dloss, z, target: cross_entropy_backward(1.0, z, target), labelled(),
        "backward ignores its upstream gradient dy",
    ),
    "an argument ignored": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, X.T @ dY, np.zeros_like(b)), dense(),
        "zero everywhere: is the argument forgotten",
    ),
    "a gradient too few": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, X.T @ dY), dense(),
        r"backward must return a gradient for each of (X, W, b), got 2",
    ),
    "dW transposed": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, dY.T @ X, dY.sum(0)), dense(),
        "its gradient must have its shape (3, 7), got (7, 3): it is transposed",
    ),
    "a square dW transposed": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, dY.T @ X, dY.sum(0)), dense(D=H),
        "the gradient is transposed",
    ),
    "dW transposed and reshaped": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, (dY.T @ X).reshape(W.shape), dY.sum(0)), dense(),
        "the gradient is transposed, and reshaped",
    ),
    "db along the wrong axis": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY.sum(1)), dense(),
        "got (5,): it is dy summed over axis 1, and that is the wrong axis",
    ),
    "db along the wrong axis, N = H": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY.sum(1)), dense(N=H),
        "it should be dy summed over axis 0",
    ),
    "db not summed": (
        F.linear, lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY), dense(),
        "it is not summed over the rows that share the argument",
    ),
    "softmax's diagonal alone": (
        F.softmax, lambda dp, z: dp * F.softmax(z) * (1 - F.softmax(z)), (Z,),
        "only the Jacobian's diagonal is there",
    ),
    "relu'(0) = 1": (
        F.relu, lambda dy, z: dy * (z >= 0), (AT_ZERO,), "f has a kink here: its slope is",
    ),
    "one element": (F.softmax, forgets_a_term, (Z,), "1 of 20 slopes differ"),
    "f in place": (in_place, lambda dy, z: dy, (Z,), "f modifies z in place"),
    "backward in place": (np.tanh, in_place_backward, (Z,), "backward modifies dy in place"),
    "random": (F.softmax, one_more_random_number, (Z,), "backward gave another result"),
    "not a number": (np.tanh, lambda dy, z: np.log(abs(z) * 0 - 1), (Z,), "its gradient is nan"),
    "whole numbers": (np.tanh, lambda dy, z: np.ones(z.shape, int), (Z,), "got int64"),
}  # fmt: skip


@pytest.mark.parametrize("bug", WRONG)
def test_wrong_gradient_is_found_and_its_cause_named(bug):
    f, backward, arguments, cause = WRONG[bug]
    with np.errstate(invalid="ignore"):
        report = gradcheck.check(f, backward, *arguments)
    assert not report.ok
    assert cause in report.causes, report
    with pytest.raises(AssertionError, match="the gradient is WRONG"):
        report.assert_ok()


@pytest.mark.parametrize(
    ("f", "backward"),
    [
        (F.softmax, F.softmax_backward),
        (F.log_softmax, F.log_softmax_backward),
        (np.tanh, lambda dy, y: dy * (1 - y**2)),
        (np.exp, np.multiply),
    ],
)
@pytest.mark.parametrize("shape", [(N, C), (40, 30)])
def test_backward_that_takes_the_result_is_named(f, backward, shape):
    z = rng().normal(size=shape)
    report = gradcheck.check(f, backward, z)
    assert not report.ok
    assert "backward takes f's result, not " in report.causes
    gradcheck.check(f, lambda dy, z: backward(dy, f(z)), z).assert_ok()


def test_worst_element_is_named():
    (finding, *_) = gradcheck.check(F.softmax, forgets_a_term, Z).findings
    assert (finding.argument, finding.index, finding.formula) == ("z", (2, 3), 0.0)
    assert abs(finding.measured) == finding.error > finding.tolerance
    assert "FAIL z[2, 3], each element by complex step: by formula 0, measured" in str(finding)


def test_right_value_at_a_kink_is_undecided():
    """relu'(0) = 0 is torch's choice; no measurement can confirm it."""
    report = gradcheck.check(F.relu, F.relu_backward, AT_ZERO)
    assert not report.ok
    assert "move the argument away" in report.causes


def test_wrong_gradient_of_many_elements_is_found():
    z = rng().normal(size=(50, 40))
    backward = times(50)
    report = gradcheck.check(cross_entropy, backward, z, np.arange(50) % 40)
    assert "50 times too large, the length of axis 0 of z" in report.causes
    assert report.findings[0].index is None


@pytest.mark.parametrize("check", [0, 1, 2])
def test_each_of_the_three_checks_fails_by_itself(check):
    report = gradcheck.check(cross_entropy, times(1.01), *labelled())
    assert not report.findings[check].ok


def test_taylor_remainder_falls_with_the_square():
    right, wrong = (
        gradcheck.check(cross_entropy, times(factor), *labelled()).findings[-1].measured
        for factor in (1, 1.5)
    )
    assert right > 1.9
    assert wrong < 1.1


def test_softmax_backward_of_ones_is_zero_and_so_dy_is_random():
    assert abs(softmax_backward(np.ones_like(Z), Z)).max() <= 4 * U
    assert "zero everywhere" in gradcheck.check(F.softmax, lambda dy, z: 0 * z, Z).causes


# The measurements


@pytest.mark.parametrize("x", [0.3, 1.0, 4.0])
def test_measured_derivatives_are_as_good_as_they_say(x):
    for phi, derivative in [(np.sin, np.cos(x)), (np.exp, np.exp(x))]:
        curve = lambda t, phi=phi: np.atleast_1d(phi(x + t))  # noqa: E731
        value, error, _ = five_points(curve, U)
        assert abs(value - derivative) <= error
        assert error < np.sqrt(U) / 100
        assert abs(complex_step(curve) - derivative) <= 4 * U * abs(derivative)


def test_order_is_the_slope_above_the_noise():
    t = steps(U)
    assert t[0] / t[-1] == 2 ** (len(t) - 1)
    for p in (1, 2, 3):
        assert order(5 * t**p, 1e-18) == pytest.approx(p)
        assert order(5 * t**p + 1e-9 * rng().random(t.size), 1e-9) == pytest.approx(p, abs=0.3)
    assert order(0 * t, 1e-18) == order(t**2, 1.0) == np.inf
