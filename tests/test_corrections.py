"""What the reference texts R0 to R4 have wrong, one test per row; docs/reference.md lists them."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn import information, mlp, objectives
from scratchnn.data import Dataset, minibatches
from scratchnn.data.idx import read_idx, write_idx
from scratchnn.data.transforms import Normalize
from scratchnn.history import Batch
from scratchnn.layers import Dense, Kronecker
from scratchnn.mlp import Parameters
from scratchnn.optim import SGD
from scratchnn.run.watch import BatchLog, epoch_line
from scratchnn.train import backpropagate, evaluate, fit
from tests.helpers import DTYPES, C, N, assert_within

ROOT = Path(__file__).parents[1]
U = bounds.unit_roundoff(np.float64)
P, Q = np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.125, 0.75])


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(N, C))


def toy(rows=10, features=3, classes=2):
    """Return a small data set of two classes, in float64."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=rows)
    X = rng.normal(size=(rows, features)) + labels[:, None]
    return Dataset("toy", X, labels, tuple(map(str, range(classes))))


# R4


def test_r4_relative_entropy_is_not_symmetric():
    """Belief: relative entropy is symmetric. KL(P‖Q) ≠ KL(Q‖P); Jeffreys and Jensen-Shannon are."""
    assert information.kl_divergence(P, Q) != information.kl_divergence(Q, P)
    half, certain = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    assert information.kl_divergence(half, certain) == np.inf
    assert information.kl_divergence(certain, half, unit="bits") == 1
    for symmetric in (information.jeffreys_divergence, information.jensen_shannon_divergence):
        assert symmetric(P, Q) == symmetric(Q, P) > 0


def test_r4_the_third_line_of_the_loss_plot_is_the_signed_derivative():
    """Belief: a plot of the loss shows |slope| as its derivative. Left of 0 it is negative."""
    r = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    nothing = np.zeros_like(r)
    slopes = {
        F.squared_loss_backward: r,
        F.l1_loss_backward: [-1, -1, 0, 1, 1],
        F.huber_loss_backward: [-1, -0.5, 0, 0.5, 1],
    }
    for backward, slope in slopes.items():
        dprediction, _ = backward(1.0, r, nothing, reduction="sum")
        np.testing.assert_array_equal(dprediction, slope)


def test_r4_structure_divides_the_cost_of_a_layer_by_n():
    """Belief: n Kronecker products let a layer's cost O(dq) fall to O(dqn). It is O(dq/n)."""
    D = H = 256
    for n in (2, 4, 8):
        structured, dense = mlp.count([Kronecker(D, H, n)]), mlp.count([Dense(D, H)])
        assert structured == D * H // n + n**3 + H
        assert structured < dense < D * H * n


def test_r4_cross_entropy_with_ln_is_in_nats():
    """Belief: cross-entropy with ln is in bits. It is in nats; a bit is ln 2 = 0.693 of them."""
    logits, target = np.zeros((1, 2)), np.array([0])
    assert F.cross_entropy(logits, target) == math.log(2)
    half = np.array([0.5, 0.5])
    assert information.cross_entropy(half, half, unit="bits") == 1
    assert information.cross_entropy(half, half) == math.log(2)


def test_r4_the_floor_of_cross_entropy_is_the_entropy():
    """Belief: the least cross-entropy is 0. It is H(P) at Q = P, as H(P, Q) = H(P) + KL(P‖Q)."""
    assert information.cross_entropy(P, P) == information.entropy(P) > 0
    assert information.cross_entropy(P, P, unit="bits") == 1.5
    whole = information.cross_entropy(P, Q)
    parts = information.entropy(P) + information.kl_divergence(P, Q)
    ulps = (bounds.LOG_ULPS + len(P) + 8) * U
    assert_within(whole, parts, ulps * (whole + information.jeffreys_divergence(P, Q)))
    soft = np.array([[0.1, 0.2, 0.7]])
    bound = loss_bounds.cross_entropy(np.log(soft), soft, u=U)
    assert_within(F.cross_entropy(np.log(soft), soft), information.entropy(soft[0]), bound + ulps)
    dz_bound, _ = loss_bounds.cross_entropy_backward(1.0, np.log(soft), soft, u=U)
    dz, _ = F.cross_entropy_backward(1.0, np.log(soft), soft)
    assert_within(dz, np.zeros((1, 3)), dz_bound)


