"""Checkpoints: what was saved is loaded to the bit, and nothing damaged is."""

import numpy as np
import pytest

from scratchnn import checkpoint, mlp
from scratchnn.data import DataError
from scratchnn.mlp import Parameters
from tests.helpers import DTYPES, C, D, H

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
    assert loaded.sizes == parameters.sizes
    assert what == description


def test_load_gives_parameters_that_can_be_trained(saved):
    loaded, _ = checkpoint.load(saved)
    loaded.theta -= loaded.theta
    assert not loaded.layers[0].W.any()  # still a view


def test_save_keeps_what_is_not_finite(tmp_path):
    theta = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1])
    checkpoint.save(tmp_path / "p.npz", Parameters([D - 1, 2], theta))
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
        {"sizes": np.array([D, C, H])},
        {"sizes": np.array([5, 10])},  # as many parameters
        {"sizes": np.array([60])},
        {"sizes": np.array(D)},
        {"sizes": np.array([-D, H, C])},
        {"sizes": np.array(["a", "b"])},
        {"sha256": np.array("0" * 64)},
        {"description": np.array("{not json")},
    ],
)
def test_load_refuses_altered_contents(saved, changes):
    np.savez(saved, **altered(saved, **changes))
    with pytest.raises(DataError, match=r"parameters\.npz"):
        checkpoint.load(saved)


def test_load_accepts_unaltered_contents(saved):
    np.savez(saved, **altered(saved))
    assert checkpoint.load(saved)[1] == {"recipe": "mlp"}


@pytest.mark.parametrize("name", ["theta", "sizes", "sha256", "description"])
def test_load_names_what_is_absent(saved, name):
    contents = altered(saved)
    del contents[name]
    np.savez(saved, **contents)
    with pytest.raises(DataError, match=f"expected parameters saved by scratchnn, got .*{name}"):
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


def test_load_refuses_every_truncation(saved):
    content = saved.read_bytes()
    for length in range(0, len(content), 7):
        saved.write_bytes(content[:length])
        with pytest.raises(DataError):
            checkpoint.load(saved)


def test_load_never_returns_damaged_parameters(saved, parameters):
    content, refused = saved.read_bytes(), 0
    for place in range(0, len(content), 3):
        saved.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            loaded, _ = checkpoint.load(saved)
        except DataError:
            refused += 1
        else:  # a byte that means nothing, as of a time stamp
            np.testing.assert_array_equal(loaded.theta, parameters.theta, strict=True)
            assert loaded.sizes == parameters.sizes
    assert refused > 0
