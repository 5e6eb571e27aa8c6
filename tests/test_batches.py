"""Minibatches: every example once, in an order that the rng alone decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchnn.data import minibatches
from scratchnn.data.batches import block_minibatches


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


# Of data in files


@settings(max_examples=50)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 20), st.integers(1, 9))
def test_block_minibatches_hold_every_example_once(examples, batch_size, block, window):
    rng = np.random.default_rng(1)
    batches = list(block_minibatches(examples, batch_size, rng, block=block, window=window))
    assert sorted(np.concatenate(batches)) == list(range(examples))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert 0 < len(batches[-1]) <= batch_size
    for batch in batches:
        assert (np.diff(batch) > 0).all()


def test_block_minibatches_come_from_a_window_that_was_announced():
    announced = []
    batches = block_minibatches(
        1000, 7, np.random.default_rng(1), block=10, window=5, announce=announced.append
    )
    for number, batch in enumerate(batches):
        window = (min(7 * (number + 1), 1000) - 1) // 50  # of its last row
        assert len(announced) == window + 1
        known = np.concatenate([announced[max(0, window - 1)], announced[window]])
        assert set(batch // 10 * 10) <= set(known)
    assert [len(starts) for starts in announced] == [10] * 19 + [5]


def test_block_minibatches_mix_the_rows_of_a_window():
    """64 rows of 8 blocks of 8: as good as never does a batch of 8 come from 2 blocks or fewer."""
    batches = block_minibatches(64, 8, np.random.default_rng(1), block=8, window=8)
    assert min(len(set(batch // 8)) for batch in batches) > 2


def test_block_minibatches_put_rows_of_a_block_together_as_often_as_the_page_says():
    """(B - 1) / (W - 1): docs/streaming.md. Counted over 1,000 epochs, within 4 deviations."""
    block, rows, batch_size = 4, 16, 4
    pairs = same = 0
    rng = np.random.default_rng(1)
    for _ in range(1000):
        for batch in block_minibatches(64, batch_size, rng, block=block, window=rows // block):
            blocks = batch // block
            same += (blocks[:, None] == blocks).sum() - batch_size
            pairs += batch_size * (batch_size - 1)
    share = (block - 1) / (rows - 1)
    deviation = np.sqrt(share * (1 - share) / (pairs / batch_size**2))  # as if batches were draws
    assert abs(same / pairs - share) < 4 * deviation


def test_block_minibatches_are_made_as_they_are_asked_for():
    """The first of a data set of 10^12 rows, whose permutation would be 8 TB."""
    batches = block_minibatches(10**12, 8, np.random.default_rng(1), block=10**6, window=1)
    assert len(next(batches)) == 8


@pytest.mark.parametrize("name", ["batch_size", "block", "window"])
def test_block_minibatches_refuse_sizes_below_1(name):
    sizes = {"batch_size": 2, "block": 2, "window": 2, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        block_minibatches(7, rng=np.random.default_rng(1), **sizes)
