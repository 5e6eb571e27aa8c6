"""Arguments of a wrong kind are refused by name: none is silently taken for something else."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import (
    SGD,
    Adam,
    AdamW,
    calibration,
    data,
    information,
    metrics,
    mlp,
    objectives,
    optim,
)
from scratchnn.layers import Dense, ReLU
from tests.samples import PAIRS, C, D, N, samples

RNG = np.random.default_rng(0)


class Tensor:
    """Stands for torch.Tensor, which has a dtype of its own kind."""

    dtype = object()
    shape = (N, C)


Tensor.__module__ = "torch"

KINDS = {  # what comes in place of an array, and words of the message
    "masked array": (lambda a: np.ma.masked_array(a, np.zeros(a.shape, bool)), "plain array"),
    "matrix": (lambda a: a.view(np.matrix), r"pass np\.asarray"),
    "tensor": (lambda a: Tensor(), r"torch tensor: pass .*\.numpy\(\)"),
    "list": (lambda a: a.tolist(), "must be a NumPy array, got list: pass"),
    "None": (lambda a: None, "NumPy array, got NoneType"),
    "text": (lambda a: a.astype(str), "got <U"),
    "dates": (lambda a: a.astype(np.int64).astype("datetime64[D]"), "got datetime64"),
    "objects": (lambda a: a.astype(object), "got object"),
    "booleans": (lambda a: a.astype(bool), "got bool"),
}


def refusals(f, arguments, options):
    """Yield each array of a call that is given as something else, and how the call then fails."""
    given = inspect.signature(f).bind(*arguments, **options).arguments
    arrays = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    parameters = inspect.signature(f).parameters.values()
    optional = {p.name for p in parameters if "None" in str(p.annotation)}
    for name, value in arrays.items():
        for kind, (convert, words) in KINDS.items():
            if kind == "None" and name in optional:
                continue
            if (kind == "list" and value.ndim == 0) or (kind == "matrix" and value.ndim != 2):
                continue  # a list of no axes is a number
            yield name, kind, words, {**given, name: convert(value)}


@pytest.mark.parametrize("name", PAIRS)
def test_operations_name_what_is_not_a_floating_point_array(name):
    f, backward = getattr(F, name), getattr(F, f"{name}_backward")
    for arguments, options in samples(name, np.float64):
        dy = np.ones_like(f(*arguments, **options))
        for g, args in ((f, arguments), (backward, (dy, *arguments))):
            for argument, kind, words, given in refusals(g, args, options):
                if "dtype" in options and kind == "booleans":
                    continue  # they are converted
                with pytest.raises(TypeError, match=rf"^{argument}\b") as raised:
                    g(**given)
                raised.match(words)


@pytest.mark.parametrize("name", PAIRS)
def test_upstream_gradients_of_another_shape_or_kind_are_named(name):
    f, backward = getattr(F, name), getattr(F, f"{name}_backward")
    upstream = next(iter(inspect.signature(backward).parameters))
    for arguments, options in samples(name, np.float64):
        dy = np.ones_like(f(*arguments, **options))
        for wrong in (dy[None], np.ones((1,) * (dy.ndim + 1)), np.ones((*dy.shape, 2))):
            with pytest.raises(ValueError, match=rf"^{upstream}\b.*shape"):
                backward(wrong, *arguments, **options)
        for wrong in (None, "0", np.datetime64("2020-01-01"), [1.0], b"1", {}):
            with pytest.raises(TypeError, match=rf"^{upstream}\b"):
                backward(wrong, *arguments, **options)


@pytest.mark.parametrize(
    ("f", "backward"), [(F.softmax, F.softmax_backward), (F.relu, F.relu_backward),
                        (F.tanh, F.tanh_backward)]
)  # fmt: off
def test_results_go_only_where_they_fit(f, backward):
    z, dy = RNG.normal(size=(N, C)), RNG.normal(size=(N, C))
    for out in (np.empty((2, N, C)), np.empty(C), np.empty((N, C), np.float32)):
        for g, arguments in ((f, [z]), (backward, [dy, z])):
            with pytest.raises(ValueError, match=r"^out must have the shape and dtype of"):
                g(*arguments, out=out)
        with pytest.raises(TypeError, match=r"^out must be a NumPy array"):
            f(z, out=out.tolist())


@pytest.mark.parametrize("place", ["dp", "p"])
def test_softmax_backward_may_overwrite_any_of_its_arguments(place):
    z, dp = RNG.normal(size=(N, C)), RNG.normal(size=(N, C))
    p = F.softmax(z)
    expected = F.softmax_backward(dp, z)
    out = {"dp": dp, "p": p}[place]
    assert F.softmax_backward(dp, None, p=p, out=out) is out
    assert np.array_equal(out, expected)


LABELS = np.array([0, 3, 1, 2, 2])
Z = RNG.normal(size=(N, C))
P = F.softmax(Z)
MEASURES = [
    (metrics.count_correct, (Z, LABELS)),
    (metrics.accuracy, (Z, LABELS)),
    (metrics.confusion_matrix, (Z, LABELS)),
    (metrics.top_k_accuracy, (Z, LABELS, 2)),
    (calibration.brier_score, (P, LABELS)),
    (calibration.expected_calibration_error, (P, LABELS)),
    (calibration.fit_temperature, (Z, LABELS)),
    (information.entropy, (P,)),
    (information.kl_divergence, (P, P)),
    (information.surprisal, (P,)),
]


@pytest.mark.parametrize(("f", "arguments"), MEASURES, ids=lambda x: getattr(x, "__name__", ""))
def test_measures_name_what_is_not_an_array(f, arguments):
    for argument, _, words, given in refusals(f, arguments, {}):
        with pytest.raises(TypeError, match=rf"^{argument}\b") as raised:
            f(**given)
        raised.match(words)


def test_nan_is_not_counted_as_right():
    with pytest.raises(ValueError, match="z must not hold NaN"):
        metrics.count_correct(np.array([[np.nan, 1.0]]), np.array([0]))


@pytest.mark.parametrize("share", [metrics.precision, metrics.recall])
def test_shares_take_counts_and_numbers(share):
    confusion = np.array([[0, 2], [0, 3]])
    assert share(confusion, undefined=0).dtype == np.float64
    assert np.isnan(metrics.precision(confusion, undefined=np.nan)[0])
    for wrong in (-confusion, confusion * np.nan, confusion.astype(str)):
        with pytest.raises(ValueError, match="confusion must hold counts"):
            share(wrong)
    with pytest.raises(TypeError, match="undefined must be a number, got None"):
        share(confusion, undefined=None)


def test_float16_means_do_not_overflow():
    """Sums of float16 would be infinite at 65,504."""
    ones = np.ones(70_000, np.float16)
    loss = F.mse_loss(ones, 0 * ones)
    assert loss == 1
    assert loss.dtype == np.float16


def test_mse_gradient_does_not_overflow_where_it_is_a_number():
    r = np.array([3e38, 0], np.float32)
    dprediction, _ = F.mse_loss_backward(1.0, r, 0 * r)
    assert np.array_equal(dprediction, r)


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW])
def test_optimizers_take_numbers_and_arrays(optimizer):
    for wrong in ("0.1", None, [0.1], np.ones(2)):
        with pytest.raises(TypeError, match="learning_rate must be a number"):
            optimizer(wrong)
    theta = np.zeros(3, np.float32)
    for wrong in ([0.0] * 3, Tensor(), np.zeros(3, int)):
        with pytest.raises(TypeError, match=r"^grad must be"):
            optimizer(0.1).step(theta, wrong)


def test_dampening_is_a_finite_number():
    with pytest.raises(ValueError, match="dampening must be finite, got nan"):
        optim.SGD(0.1, momentum=0.5, dampening=np.nan)


@pytest.mark.parametrize("dtype", [int, bool, "S3", object, complex])
def test_networks_are_floating_point(dtype):
    with pytest.raises(TypeError, match="dtype must be floating point"):
        mlp.init([2, 3], dtype=dtype)
    if dtype is not complex:  # complex-step differentiation needs it
        theta = np.zeros(9).astype(dtype)
        with pytest.raises(TypeError, match="theta must be floating point"):
            mlp.Parameters(mlp.layers([2, 3]), theta)


def test_networks_name_inputs_that_do_not_fit():
    network = mlp.init([D, C], rng=0)
    X = np.zeros((N, D), np.float32)
    for f in (mlp.forward, mlp.predict):
        with pytest.raises(ValueError, match=r"one example per row, got .*X\[None\]"):
            f(network, X[0])
        with pytest.raises(ValueError, match=rf"X must have shape \(N, {D}\)"):
            f(network, X[:, 1:])
        with pytest.raises(TypeError, match=r"^X must be a NumPy array, got list"):
            f(network, X.tolist())
        with pytest.raises(TypeError, match=r"^X must be floating point, .*, got uint8"):
            f(network, X.astype(np.uint8))
    outputs = mlp.forward(network, X)
    with pytest.raises(TypeError, match=r"^dz must be a NumPy array, got list"):
        mlp.backward(network, outputs, outputs[-1].tolist())
    with pytest.raises(ValueError, match=r"^dz must have the shape of z"):
        mlp.backward(network, outputs, outputs[-1][:1])


def test_explicit_weights_are_matrices():
    W, b = np.zeros((D, C)), np.zeros(C)
    with pytest.raises(ValueError, match=r"W of layer 1 must have shape \(D, H\), got \(3,\)"):
        mlp.Parameters.from_arrays([(W[:, 0], b)])
    with pytest.raises(TypeError, match="W of layer 1 must be a NumPy array, got list"):
        mlp.Parameters.from_arrays([(W.tolist(), b)])


def test_softmax_over_many_classes_takes_float16_with_a_wider_dtype():
    z = np.zeros(100_000, np.float16)
    for f in (F.softmax, F.log_softmax, F.logsumexp, lambda z: F.cross_entropy(z, np.array(0))):
        with pytest.raises(ValueError, match=r"^z must not be float16 .* z.astype\(np.float32\)"):
            f(z)
    assert F.softmax(z, dtype=np.float32).sum() == pytest.approx(1)


def test_layers_are_objects_and_not_their_classes():
    with pytest.raises(TypeError, match=r"got the class ReLU: add \(\)"):
        mlp.init([Dense(2, 3), ReLU, Dense(3, 2)])


@pytest.mark.parametrize("measure", [metrics.accuracy, metrics.confusion_matrix])
def test_measures_say_what_to_do_with_predicted_classes(measure):
    """scikit-learn's functions of these names take them."""
    with pytest.raises(TypeError, match=r"got class indices: objectives\.one_hot\(z, C\) makes"):
        measure(LABELS, LABELS)
    assert metrics.accuracy(objectives.one_hot(LABELS, C), LABELS) == 1


