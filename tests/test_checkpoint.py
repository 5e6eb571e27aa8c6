"""Checkpoints: what was saved is loaded to the bit, and nothing damaged is."""

import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scratchnn import SGD, Adam, checkpoint, fit, mlp
from scratchnn.data import DataError, Dataset
from scratchnn.layers import Dense, Kronecker, ReLU, Sigmoid, Softplus, Tanh, describe
from scratchnn.mlp import Parameters
from tests.helpers import DTYPES, C, D, H

OLD = Path(__file__).parent / "checkpoints"  # made by scratchnn 0.1

SIZES = [D, H, C]


@pytest.fixture
def parameters():
    return mlp.init(SIZES, rng=1)


@pytest.fixture
def saved(tmp_path, parameters):
    path = tmp_path / "parameters.npz"
    checkpoint.save(path, parameters, recipe="mlp")
    return path


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_returns_what_save_wrote(tmp_path, dtype):
    parameters = mlp.init(SIZES, rng=1, dtype=dtype)
    description = {"recipe": "mlp", "epochs": 3, "σ": [0.1, None], "nested": {"a": True}}
    checkpoint.save(tmp_path / "new" / "folder" / "p.npz", parameters, **description)
    loaded, what = checkpoint.load(str(tmp_path / "new" / "folder" / "p.npz"))
    np.testing.assert_array_equal(loaded.theta, parameters.theta, strict=True)
    assert loaded.layers == parameters.layers
    assert what == description


def test_save_keeps_numbers_of_numpy_and_names_what_json_cannot_hold(tmp_path, parameters):
    path = tmp_path / "p.npz"
    checkpoint.save(path, parameters, accuracy=np.float32(0.5), best={"epoch": [np.int64(3)]})
    assert checkpoint.load(path)[1] == {"accuracy": 0.5, "best": {"epoch": [3]}}
    for value in (np.zeros(3), {1, 2}, abs, {(1, 2): 3}):
        with pytest.raises(TypeError, match="losses must be a number, a text, or a list"):
            checkpoint.save(path, parameters, losses=value)


@pytest.mark.parametrize(
    "layers",
    [
        mlp.layers(SIZES, activation="sigmoid"),
        mlp.layers([4, 6, 8, 3], kronecker=2),
        [Dense(D, 6), Sigmoid(), Kronecker(6, 4, n=2), ReLU(), Dense(4, C)],
        [Dense(D, 6), Softplus(beta=2.0), Dense(6, 4), Tanh(), Dense(4, C)],
        [Dense(D, C)],
    ],
)
def test_load_returns_the_layers(tmp_path, layers):
    parameters = mlp.init(layers, rng=1)
    checkpoint.save(tmp_path / "p.npz", parameters)
    loaded, _ = checkpoint.load(tmp_path / "p.npz")
    assert loaded.layers == tuple(layers)
    np.testing.assert_array_equal(loaded.theta, parameters.theta, strict=True)


def test_load_gives_parameters_that_can_be_trained(saved):
    loaded, _ = checkpoint.load(saved)
    loaded.theta -= loaded.theta
    assert not loaded.views[0][0].any()  # still a view


def test_save_keeps_what_is_not_finite(tmp_path):
    theta = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1])
    checkpoint.save(tmp_path / "p.npz", Parameters([Dense(D - 1, 2)], theta))
    assert checkpoint.load(tmp_path / "p.npz")[0].theta.tobytes() == theta.tobytes()


def test_save_replaces_the_old_file(tmp_path, saved):
    checkpoint.save(saved, mlp.init([D, C], rng=2))
    assert checkpoint.load(saved)[0].sizes == (D, C)
    assert [path.name for path in tmp_path.iterdir()] == ["parameters.npz"]


def test_save_that_fails_leaves_the_old_file(saved, parameters, monkeypatch):
    before = saved.read_bytes()

    def disk_full(file, **_):
        file.write(b"PK")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(saved, parameters)
    assert saved.read_bytes() == before


def test_load_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        checkpoint.load(tmp_path / "nowhere.npz")


def text(*layers):
    return np.array(json.dumps(layers))


def altered(saved, **changes):
    with np.load(saved) as content:
        return {name: changes.get(name, content[name]) for name in content.files}


