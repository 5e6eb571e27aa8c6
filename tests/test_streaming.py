"""Training from files: the same data as in memory, read ahead, within a fixed amount of memory."""

import gzip
import mmap
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from parity.training.trace import FREE_RUN_TOLERANCE
from scratchnn import SGD, data, evaluate, fit, mlp
from scratchnn.data import DataError, Stream, read_ahead, stream, write_idx
from scratchnn.data.datasets import DIGIT_CLASSES
from scratchnn.run.cli import main
from tests.helpers import DTYPES
from tests.programs import stream as program

ROOT = Path(__file__).parents[1]
MEMORY = 512 * 2**20


@pytest.fixture
def folder(tmp_path):
    """A folder with a tiny MNIST, not compressed: 50 and 20 images of 8 x 8 pixels."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for part, n in (("train", 50), ("t10k", 20)):
        images = rng.integers(256, size=(n, 8, 8), dtype=np.uint8)
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", (np.arange(n) % 10).astype(np.uint8))
    return tmp_path


def reading():
    """Return the threads that read ahead."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


# The data


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalize", [False, True])
def test_stream_has_the_batches_of_the_data_in_memory(folder, dtype, normalize):
    rows = np.array([3, 1, 4, 15])
    loaded, streamed = (
        data.mnist(folder, normalize=normalize),
        stream("mnist", folder, normalize=normalize),
    )
    for ours, theirs in zip(streamed, loaded, strict=True):
        assert isinstance(ours.X, np.memmap)
        assert isinstance(ours.target, np.memmap)
        assert (ours.name, len(ours), ours.classes) == (theirs.name, len(theirs), theirs.classes)
        for mine, other in zip(ours.batch(rows, dtype), theirs.batch(rows, dtype), strict=True):
            np.testing.assert_array_equal(mine, other, strict=True)
            assert type(mine) is np.ndarray


def test_stream_takes_npy_files(tmp_path):
    rng = np.random.default_rng(1)
    X, target = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    np.save(tmp_path / "X.npy", X)
    dataset = Stream("plane", np.load(tmp_path / "X.npy", mmap_mode="r"), target)
    for ours, theirs in zip(dataset.batch(slice(5), np.float64), (X[:5], target[:5]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["digits", "line"])
def test_stream_refuses_what_is_not_in_a_folder(name):
    with pytest.raises(ValueError, match=f"must be mnist or fashion-mnist, got {name}"):
        stream(name)


def test_stream_refuses_compressed_files(folder):
    path = folder / "MNIST/raw/train-images-idx3-ubyte"
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    with pytest.raises(DataError, match="gunzip it"):
        stream("mnist", folder)


def test_stream_refuses_to_be_cut_down(folder):
    with pytest.raises(ValueError, match="mnist train is streamed: to split 10% of it off, load"):
        stream("mnist", folder)[0].split(0.1)
    with pytest.raises(ValueError, match=r"mnist train is streamed: .* cut it down to 3 and 8"):
        stream("mnist", folder)[0].only([3, 8])


class Recorder(mmap.mmap):
    """A mapped file that notes the advice it gets, and gives none to the system."""

    asked: ClassVar[list] = []

    def madvise(self, *advice):
        self.asked.append(advice)
        raise OSError("it is only advice")


@pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="no advice here")
@pytest.mark.parametrize("skipped", [0, 16384])
def test_stream_asks_the_system_for_the_blocks_of_a_file(tmp_path, monkeypatch, skipped):
    """In whole pages, up to the end of the file."""
    monkeypatch.setattr(mmap, "mmap", Recorder)
    monkeypatch.setattr(Recorder, "asked", [])
    rows, row, page = 50, 1024, mmap.PAGESIZE
    (tmp_path / "X").write_bytes(bytes(skipped + rows * row))
    X = np.memmap(tmp_path / "X", np.uint8, "r", offset=skipped, shape=(rows, row))
    train = Stream("d", X, np.zeros(rows, int), ("a",), block=20, window=1)
    list(train.order(10, np.random.default_rng(1)))
    start = skipped % mmap.ALLOCATIONGRANULARITY
    expected = []
    for first in (start, start + 20 * row, start + 40 * row):
        begin = first // page * page
        end = min(first + 20 * row, start + rows * row)
        expected.append((mmap.MADV_WILLNEED, begin, end - begin))
    assert sorted(set(Recorder.asked)) == sorted(expected)


@pytest.mark.parametrize("part", ["images-idx3", "labels-idx1"])
def test_stream_of_a_file_that_was_cut_is_an_error(folder, part):
    """Reading on would end the process by SIGBUS."""
    train, _ = stream("mnist", folder)
    path = folder / "MNIST/raw" / f"train-{part}-ubyte"
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(
        DataError, match=rf"mnist train: {path} was cut short .* {size:,} .* {size - 1:,} are left"
    ):
        fit(mlp.init([64, 10], rng=1), train, optimizer=SGD(0.1), epochs=1, batch_size=5)


