"""Examining a classifier: probabilities of each objective, mistakes in order, calibration."""

import numpy as np
import pytest

from scratchnn import SGD, examine, fit, metrics, mlp
from scratchnn.data import Dataset, synthetic_line
from scratchnn.layers import Dense, Kronecker
from scratchnn.train import evaluate

Z = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])


def five():
    """Return answers with mistakes of different sizes; rows 1, 3 and 4 are wrong."""
    p = np.array(
        [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.98, 0.01, 0.01], [0.1, 0.45, 0.45]]
    )
    data = Dataset("five", np.zeros((5, 4)), np.array([0, 0, 2, 1, 2]), ("a", "b", "c"))
    return examine.Answers(data, np.log(p), p)


def test_probabilities_of_cross_entropy_are_softmax():
    p = examine.probabilities(Z.astype(np.float32))
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True), rtol=1e-15)


def test_probabilities_of_two_classes_are_a_sigmoid():
    p = examine.probabilities(np.array([[0.0], [np.log(3.0)]]), "two_classes")
    np.testing.assert_allclose(p, [[0.5, 0.5], [0.25, 0.75]])


def test_probabilities_of_one_vs_rest_are_shares_of_sigmoids():
    p = examine.probabilities(np.array([[0.0, np.log(3.0)]]), "one_vs_rest")
    np.testing.assert_allclose(p, [[0.5 / 1.25, 0.75 / 1.25]])
    far = examine.probabilities(np.array([[-800.0, -801.0]]), "one_vs_rest")
    np.testing.assert_allclose(far, [[np.e / (1 + np.e), 1 / (1 + np.e)]])


def test_answers_agree_with_evaluate(digits):
    train, test = digits
    network = mlp.init([64, 10], rng=1)
    fit(network, train, optimizer=SGD(0.5), epochs=1, rng=1)
    found = examine.answers(network, test)
    score = evaluate(network, test)
    np.testing.assert_allclose(found.confusion.trace() / len(test), score.accuracy, rtol=1e-15)
    np.testing.assert_array_equal(
        found.answer, mlp.predict(network, test.batch(slice(None), "f4")[0])
    )
    assert found.confusion.sum() == found.reliability.count.sum() == len(test)
    assert 0 < found.calibration_error < 1
    right = round(score.accuracy * 360)
    assert repr(found) == f"<Answers to digits test: {right} of 360 right ({score.accuracy:.2%})>"


def test_answers_of_one_logit_have_two_classes(digits):
    _, test = digits
    two = test.only((3, 8))
    network = mlp.init([64, 1], rng=1)
    found = examine.answers(network, two, "two_classes")
    assert found.p.shape == found.z.shape == (len(two), 2)
    X, _ = two.batch(slice(None), np.float32)
    np.testing.assert_array_equal(found.answer, mlp.predict(network, X))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ([63, 10], "64 features per example, and the network takes 63"),
        ([64, 9], "10 classes, and the network 9 outputs"),
    ],
)
def test_answers_refuse_another_network(digits, network, words):
    with pytest.raises(ValueError, match=words):
        examine.answers(mlp.init(network, rng=1), digits[1])


def test_answers_need_classes():
    with pytest.raises(ValueError, match="line must have classes"):
        examine.answers(mlp.init([2, 1], rng=1), synthetic_line(examples=9))


def test_worst_mistakes_come_first():
    worst = five().worst(9)
    assert [one.row for one in worst] == [3, 1, 4]
    assert (worst[0].target, worst[0].answer) == ("b", "a")
    assert (worst[0].p_target, worst[0].p_answer) == (0.01, 0.98)
    assert [one.row for one in five().worst(1)] == [3]


def test_nearly_right_mistakes_come_first():
    assert [one.row for one in five().nearly_right(9)] == [4, 1, 3]


def test_confused_counts_the_commonest_mistakes():
    found = five()
    np.testing.assert_array_equal(
        found.confusion, metrics.confusion_matrix(found.z, found.data.target)
    )
    assert found.confused(9) == [("a", "b", 1), ("b", "a", 1), ("c", "b", 1)]


def test_calibration_is_measured_on_other_examples_than_it_is_fitted_on():
    """The rows of even number, which alone are overconfident, decide the temperature."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(4000, 3))
    target = (z + rng.gumbel(size=z.shape)).argmax(axis=1)  # drawn from softmax(z)
    z[::2] *= 3
    data = Dataset("drawn", z, target, ("a", "b", "c"))
    found = examine.Answers(data, z, examine.probabilities(z)).calibration()
    assert 2.5 < found.temperature < 3.5
    assert found.before < 0.05 < found.after


def test_image_size_is_that_of_squares_or_the_one_given():
    network = mlp.init([12, 2], rng=1)
    assert examine.image_size_of(mlp.init([9, 2], rng=1)) == (3, 3)
    assert examine.image_size_of(network, (3, 4)) == (3, 4)
    for size in (None, (3, 3)):
        with pytest.raises(ValueError, match="12 features, which are no"):
            examine.image_size_of(network, size)


def test_first_weights_of_a_kronecker_layer_are_those_of_its_matrix():
    network = mlp.init([Kronecker(4, 6, 2), Dense(6, 2)], rng=1)
    units, images = examine.first_weights(network, (2, 2), 99)
    assert units == list(range(6))
    X = np.eye(4, dtype=np.float32)
    outputs = mlp.forward(network, X)[1] - network.views[0][2]
    np.testing.assert_allclose(images.reshape(6, 4), outputs.T, rtol=1e-5, atol=1e-7)