@pytest.mark.parametrize(
    "changes",
    [
        {"theta": np.zeros(60, np.float32)},
        {"theta": np.zeros((60, 1), np.float32)},
        {"theta": np.zeros(60)},
        {"theta": np.zeros(59, np.float32)},
        {"layers": text({"layer": "dense", "D": 5, "H": 10})},  # as many parameters
        {"layers": text({"layer": "dense", "D": 60, "H": 1})},
        {"layers": text({"layer": "dense", "D": -4, "H": -20})},
        {"layers": text({"layer": "dense", "D": "a", "H": 2})},
        {"layers": text({"layer": "dense", "D": 3})},
        {"layers": text({"layer": "conv"})},
        {"layers": text({"layer": "relu"})},
        {"layers": text()},
        {"layers": np.array("{}")},
        {"layers": np.array("not JSON")},
        {"layers": np.array([3, 4])},
        {"sha256": np.array("0" * 64)},
        {"description": np.array("{not json")},
        {"description": np.array('{"recipe": "mlp-kronecker"}')},
        {"description": np.array("[1]")},
        {"description": np.array(["{}"])},
        {"theta": np.zeros(60, int)},
        {"theta": np.zeros(60, "U3")},
        {"layers": np.array(json.dumps([describe(layer) for layer in mlp.layers(SIZES)]).encode())},
    ],
)
def test_load_refuses_altered_contents(saved, changes):
    np.savez(saved, **altered(saved, **changes))
    with pytest.raises(DataError, match=r"parameters\.npz"):
        checkpoint.load(saved)


def test_load_accepts_unaltered_contents(saved):
    np.savez(saved, **altered(saved))
    assert checkpoint.load(saved)[1] == {"recipe": "mlp"}


@pytest.mark.parametrize("name", ["theta", "layers", "sha256", "description"])
def test_load_names_what_is_absent(saved, name):
    contents = altered(saved)
    del contents[name]
    missing = "sizes" if name == "layers" else name  # as in files of 0.1
    np.savez(saved, **contents)
    with pytest.raises(DataError, match=f"expected parameters saved by scratchnn, got .*{missing}"):
        checkpoint.load(saved)


def test_load_refuses_other_files(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("recipe: mlp\n")
    np.save(tmp_path / "array.npy", np.zeros(D))
    np.savez(tmp_path / "pickle.npz", theta=np.array([{}], object))
    (tmp_path / "folder").mkdir()
    for name in ("empty", "text", "array.npy", "pickle.npz", "folder"):
        with pytest.raises(DataError, match=f"{name}: expected parameters saved by scratchnn"):
            checkpoint.load(tmp_path / name)


def test_load_refuses_what_is_compressed_or_overlaps_or_waits(tmp_path, saved):
    """It could fill the memory, or block for ever."""
    np.savez_compressed(tmp_path / "bomb.npz", **altered(saved))
    with pytest.raises(DataError, match="arrays that are compressed"):
        checkpoint.load(tmp_path / "bomb.npz")
    with zipfile.ZipFile(saved) as archive:
        sizes = [member.file_size for member in archive.infolist()]
    content = saved.read_bytes()
    longer = struct.pack("<II", sizes[0], sizes[0])
    assert longer in content
    saved.write_bytes(content.replace(longer, struct.pack("<II", 1 << 30, 1 << 30)))
    with pytest.raises(DataError, match="longer than the file"):
        checkpoint.load(saved)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match="no regular file"):
            checkpoint.load(tmp_path / "pipe")


def test_load_takes_the_folder_of_a_run(tmp_path, parameters):
    for name in ("parameters.npz", "checkpoint.npz"):  # of 0.1, and of today
        checkpoint.save(tmp_path / name, parameters, name=name)
        assert checkpoint.load(tmp_path)[1] == {"name": name}


def test_first_state_belongs_to_this_network(tmp_path, parameters):
    optimizer = SGD(0.1, 0.5)
    other = mlp.init(SIZES, rng=2)
    optimizer.step(other.theta, np.ones_like(other.theta))
    checkpoint.save(tmp_path / "p.npz", parameters, optimizer=optimizer)
    again = SGD(0.1, 0.5)
    checkpoint.load(tmp_path / "p.npz", optimizer=again)
    assert not again.state


def test_load_refuses_every_truncation(saved):
    content = saved.read_bytes()
    for length in range(0, len(content), 23):
        saved.write_bytes(content[:length])
        with pytest.raises(DataError):
            checkpoint.load(saved)


def test_load_never_returns_damaged_parameters(saved, parameters):
    content, refused = saved.read_bytes(), 0
    for place in range(0, len(content), 11):
        saved.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            loaded, _ = checkpoint.load(saved)
        except DataError:
            refused += 1
        else:  # a byte that means nothing, as of a time stamp
            np.testing.assert_array_equal(loaded.theta, parameters.theta, strict=True)
            assert loaded.layers == parameters.layers
    assert refused > 0


# Files of version 0.1


