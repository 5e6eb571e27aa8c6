"""gradcheck passes what is right, and names what is wrong."""

import inspect

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import gradcheck, mlp
from scratchnn.gradcheck.derivatives import complex_step, five_points, order, steps

N, D, H, C = 5, 3, 7, 4  # distinct, so that a transpose cannot hide
DTYPES = (np.float32, np.float64)
U = 2.0**-53


def rng():
    return np.random.default_rng(0)


def dense(N=N, D=D, H=H):
    r = rng()
    return r.normal(size=(N, D)), r.normal(size=(D, H)), r.normal(size=H)


def labelled():
    return rng().normal(size=(N, C)), np.array([0, 3, 1, 2, 2])


# What is right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[D, C], [D, H, 6, C], [D, 40, 30, C]])
def test_backpropagation_passes_as_a_function_of_theta(sizes, dtype):
    X = rng().normal(size=(N, D)).astype(dtype)

    network = mlp.init(sizes, rng=1, dtype=dtype)

    def f(theta):
        return mlp.forward(network.like(theta), X.astype(theta.real.dtype))[-1]

    def backward(dz, theta):
        outputs = mlp.forward(network.like(theta), X.astype(theta.dtype))
        return mlp.backward(network.like(theta), outputs, dz).theta

    report = gradcheck.check(f, backward, network.theta)
    report.assert_ok()
    assert ("random directions" in str(report)) == (network.theta.size > 1000)


def test_report_says_what_was_compared():
    report = gradcheck.check(F.linear, F.linear_backward, *dense())
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
    gradcheck.check(F.linear, F.linear_backward, X, W, b, wrt=["b", "X"]).assert_ok()
    message = r"wrt must be among the floating-point arrays \['X', 'W', 'b'\], got 'dX'"
    with pytest.raises(ValueError, match=message):
        gradcheck.check(F.linear, F.linear_backward, X, W, b, wrt=["dX"])


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
        gradcheck.check(F.linear, F.linear_backward, *dense(), wrt=[])


def test_scales_are_those_of_the_argument():
    for scale in (1e-30, 1e-6, 1e6):
        x = scale * (1 + rng().random(size=N))
        gradcheck.check(np.log, lambda dy, x: dy / x, x).assert_ok()
        assert not gradcheck.check(np.log, lambda dy, x: dy / x * (1 + 1e-6), x).ok
    z = 1e-30 * rng().normal(size=(N, C))
    gradcheck.check(F.softmax, F.softmax_backward, z).assert_ok()
    assert not gradcheck.check(F.sigmoid, lambda dp, z: dp * (0.25 + 1e-6), z).ok


def test_empty_arrays_have_nothing_to_compare():
    assert gradcheck.check(np.tanh, lambda dy, x: dy, np.zeros((0, 3))).ok


# What is wrong


def times(factor):
    return lambda dloss, z, target: factor * F.cross_entropy_backward(dloss, z, target)


def in_place(z):
    z -= z.max()
    return np.exp(z)


def in_place_backward(dy, z):
    dy *= z
    return dy


def one_more_random_number(dy, z, state=np.random.default_rng(0)):  # noqa: B008
    return F.softmax_backward(dy, z) + state.normal()


def forgets_a_term(dy, z):
    dz = F.softmax_backward(dy, z)
    dz[2, 3] = 0
    return dz