def test_r4_cross_entropy_is_no_metric():
    """Belief: cross-entropy is a distance. It is not 0 from P to itself, and is not symmetric."""
    assert information.cross_entropy(P, P) != 0
    assert information.cross_entropy(P, Q) != information.cross_entropy(Q, P)


def test_r4_nothing_here_tells_openmp_to_go_on_with_two_runtimes():
    """Belief: KMP_DUPLICATE_LIB_OK is a fix. OpenMP says: it may crash, or silently be wrong."""
    name = "KMP_DUPLICATE" + "_LIB_OK"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    kinds = {".py", ".toml", ".yml", ".yaml", ".cfg", ".sh", ""}
    files = [ROOT / line for line in listed.stdout.splitlines() if Path(line).suffix in kinds]
    texts = {Path(__file__), ROOT / "docs/zh/words.toml"}  # which name it
    files = [path for path in files if path not in texts]
    files = [path for path in files if path.is_file()] or list(ROOT.glob("*/*.py"))
    assert files
    assert not [path for path in files if name in path.read_text(encoding="utf-8")]


# R3


def test_r3_softmax_regression_is_logistic_regression(z):
    """Belief: softmax regression is not logistic regression. With two classes it is: σ(z1 - z0)."""
    z = z[:, :2]
    logit = z[:, 1] - z[:, 0]
    bound = bounds.softmax(z, 1, u=U)[:, 1] + bounds.sigmoid(logit, u=U)
    bound += U * abs(logit) * F.sigmoid(logit)  # the difference is rounded
    assert_within(F.softmax(z)[:, 1], F.sigmoid(logit), bound)


def test_r3_sigmoid_before_cross_entropy_has_a_floor():
    """Belief: a sigmoid before cross-entropy is harmless. No loss is below ln(1 + 9/e) = 1.461."""
    perfect = np.full((1, 10), -1e4)
    perfect[0, 3] = 1e4
    target = np.array([3])
    squashed = F.sigmoid(perfect)
    np.testing.assert_array_equal(squashed, np.eye(10)[target])
    bound = loss_bounds.cross_entropy(squashed, target, u=U)
    floor = math.log1p(9 / math.e)
    assert_within(F.cross_entropy(squashed, target), np.float64(floor), bound)
    assert round(floor, 3) == 1.461
    assert F.cross_entropy(perfect, target) == 0


def test_r3_bce_with_logits_is_independent_questions(z):
    """Belief: BCE of one-hot targets is softmax regression. It is C one-vs-rest models."""
    target = np.array([3, 0, 2, 2, 1])
    loss, dz = objectives.OneVsRest().loss_and_gradient(z, target)
    question = objectives.TwoClasses().loss_and_gradient
    answers = [question(z[:, [c]].copy(), (target == c).astype(int)) for c in range(C)]
    alone, dz_alone = zip(*answers, strict=True)
    yes = np.eye(C)[target]
    bound = loss_bounds.binary_cross_entropy_with_logits(z, yes, u=U)
    assert_within(loss, np.mean(alone), bound)
    dz_bound, _ = loss_bounds.binary_cross_entropy_with_logits_backward(1.0, z, yes, u=U)
    assert_within(dz, np.hstack(dz_alone) / C, dz_bound)
    assert (F.sigmoid(z).sum(axis=1) != 1).all()  # no distribution over the classes


