"""Minibatches: every example once, in an order that the rng alone decides."""

import numpy as np
import pytest

from scratchnn.data import minibatches


@pytest.mark.parametrize(
    ("examples", "batch_size", "lengths"),
    [
        (7, 3, [3, 3, 1]),
        (6, 3, [3, 3]),
        (3, 7, [3]),
        (3, 1, [1, 1, 1]),
        (0, 3, []),
        (60_000, 64, [64] * 937 + [32]),
    ],
)
@pytest.mark.parametrize("seed", [None, 1])
def test_minibatches_hold_every_example_once(examples, batch_size, lengths, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = minibatches(examples, batch_size, rng)
    assert [len(batch) for batch in batches] == lengths
    assert sorted(index for batch in batches for index in batch) == list(range(examples))


@pytest.mark.parametrize(("examples", "lengths"), [(7, [3, 3]), (6, [3, 3]), (2, []), (0, [])])
def test_minibatches_can_leave_out_the_short_last_batch(examples, lengths):
    whole = minibatches(examples, 3, np.random.default_rng(1), drop_last=True)
    assert [len(batch) for batch in whole] == lengths
    for batch, same in zip(whole, minibatches(examples, 3, np.random.default_rng(1)), strict=False):
        np.testing.assert_array_equal(batch, same)


def test_minibatches_keep_the_order_without_rng():
    assert [batch.tolist() for batch in minibatches(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_minibatches_are_decided_by_the_seed():
    def order(rng):
        return np.concatenate(minibatches(100, 7, rng)).tolist()

    rng = np.random.default_rng(1)
    first, second = order(rng), order(rng)
    assert first == order(np.random.default_rng(1))
    assert first != second  # the next epoch
    assert first != order(np.random.default_rng(2))
    assert list(range(100)) not in (first, second)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_minibatches_refuse_empty_batches(batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {batch_size}"):
        minibatches(7, batch_size)