Z = rng().normal(size=(N, C))
AT_ZERO = np.where(np.arange(C) == 2, 0.0, Z)
WRONG = {  # what is wrong: f, backward, arguments, what the report must say
    "no 1/N": (
        F.cross_entropy,
        times(N),
        labelled(),
        "5 times too large, the length of axis 0 of z: is 1/5 missing, a sum for a mean?",
    ),
    "1/N twice": (
        F.cross_entropy,
        times(1 / N),
        labelled(),
        "too small by 5, the length of axis 0",
    ),
    "sign": (F.cross_entropy, times(-1), labelled(), "the sign is wrong"),
    "factor 2": (F.cross_entropy, times(2), labelled(), "the gradient is 2 times"),
    "factor 1 + 1e-9": (F.cross_entropy, times(1 + 1e-9), labelled(), "off by a constant factor"),
    "zero": (F.cross_entropy, times(0), labelled(), "zero everywhere"),
    "no dy": (
        F.cross_entropy,
        lambda dloss, z, target: F.cross_entropy_backward(1.0, z, target),
        labelled(),
        "backward ignores its upstream gradient dy",
    ),
    "an argument ignored": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, X.T @ dY, np.zeros_like(b)),
        dense(),
        "zero everywhere: is the argument forgotten",
    ),
    "a gradient too few": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, X.T @ dY),
        dense(),
        r"backward must return a gradient for each of (X, W, b), got 2",
    ),
    "dW transposed": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, dY.T @ X, dY.sum(0)),
        dense(),
        "its gradient must have its shape (3, 7), got (7, 3): it is transposed",
    ),
    "a square dW transposed": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, dY.T @ X, dY.sum(0)),
        dense(D=H),
        "the gradient is transposed",
    ),
    "dW transposed and reshaped": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, (dY.T @ X).reshape(W.shape), dY.sum(0)),
        dense(),
        "the gradient is transposed, and reshaped",
    ),
    "db along the wrong axis": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY.sum(1)),
        dense(),
        "got (5,): it is dy summed over axis 1, and that is the wrong axis",
    ),
    "db along the wrong axis, N = H": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY.sum(1)),
        dense(N=H),
        "it should be dy summed over axis 0",
    ),
    "db not summed": (
        F.linear,
        lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY),
        dense(),
        "it is not summed over the rows that share the argument",
    ),
    "softmax's diagonal alone": (
        F.softmax,
        lambda dp, z: dp * F.softmax(z) * (1 - F.softmax(z)),
        (Z,),
        "only the Jacobian's diagonal is there",
    ),
    "relu'(0) = 1": (
        F.relu,
        lambda dy, z: dy * (z >= 0),
        (AT_ZERO,),
        "f has a kink here: its slope is",
    ),
    "one element": (F.softmax, forgets_a_term, (Z,), "1 of 20 slopes differ"),
    "f in place": (in_place, lambda dy, z: dy, (Z,), "f modifies z in place"),
    "backward in place": (np.tanh, in_place_backward, (Z,), "backward modifies dy in place"),
    "random": (F.softmax, one_more_random_number, (Z,), "backward gave another result"),
    "not a number": (np.tanh, lambda dy, z: np.log(abs(z) * 0 - 1), (Z,), "its gradient is nan"),
    "whole numbers": (np.tanh, lambda dy, z: np.ones(z.shape, int), (Z,), "got int64"),
}


@pytest.mark.parametrize("bug", WRONG)
def test_wrong_gradient_is_found_and_its_cause_named(bug):
    f, backward, arguments, cause = WRONG[bug]
    with np.errstate(invalid="ignore"):
        report = gradcheck.check(f, backward, *arguments)
    assert not report.ok
    assert cause in report.causes, report
    with pytest.raises(AssertionError, match="the gradient is WRONG"):
        report.assert_ok()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax_by_result(dp, p, axis=-1):
    return p * (dp - (dp * p).sum(axis=axis, keepdims=True))


def logits(X, W, b):
    return X @ W + b


def logits_backward(dz, X, W):
    return dz @ W.T, X.T @ dz, dz.sum(axis=0)


def squares(X, W, b):
    return logits(X, W, b) ** 2


def squares_by_result(dy, X, W, y):
    return logits_backward(2 * np.sqrt(y) * dy, X, W)


def mean_square(z):
    return np.mean(z**2)