TAKE_COMPLEX = {  # for the complex step
    *("softmax", "log_softmax", "logsumexp", "cross_entropy", "nll_loss", "kl_div"),
    *("linear", "kronecker_linear", "relu", "tanh", "squared_loss", "mse_loss"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_complex_numbers_are_taken_where_no_imaginary_part_is_dropped(name):
    f, backward = getattr(F, name), getattr(F, f"{name}_backward")
    (first, *others), options = samples(name, np.float64)[0]
    z = first + 0j
    if name in TAKE_COMPLEX:
        expected = f(first, *others, **options)
        np.testing.assert_allclose(f(z, *others, **options), expected, rtol=1e-12)
    else:
        with pytest.raises(TypeError, match="must be real, got complex128"):
            f(z, *others, **options)
    if name != "softmax":
        dy = np.ones_like(f(first, *others, **options))
        with pytest.raises(TypeError, match="must be real"):
            backward(dy, z, *others, **options)
        with pytest.raises(TypeError, match="must be real"):
            backward(dy + 1j, first, *others, **options)


IMAGES = np.zeros((2, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: data.pad(IMAGES[..., :0], 1, padding_mode="edge"), "images must have pixels to"),
        (lambda: data.pad(IMAGES, 1, fill=300), r"fill must be a whole number in \[0, 255\]"),
        (lambda: data.pad(IMAGES, 1, fill=np.nan), "fill must be a whole number in"),
        (lambda: data.random_hflip(IMAGES[0]), r"images must have shape \(N, H, W\), got \(4, 3\)"),
        (lambda: data.Normalize(np.inf, 1.0), "mean must be finite, got inf"),
        (lambda: data.Normalize(0.5, 0.0), "std must be positive, got 0.0"),
        (lambda: data.Normalize([0.1, 0.2], 1.0)(IMAGES), r"one per column \(3,\), got \(2,\)"),
        (lambda: data.ToTensor(0), "max_value must be positive and finite, got 0"),
        (lambda: F.softplus(Z, threshold=np.nan), "threshold must not be NaN"),
        (lambda: data.synthetic_line(b=np.inf), "b must be finite, got inf"),
        (lambda: F.logsumexp(Z, (0, -2)), "axis must name each axis once"),
        (lambda: mlp.init([2, 3], std=-1), "std must be finite and not negative, got -1"),
        (lambda: SGD(0.1).step(np.broadcast_to(1.0, 3), np.ones(3)), "theta is changed in place"),
        (lambda: F.relu(Z, out=np.broadcast_to(0.0, Z.shape)), "out is changed in place"),
    ],
)
def test_values_that_are_out_of_range_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_complex_targets_have_no_gradient_here():
    with pytest.raises(TypeError, match="target must be real, got complex128"):
        F.cross_entropy_backward(1.0, Z, P + 0j)


def test_a_window_may_be_given_in_unsigned_numbers():
    """-np.uint8(1) is 255: a window beside the image was cut out."""
    images = np.arange(12).reshape(1, 4, 3)
    small = data.crop(images, np.uint8(1), np.uint8(1), np.uint8(2), np.uint8(2))
    assert np.array_equal(small, images[:, 1:3, 1:3])


def test_a_number_is_written_in_the_order_of_the_file(tmp_path):
    data.write_idx(tmp_path / "number", np.float64(1.5))
    assert data.read_idx(tmp_path / "number") == 1.5