def test_stream_whose_file_was_removed_goes_on(folder):
    train, _ = stream("mnist", folder)
    for path in (folder / "MNIST/raw").iterdir():
        path.unlink()
    network = mlp.init([64, 10], rng=1)
    assert len(fit(network, train, optimizer=SGD(0.1), epochs=1, batch_size=5).epochs) == 1


# Training


def test_fit_on_a_stream_of_whole_batches_is_the_textbook_step(folder):
    """With a batch of all rows the order does not matter; the sums differ in rounding."""
    loaded, streamed = data.mnist(folder)[0], stream("mnist", folder)[0]
    thetas = []
    for dataset in (loaded, streamed):
        network = mlp.init([64, 10], rng=1, dtype=np.float64)
        fit(network, dataset, optimizer=SGD(0.1, 0.5), epochs=5, batch_size=50, rng=1)
        thetas.append(network.theta)
    assert abs(thetas[0] - thetas[1]).max() <= FREE_RUN_TOLERANCE
    assert evaluate(network, streamed) == evaluate(network, loaded)


def test_fit_learns_from_a_stream():
    train, test = data.digits()
    streamed = Stream("digits", train.X, train.target, DIGIT_CLASSES, train.transform, block=16)
    network = mlp.init([64, 10], std=0.01, rng=1)
    history = fit(network, streamed, test, optimizer=SGD(0.5), epochs=3, batch_size=64, rng=1)
    assert history.epochs[-1].test_accuracy > 0.85
    assert not reading()


def test_fit_on_a_stream_refuses_empty_batches(folder):
    network, train = mlp.init([64, 10], rng=1), stream("mnist", folder)[0]
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        fit(network, train, optimizer=SGD(0.1), batch_size=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_fit_on_a_stream_ends_its_thread_when_interrupted(folder, error):
    def stop(batch):
        assert reading()
        raise error

    with pytest.raises(error) as caught:  # holds the frames, and so the generators, alive
        fit(
            mlp.init([64, 10], rng=1), stream("mnist", folder)[0],
            optimizer=SGD(0.1), batch_size=5, on_batch=stop,
        )  # fmt: skip
    assert caught.traceback
    assert not reading()


def test_train_streams(folder, capsys):
    train = ["train", "mlp", "--data", "mnist", "--data-dir", str(folder), "--epochs", "2"]
    assert main([*train, "--stream"]) == 0
    assert main(["train", "mlp", "--stream"]) == 2
    assert "data to stream must be mnist or fashion-mnist, got digits" in capsys.readouterr().err


def test_train_of_two_classes_does_not_stream(folder, capsys):
    train = ["train", "logistic-regression", "--data", "mnist", "--data-dir", str(folder)]
    assert main([*train, "--stream"]) == 2
    assert "to cut it down to 3 and 8, load it without --stream" in capsys.readouterr().err


# Reading ahead


def test_read_ahead_keeps_the_order_and_ends():
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    assert list(read_ahead(iter([]))) == []
    assert list(read_ahead(iter([None, None]))) == [None, None]
    assert not reading()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_read_ahead_is_as_far_ahead_as_its_depth_and_no_further(depth):
    made = []
    ahead = read_ahead((made.append(number) or number for number in range(50)), depth)
    assert next(ahead) == 0
    deadline = time.monotonic() + 10
    while len(made) < 1 + depth and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)  # to go too far
    assert made == list(range(1 + depth))
    ahead.close()


def test_read_ahead_works_while_the_caller_does():
    """The second item is there before the first has been let go."""
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    for item in read_ahead(items()):
        if item == 1:
            assert second.wait(timeout=10)


def test_read_ahead_raises_in_its_turn():
    def items():
        yield 1
        yield 2
        raise OSError("planted")

    ahead = read_ahead(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="planted"):
        next(ahead)
    assert not reading()


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts as it should on Linux")
def test_fit_on_a_stream_of_2_gb_takes_less_than_512_mb(tmp_path):
    """What counts is memory that only the process has: not the pages of the mapped files."""
    if shutil.disk_usage(tmp_path).total < 2**31:
        pytest.skip("no room for a file of 2 GB, even a sparse one")
    program.make(tmp_path)

    def run(how):
        command = [sys.executable, program.__file__, str(tmp_path), str(MEMORY), how]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)

    env = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = run("stream")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == program.EXAMPLES
    assert "MemoryError" in run("load").stderr
    for file in tmp_path.iterdir():
        file.unlink()