def test_r3_running_loss_counts_samples():
    """Belief: mean loss = running loss / (batch size · i). A batch may be short: count examples."""
    batches = minibatches(60_000, 64)
    assert len(batches) == 938
    assert len(batches[-1]) == 32
    data, seen = toy(rows=10), []
    parameters = mlp.init([3, 2], rng=0, dtype=np.float64)
    options = {"optimizer": SGD(0.5), "epochs": 1, "batch_size": 4, "rng": 0}
    row = fit(parameters, data, on_batch=seen.append, **options).epochs[0]
    assert [batch.examples for batch in seen] == [4, 4, 2]
    total = sum(batch.loss * batch.examples for batch in seen)
    assert row.running_loss == total / 10
    assert row.running_loss != total / (4 * 3)  # the tutorial's
    assert row.running_loss != sum(batch.loss for batch in seen) / 3


# R2


def test_r2_mse_is_twice_the_squared_loss(z):
    """Belief: torch's MSELoss is the squared loss. It has no 1/2: twice the gradient."""
    target = z[::-1].copy()
    assert F.mse_loss(z, target) == 2 * F.squared_loss(z, target)
    (mse, _), (squared, _) = (
        F.mse_loss_backward(1.0, z, target),
        F.squared_loss_backward(1.0, z, target),
    )
    np.testing.assert_array_equal(mse, 2 * squared)
    fast, slow = (mlp.init([C, 1], rng=0, dtype=np.float64) for _ in range(2))
    y = z[:, :1].copy()
    data = Dataset("regression", z, y)
    for parameters, name, rate in ((fast, "mse_loss", 0.03), (slow, "squared_loss", 0.06)):
        fit(parameters, data, optimizer=SGD(rate), objective=name, epochs=1, rng=0)
    np.testing.assert_array_equal(fast.theta, slow.theta)


def test_r2_the_nominal_batch_size_understeps_the_short_last_batch():
    """Belief: SGD may divide by the nominal batch size. The short last batch then moves less."""
    data, rows = toy(rows=10), minibatches(10, 4)[-1]
    X, target = data.batch(rows, np.float64)
    network = mlp.init([3, 2], rng=0, dtype=np.float64)
    grad = network.like(np.zeros_like(network.theta))
    backpropagate(
        network, X, target, objectives.CrossEntropy(), out=grad
    )  # what `fit` steps against
    z = mlp.forward(network, X)[-1]
    total = F.cross_entropy_backward(1.0, z, target, reduction="sum")
    mean = mlp.backward(network, [X, z], total / len(rows))
    nominal = mlp.backward(network, [X, z], total / 4)
    np.testing.assert_array_equal(nominal.theta * 2, mean.theta)  # half a step for 2 of 4 rows
    dz_bound = loss_bounds.cross_entropy_backward(1.0, z, target, u=U)
    ((W, b),), ((dW, db),), ((mean_dW, mean_db),) = network.views, grad.views, mean.views
    _, dW_bound, db_bound = bounds.linear_backward(z, X, W, b, u=U)
    assert_within(dW, mean_dW, dW_bound + abs(X).T @ dz_bound)
    assert_within(db, mean_db, db_bound + dz_bound.sum(axis=0))


def test_r2_resized_images_do_not_fit_the_weights():
    """Belief: images resized to 64 go into a W of 784 rows. 4096 pixels do not fit: an error."""
    parameters = Parameters.zeros(mlp.layers([784, 10]))
    with pytest.raises(ValueError, match="4096"):
        mlp.forward(parameters, np.zeros((2, 64 * 64), np.float32))
    large = Dataset("large", np.zeros((2, 4096), np.uint8), np.array([0, 1]), ("a", "b"))
    with pytest.raises(ValueError, match="4096 features per example, and the network takes 784"):
        fit(parameters, large, optimizer=SGD(0.1))


@pytest.mark.parametrize(("dtype", "below", "above"), [(np.float32, 88.7, 88.8),
                                                       (np.float64, 709.7, 709.8)])  # fmt: skip