@pytest.mark.parametrize(
    ("name", "layers", "dtype", "description", "X", "z"),
    [
        (
            "dense", [Dense(3, 4), ReLU(), Dense(4, 2)], np.float32,
            {"recipe": "mlp", "data": "digits"}, np.arange(6, dtype=np.float32).reshape(2, 3),
            [[-0.3430638313293457, 0.2089916169643402], [0.35120871663093567, 1.6856125593185425]],
        ),
        (
            "kronecker", [Kronecker(4, 6, n=2), ReLU(), Dense(6, 3)], np.float64,
            {"recipe": "mlp-kronecker"}, np.arange(8.0).reshape(2, 4),
            [
                [0.8253739185717266, 0.05616140764976438, 0.21828186322081744],
                [1.455722614025478, -0.0880164283169993, 0.39811020045743517],
            ],
        ),
    ],
)  # fmt: skip
def test_load_reads_files_of_version_0_1(name, layers, dtype, description, X, z):
    """z is what 0.1 computed with them."""
    loaded, what = checkpoint.load(OLD / f"{name}-0.1.npz")
    assert loaded.layers == tuple(layers)
    assert what == description
    np.testing.assert_array_equal(loaded.theta, mlp.init(layers, rng=7, dtype=dtype).theta)
    np.testing.assert_allclose(mlp.forward(loaded, X)[-1], z, rtol=1e-6)


def test_load_reads_files_from_before_there_were_kronecker_layers(tmp_path):
    contents = altered(OLD / "dense-0.1.npz")
    del contents["kronecker"]
    np.savez(tmp_path / "older.npz", **contents)
    assert checkpoint.load(tmp_path / "older.npz")[0].sizes == (3, 4, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"theta": np.zeros(26, np.float32)},
        {"sizes": np.array([2, 4, 3])},
        {"sizes": np.array([12, 2])},  # as many parameters
        {"sizes": np.array([26])},
        {"sizes": np.array(3)},
        {"sizes": np.array([-3, 4, 2])},
        {"sizes": np.array(["a", "b"])},
        {"kronecker": np.array([0, 1, 0])},
        {"kronecker": np.array([0, 0])},
    ],
)
def test_load_refuses_altered_files_of_version_0_1(tmp_path, changes):
    np.savez(tmp_path / "old.npz", **altered(OLD / "dense-0.1.npz", **changes))
    with pytest.raises(DataError, match=r"old\.npz"):
        checkpoint.load(tmp_path / "old.npz")


# The optimizer's state


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_training_goes_on_from_a_checkpoint_bit_for_bit(tmp_path, momentum):
    rng = np.random.default_rng(0)
    train = Dataset("t", rng.normal(size=(20, D)), rng.integers(C, size=20), tuple("abcd"))
    path = tmp_path / "p.npz"

    def train_on(network, optimizer, order, epochs):
        fit(network, train, optimizer=optimizer, epochs=epochs, batch_size=8, rng=order)
        return network.theta

    whole = train_on(mlp.init(SIZES, rng=1), SGD(0.1, momentum), np.random.default_rng(2), epochs=2)
    network, first, order = mlp.init(SIZES, rng=1), SGD(0.1, momentum), np.random.default_rng(2)
    train_on(network, first, order, epochs=1)
    checkpoint.save(path, network, optimizer=first, epoch=1)
    second = SGD(0.1, momentum)
    loaded, description = checkpoint.load(path, optimizer=second)
    assert description == {"epoch": 1}
    np.testing.assert_array_equal(train_on(loaded, second, order, epochs=1), whole)


def test_checkpoint_without_a_state_leaves_the_optimizer_at_its_start(saved):
    optimizer = SGD(0.1, 0.5)
    optimizer.step(np.zeros(3), np.ones(3))
    checkpoint.load(saved, optimizer=optimizer)
    assert optimizer.state == {}


def test_load_refuses_an_altered_state(tmp_path, parameters):
    optimizer = SGD(0.1, 0.5)
    optimizer.step(parameters.theta, np.ones_like(parameters.theta))
    checkpoint.save(tmp_path / "p.npz", parameters, optimizer=optimizer)
    checkpoint.load(tmp_path / "p.npz")
    changed = altered(tmp_path / "p.npz", state_velocity=0 * parameters.theta)
    np.savez(tmp_path / "p.npz", **changed)
    with pytest.raises(DataError, match="do not match their SHA-256"):
        checkpoint.load(tmp_path / "p.npz", optimizer=optimizer)


def test_load_refuses_the_state_of_another_optimizer(tmp_path, parameters):
    optimizer = Adam()
    optimizer.step(parameters.theta, np.ones_like(parameters.theta))
    checkpoint.save(tmp_path / "net.npz", parameters, optimizer=optimizer)
    with pytest.raises(ValueError, match=r"saved with the optimizer Adam, .*, got SGD"):
        checkpoint.load(tmp_path / "net.npz", optimizer=SGD(0.1, momentum=0.9))
    again = Adam()
    checkpoint.load(tmp_path / "net.npz", optimizer=again)
    assert set(again.state) == {"m", "v", "t"}