POSITIVE = [abs(x) for x in dense()]
OTHERWISE = {  # how backward takes its arguments: f, backward, arguments, options, the report
    "the result": (
        *(np.tanh, lambda dy, y: dy * (1 - y**2), (Z,), {}),
        "backward takes f's result, not x: if that is how it is meant, "
        "check lambda dy, x: backward(dy, f(x))",
    ),
    "the result, with 1,200 elements": (
        *(F.softmax, softmax_by_result, (rng().normal(size=(40, 30)),), {}),
        "backward takes f's result, not z: ",
    ),
    "the result of a ufunc": (np.exp, np.multiply, (Z,), {}, "takes f's result, not x: "),
    "the result and an argument": (
        *(F.softmax, softmax_by_result, (Z, 0), {}),
        "backward takes f's result, not z: if that is how it is meant, "
        "check lambda dy, z, axis: backward(dy, f(z, axis), axis)",
    ),
    "the result and options": (
        *(F.softmax, softmax_by_result, (Z,), {"axis": 0}),
        "check lambda dy, z, **options: backward(dy, f(z, **options), **options)",
    ),
    "the result of another shape": (
        *(lambda x: x.sum(axis=1) ** 2, lambda dy, y: np.outer(2 * dy * np.sqrt(y), [1] * C)),
        *((abs(Z),), {}),
        "backward takes f's result, not x: ",
    ),
    "the result without an argument": (
        *(F.softmax, lambda dp, p: softmax_by_result(dp, p), (Z, -1), {}),
        "check lambda dy, z, axis: backward(dy, f(z, axis))",
    ),
    "the result for the bias": (
        *(squares, squares_by_result, POSITIVE, {}),
        "backward takes f's result, not b: if that is how it is meant, "
        "check lambda dy, X, W, b: backward(dy, X, W, f(X, W, b))",
    ),
    "the result, too": (
        *(squares, lambda dy, X, W, b, y: squares_by_result(dy, X, W, y), POSITIVE, {}),
        "backward takes f's result, too: if that is how it is meant, "
        "check lambda dy, X, W, b: backward(dy, X, W, b, f(X, W, b))",
    ),
    "no bias": (
        *(logits, logits_backward, dense(), {}),
        "backward leaves out b: if that is how it is meant, "
        "check lambda dy, X, W, b: backward(dy, X, W)",
    ),
    "no dy": (
        *(mean_square, lambda z: 2 * z / z.size, (Z,), {}),
        "backward takes no upstream gradient dy: if that is how it is meant, "
        "check lambda dy, z: dy * backward(z)",
    ),
    "no dy, several gradients": (
        *(lambda a, b: np.vdot(a, b), lambda a, b: (b, a), (Z, abs(Z)), {}),
        "check lambda dy, a, b: [dy * dx for dx in backward(a, b)]",
    ),
    "the result and no dy": (
        *(sigmoid, lambda y: y * (1 - y), (Z,), {}),
        "backward takes f's result, not z, and no upstream gradient dy: if that is how it is "
        "meant, check lambda dy, z: dy * backward(f(z))",
    ),
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_backward_that_is_right_when_it_is_called_otherwise_is_named(how):
    f, backward, arguments, options, words = OTHERWISE[how]
    report = gradcheck.check(f, backward, *arguments, options=options)
    assert not report.ok
    assert words in report.causes, report
    _, code = report.causes.split("check ", 1)
    by_rule = eval(code.splitlines()[0], {"f": f, "backward": backward})  # what it recommends
    gradcheck.check(f, by_rule, *arguments, options=options).assert_ok()


RULE = "the rule is backward(dy, *the arguments of f)"
WRONG_ARGUMENTS = {  # and a wrong gradient, so that no other way of calling it is right
    "too few": (
        *(F.softmax, lambda dy, p: dy, (Z, 0), {}),
        f"backward(dy, p) takes 1 argument after dy, and f takes 2 (z, axis): {RULE}",
    ),
    "too many": (
        *(F.softmax, lambda dp, z, axis, p: dp, (Z, 0), {}),
        f"backward(dp, z, axis, p) takes 3 arguments after dp, and f takes 2 (z, axis): {RULE}",
    ),
    "more than there are": (
        *(F.softmax, lambda dp, z, axis, keep, *more: dp, (Z, 0), {}),
        f"takes at least 3 arguments after dp, and f takes 2 (z, axis): {RULE}",
    ),
    "some may be left out": (
        *(F.linear, lambda dY, X=None, W=None: dY, dense(), {}),
        "takes 0 to 2 arguments after dY, and f takes 3 (X, W, b), leaving out b: ",
    ),
    "no bias": (
        *(F.linear, lambda dY, X, W: (dY @ W.T, X.T @ dY), dense(), {}),
        "backward(dY, X, W) takes 2 arguments after dY, and f takes 3 (X, W, b), leaving out b: "
        + RULE,
    ),
    "dy alone": (
        *(F.linear, lambda dY: dY, dense(), {}),
        "backward(dY) takes no arguments after dY, and f takes 3 (X, W, b): ",
    ),
    "nothing": (
        np.tanh,
        lambda: Z,
        (Z,),
        {},
        "backward() takes no arguments, and f takes 1 (x): ",
    ),
    "no dy": (
        *(F.softmax, lambda z: z, (Z,), {}),
        f"backward(z) takes no upstream gradient dy before the arguments of f: {RULE}",
    ),
    "no option": (
        *(F.softmax, lambda dp, z: dp, (Z,), {"axis": 0}),
        "backward(dp, z) does not take axis: options are given to f and to backward by keyword",
    ),
    "another keyword": (
        *(F.softmax, lambda dp, z, *, p: dp, (Z,), {}),
        f"backward(dp, z) needs p by keyword: {RULE}",
    ),
}


@pytest.mark.parametrize("how", WRONG_ARGUMENTS)
def test_backward_that_takes_other_arguments_gets_a_sentence(how):
    f, backward, arguments, options, words = WRONG_ARGUMENTS[how]
    report = gradcheck.check(f, backward, *arguments, options=options)
    assert not report.ok
    assert words in report.causes, report


def test_exception_of_backward_is_shown_with_its_line():
    def backward(dy, z):
        part = z[:, :2]
        return F.softmax_backward(dy, part)  # the line to show

    report = gradcheck.check(F.softmax, backward, Z)
    assert not report.ok
    line = backward.__code__.co_firstlineno + 2
    assert "backward raises ValueError: dp must have the shape of p (5, 2)" in report.causes
    assert f"(line {line}: return F.softmax_backward(dy, part)" in report.causes
    report = gradcheck.check(np.tanh, np.linalg.solve, Z)  # not a square matrix
    assert "backward raises LinAlgError" in report.causes


def test_exception_of_f_is_its_own():
    def f(z):
        if (z > 1).any():
            raise ValueError("z must not be above 1")
        return z**2

    with pytest.raises(ValueError, match=r"^z must not be above 1$"):
        gradcheck.check(f, lambda dy, z: 2 * dy * z, np.array([2.0]))
    report = gradcheck.check(f, lambda dy, z: 2 * dy * z, np.array([1.0]))
    assert "f raises ValueError: z must not be above 1 (line " in report.causes
    assert "where its arguments are moved a little" in report.causes


def test_wrong_use_of_check_is_an_error_with_a_sentence():
    with pytest.raises(TypeError, match=r"f is linear\(X: .* cannot be called with 1 argument: "):
        gradcheck.check(F.linear, F.linear_backward, Z)
    with pytest.raises(TypeError, match=r"with 1 argument and the options dim: "):
        gradcheck.check(F.softmax, F.softmax_backward, Z, options={"dim": 1})
    with pytest.raises(TypeError, match="backward must be a function, got ndarray"):
        gradcheck.check(F.softmax, Z)


def test_options_are_given_to_both_and_left_as_they_are():
    weight = np.ones(C)

    def f(z, *, weight):
        return z * weight

    def backward(dy, z, *, weight):
        return dy * weight

    gradcheck.check(f, backward, Z, options={"weight": weight}).assert_ok()

    def modifies(dy, z, *, weight):
        weight *= 2
        return dy * weight / 2

    report = gradcheck.check(f, modifies, Z, options={"weight": weight})
    assert report.causes == "backward modifies weight in place"
    assert (weight == 1).all()


def test_argument_among_the_options_is_named():
    X, W, b = dense()
    report = gradcheck.check(F.linear, F.linear_backward, X, W, options={"b": b})
    assert report.causes == (
        "backward must return a gradient for each of (X, W), got 3: options have no gradient, "
        "so give what has one by position"
    )


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
    report = gradcheck.check(F.cross_entropy, backward, z, np.arange(50) % 40)
    assert "50 times too large, the length of axis 0 of z" in report.causes
    assert report.findings[0].index is None


@pytest.mark.parametrize("check", [0, 1, 2])
def test_each_of_the_three_checks_fails_by_itself(check):
    report = gradcheck.check(F.cross_entropy, times(1.01), *labelled())
    assert not report.findings[check].ok


def test_taylor_remainder_falls_with_the_square():
    right, wrong = (
        gradcheck.check(F.cross_entropy, times(factor), *labelled()).findings[-1].measured
        for factor in (1, 1.5)
    )
    assert right > 1.9
    assert wrong < 1.1


def test_softmax_backward_of_ones_is_zero_and_so_dy_is_random():
    assert abs(F.softmax_backward(np.ones_like(Z), Z)).max() <= 4 * U
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


class Unknown:
    """A function that Python cannot tell the arguments of, as of some that are written in C."""

    __signature__ = "not said"

    def __call__(self, *arguments):
        return np.sin(arguments[0])


def test_functions_whose_arguments_python_does_not_know():
    with pytest.raises((TypeError, ValueError)):
        inspect.signature(Unknown())
    report = gradcheck.check(Unknown(), lambda dy, x: dy * np.cos(x), np.ones(3))
    assert report.ok, report
    report = gradcheck.check(Unknown(), lambda dy, x: 2 * dy * np.cos(x), np.ones(3))
    assert "argument 0" in str(report)


def test_only_a_finite_function_of_floats_has_derivatives():
    x = np.ones(3)
    report = gradcheck.check(lambda x: x > 0, lambda dy, x: dy, x)
    assert "f must return a floating-point array, got bool" in str(report)
    report = gradcheck.check(lambda x: x + np.inf, lambda dy, x: dy, x)
    assert "f is not finite here" in str(report)


def test_a_function_that_is_not_finite_nearby():
    def f(x):
        return np.where(x > 1, np.inf, x)

    report = gradcheck.check(f, lambda dy, x: 3 * dy, np.ones(3))
    assert "f is not finite nearby" in str(report)


def test_a_slope_of_zero_has_no_factor():
    report = gradcheck.check(lambda x: 0 * x, lambda dy, x: dy, np.ones(3))
    assert not report.ok
    assert "times too" not in str(report)