def test_r2_exp_overflows_and_the_shifted_form_does_not(dtype, below, above):
    """Belief: softmax is exp(X) / sum. exp overflows above 88.7 (float32), 709.8 (float64)."""
    assert np.isfinite(np.exp(dtype(below)))
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isinf(np.exp(dtype(above)))
        z = np.array([[above, 0, above]], dtype)
        assert np.isnan(np.exp(z) / np.exp(z).sum()).any()
    np.testing.assert_array_equal(F.softmax(z)[0, ::2], 0.5)
    assert np.isfinite(F.log_softmax(z)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_r2_the_log_of_a_softmax_is_infinite_where_it_need_not_be(dtype):
    """Belief: log(y_hat) is the log-probability. Where y_hat rounds to 0 it is -inf."""
    z = np.array([[0, -1000]], dtype)
    with np.errstate(divide="ignore"):
        assert np.log(F.softmax(z))[0, 1] == -np.inf
    assert F.log_softmax(z)[0, 1] == -1000
    assert F.cross_entropy(z, np.array([1])) == 1000


def test_r2_the_concise_model_starts_with_another_bias():
    """Belief: the concise form is the same model. It keeps torch's random bias: set it to 0."""
    ours = mlp.init([2, 1], std=0.01, rng=0)
    default = mlp.init([2, 1], rng=0)
    assert ours.views[0][1] == 0
    assert default.views[0][1] != 0
    torch = pytest.importorskip("torch")
    assert torch.nn.Linear(2, 1).bias.item() != 0


# R1


def test_r1_evaluation_draws_nothing_and_moves_nothing():
    """Belief: the test loop evaluates, as its text says. It never calls eval(). Ours has no mode.

    Evaluation is a pure function of θ and the data, so the order of the two cannot matter.
    """
    parameters, data = mlp.init([3, 4, 2], rng=0, dtype=np.float64), toy()
    before = parameters.theta.copy()
    first = evaluate(parameters, data)
    assert evaluate(parameters, data) == first
    np.testing.assert_array_equal(parameters.theta, before)


def test_r1_normalize_leaves_the_range_of_minus_one_to_one():
    """Belief: Normalize gives -1..1. It gives -0.424 to 2.821 for MNIST, and the same shape."""
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    x = Normalize(0.1307, 0.3081)(pixels)
    assert x.shape == pixels.shape
    assert [round(float(value), 3) for value in (x.min(), x.max())] == [-0.424, 2.821]


def test_r1_normalize_gives_mean_0_and_deviation_1_of_the_data_it_was_measured_on():
    """Belief: Normalize's (0.1307, 0.3081) are a range. They are the data's mean and deviation."""
    pixels = np.random.default_rng(0).integers(0, 256, 1000).astype(np.uint8)
    scaled = pixels / 255
    x = Normalize(scaled.mean(), scaled.std())(pixels, np.float64)
    terms = bounds.gamma(len(x) + 8, U) * (abs(x).mean() + 2 * scaled.mean() / scaled.std())
    assert_within(x.mean(), np.float64(0), terms)
    squares = bounds.gamma(len(x) + 8, U) * (1 + 4 * abs(x).mean() * scaled.mean() / scaled.std())
    assert_within(np.square(x).mean(), np.float64(1), squares)


def test_r1_percent_d_truncates_and_ours_rounds():
    """Belief: %d shows the accuracy. It truncates: 97.99 becomes 97."""
    assert "%d" % 97.99 == "97"  # noqa: UP031
    parameters, data = Parameters.zeros(mlp.layers([3, 2]), np.float64), toy(rows=7)
    row = fit(parameters, data, data, optimizer=SGD(0.1), epochs=1, rng=0).epochs[0]
    assert "97.99%" in epoch_line(replace(row, test_accuracy=0.9799))


def test_r1_the_last_batches_are_reported(capsys):
    """Belief: a line every 300 batches reports all. Of 938, the last 38 are never reported."""
    log = BatchLog(300, sys.stdout)
    for number in range(1, 939):
        log(Batch(1, number, 938, loss=1.0 if number <= 900 else 3.0, examples=64))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "901 to  938 of 938: mean loss 3.000" in lines[-1]


def test_r1_a_seed_makes_the_run_repeatable():
    """Belief: a run can be compared without a seed. Only the same seed gives the same numbers."""
    options = {"optimizer": SGD(0.1), "epochs": 2, "batch_size": 4}

    def theta(seed):
        parameters = mlp.init([3, 4, 2], rng=seed)
        fit(parameters, toy(), rng=seed, **options)
        return parameters.theta

    np.testing.assert_array_equal(theta(1), theta(1))
    assert (theta(1) != theta(2)).any()


def test_r1_cross_entropy_is_log_softmax_and_nll_only_for_class_indices(z):
    """Belief: CE = LogSoftmax + NLL. Only for class indices: probabilities have no NLL."""
    target = np.array([3, 0, 2, 2, 1])
    assert F.cross_entropy(z, target) == F.nll_loss(F.log_softmax(z), target)
    soft = np.tile([0.1, 0.2, 0.3, 0.4], (N, 1))
    assert F.cross_entropy(z, soft) > 0
    with pytest.raises(TypeError, match=r"class indices must be integers .* got float64"):
        F.nll_loss(F.log_softmax(z), soft)
    smooth = F.cross_entropy(z, target, label_smoothing=0.1)
    assert smooth != F.nll_loss(F.log_softmax(z), target)


# R0


def test_r0_arrays_of_files_are_copies_and_writable(tmp_path):
    """Belief: edit torchvision to silence the warning of read-only arrays. Copy the array."""
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert not np.frombuffer(pixels.tobytes(), np.uint8).flags.writeable
    write_idx(tmp_path / "pixels", pixels)
    values = read_idx(tmp_path / "pixels")
    assert values.flags.writeable
    values[0, 0] = 7
    np.testing.assert_array_equal(read_idx(tmp_path / "pixels"), pixels)
    torch = pytest.importorskip("torch")
    torch.from_numpy(values)  # no warning, which would be an error here


def test_r0_data_in_memory_want_no_workers():
    """Belief: a loader needs as many workers as cores. Data in memory need none: take a slice."""
    data = toy(rows=10)
    rows = minibatches(10, 4, np.random.default_rng(0))[0]
    X, target = data.batch(rows, np.float64)
    np.testing.assert_array_equal(X, data.X[rows])
    np.testing.assert_array_equal(target, data.target[rows])
    window, _ = data.batch(slice(0, 4), np.float64)
    assert np.shares_memory(window, data.X)  # not even copied


def test_r0_r2_running_figures_are_of_moving_weights():
    """Belief: the train and test accuracy of a log compare. The first is a mean while θ moves."""
    data, start = toy(rows=12), mlp.init([3, 2], rng=0, dtype=np.float64)
    options = {"epochs": 1, "batch_size": 4, "rng": 0}
    moving = fit(start.copy(), data, data, optimizer=SGD(0.5), **options).epochs[0]
    assert moving.running_loss > moving.train_loss
    assert moving.train_loss == moving.test_loss  # of the same data, at the same θ
    assert moving.train_accuracy == moving.test_accuracy
    still = fit(start.copy(), data, data, optimizer=SGD(0.0), **options).epochs[0]
    z = mlp.forward(start, data.X)[-1]
    bound = loss_bounds.cross_entropy(z, data.target, u=U)
    bound += bounds.linear(data.X, *start.views[0], u=U).max()
    assert_within(still.running_loss, still.train_loss, 2 * bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_r0_softmax_keeps_the_order_only_weakly(dtype):
    """Belief: softmax keeps the order. Only weakly in floating point: underflow ties."""
    z = np.array([[0, -1000, -2000, 1]], dtype)
    p = F.softmax(z)
    assert p[0, 1] == p[0, 2] == 0
    assert z[0, 1] > z[0, 2]
    order = np.argsort(z[0])
    assert (np.diff(p[0, order]) >= 0).all()
    assert (np.diff(F.log_softmax(z)[0, order]) > 0).all()  # which does not underflow
