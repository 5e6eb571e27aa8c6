"""Watching: the line of an epoch, the mean loss of every k batches, the progress bar."""

import io
import sys

import pytest

from scratchnn import watch
from scratchnn.train import Batch, Epoch

ROW = Epoch(3, 0.25, 0.5, 0.125, 0.987654, 1.5, 1.0, 0.5, 2.0)
LINE = Epoch(12, 0.25, None, 0.125, None, None, None, 0.5, 2.0)


def test_epoch_line_hand_written():
    assert watch.epoch_line(ROW).split() == [
        "3", "0.2500", "0.1250", "1.5000", "98.77%", "100.00%", "2.000"
    ]  # fmt: skip
    assert watch.epoch_line(LINE).split() == [
        "12", "0.2500", "0.1250", "-", "-", "-", "2.000"
    ]  # fmt: skip


@pytest.mark.parametrize("row", [ROW, LINE])
def test_epoch_line_stands_under_its_header(row):
    line = watch.epoch_line(row)
    assert len(line) == len(watch.HEADER)
    for name in ("epoch", "running loss", "train loss", "test loss", "train acc", "test acc"):
        end = watch.HEADER.index(name) + len(name)
        assert line[end - 1] != " ", name
        assert line[end] == " ", name


def log(every, losses, of, batch_size=4, last=2):
    """Return the lines of a BatchLog that sees these losses, `of` batches an epoch."""
    file = io.StringIO()
    batch_log = watch.BatchLog(every, file)
    for i, loss in enumerate(losses):
        number = i % of + 1
        batch_log(Batch(i // of + 1, number, of, loss, last if number == of else batch_size))
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("every", "losses", "of", "lines"),
    [
        (2, [1, 3, 5, 7], 4, ["1 to 2 of 4: 2.000", "3 to 4 of 4: 5.667"]),
        (2, [1, 3, 8], 3, ["1 to 2 of 3: 2.000", "3 to 3 of 3: 8.000"]),  # the short last stretch
        (3, [1, 3, 5, 9, 6], 5, ["1 to 3 of 5: 3.000", "4 to 5 of 5: 8.000"]),
        (1, [1, 3], 2, ["1 to 1 of 2: 1.000", "2 to 2 of 2: 3.000"]),
        (9, [1, 4], 2, ["1 to 2 of 2: 2.000"]),
        (2, [1, 3, 5, 7], 5, ["1 to 2 of 5: 2.000", "3 to 4 of 5: 6.000"]),
        (3, [1], 1, ["1 to 1 of 1: 1.000"]),
    ],
)
def test_batch_log_means_over_examples(every, losses, of, lines):
    shown = [
        " ".join(line.split()).replace("epoch 1, batches ", "").replace("mean loss ", "")
        for line in log(every, losses, of)
    ]
    assert shown == lines


def test_batch_log_starts_anew_each_epoch():
    shown = [line.split(":")[0].split() for line in log(2, [1, 2, 3, 4, 5, 6], 3)]
    assert [(line[1], line[3], line[5]) for line in shown] == [
        ("1,", "1", "2"),
        ("1,", "3", "3"),
        ("2,", "1", "2"),
        ("2,", "3", "3"),
    ]


@pytest.mark.parametrize("every", [0, -1])
def test_batch_log_refuses_no_batches(every):
    with pytest.raises(ValueError, match=f"every 1 or more batches, got {every}"):
        watch.BatchLog(every, io.StringIO())


def test_watchers_call_all_but_none():
    seen = []
    batch = Batch(1, 1, 1, 0.5, 4)
    watch.watchers(seen.append, None, seen.append)(batch)
    watch.watchers(None)(batch)
    assert seen == [batch, batch]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Make standard error a terminal; not a fixture, as pytest sets sys.stderr after those."""
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def test_progress_bar_counts_the_batches_of_an_epoch(monkeypatch):
    stderr = terminal(monkeypatch)
    bar = watch.progress_bar()
    for epoch in (1, 2):
        for number in range(1, 6):
            bar(Batch(epoch, number, 5, 0.5, 4))
    bar.close()
    shown = stderr.getvalue()
    assert "epoch 1" in shown
    assert "epoch 2" in shown
    assert "/5" in shown


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_progress_bar_leaves_no_trace(monkeypatch, number):
    stderr = terminal(monkeypatch)
    bar = watch.progress_bar()
    for i in range(number):
        bar(Batch(1, i + 1, 5, 0.5, 4))
    bar.close()
    bar.close()
    assert "\n" not in stderr.getvalue()
    assert stderr.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip() == ""


def test_progress_bar_needs_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert watch.progress_bar() is None


def test_progress_bar_does_without_tqdm(monkeypatch):
    stderr = terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert watch.progress_bar() is None
    assert stderr.getvalue() == ""
