"""Networks to .safetensors and back: names, shapes, order in memory, and what is refused."""

import json
import struct
import sys

import numpy as np
import pytest

from scratchnn import interchange, mlp
from scratchnn.data import DataError, as_float
from scratchnn.extras import MissingExtraError
from scratchnn.layers import Dense, ReLU, Softplus


def network():
    return mlp.init([4, 3, 2], rng=1)


# the state dict


def test_state_dict_has_torchs_names_and_shapes():
    found = interchange.to_state_dict(network())
    assert {name: array.shape for name, array in found.items()} == {
        "0.weight": (3, 4),
        "0.bias": (3,),
        "2.weight": (2, 3),
        "2.bias": (2,),
    }
    W, b = network().views[0]
    np.testing.assert_array_equal(found["0.weight"], W.T)
    np.testing.assert_array_equal(found["0.bias"], b)


def test_state_dict_is_contiguous_and_a_copy():
    ours = network()
    for array in interchange.to_state_dict(ours).values():
        assert array.flags.c_contiguous
        assert not np.shares_memory(array, ours.theta)


def test_state_dict_comes_back():
    ours = network()
    back = interchange.from_state_dict(interchange.to_state_dict(ours))
    assert back.layers == ours.layers
    np.testing.assert_array_equal(back.theta, ours.theta)


def test_state_dict_of_other_modules():
    """A prefix, no bias, half precision, and two layers without anything between them."""
    rng = np.random.default_rng(1)
    arrays = {
        "net.1.weight": rng.normal(size=(3, 4)).astype(np.float16),
        "net.2.weight": rng.normal(size=(2, 3)).astype(np.float32),
        "net.2.bias": np.ones(2, np.float32),
    }
    found = interchange.from_state_dict(arrays)
    assert found.layers == (Dense(4, 3), Dense(3, 2))
    assert found.theta.dtype == np.float32
    assert not found.views[0][1].any()
    np.testing.assert_array_equal(found.views[0][0].T, arrays["net.1.weight"])


def test_numbers_are_in_order_beyond_nine():
    arrays = {f"{i}.weight": np.full((1, 1), float(i)) for i in (10, 2, 0)}
    found = interchange.from_state_dict(arrays, activation="tanh")
    assert [W[0, 0] for W, _ in filter(None, found.views)] == [0, 2, 10]


MATRIX = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "there must be a weight"),
        ({"conv.weight": MATRIX}, r"named as those of nn.Sequential, .* got 'conv.weight'"),
        ({"a.0.weight": MATRIX, "b.2.weight": MATRIX}, "of one nn.Sequential"),
        ({"0.weight": np.zeros(3)}, r"0.weight must be real numbers \(H, D\), got float64 \(3,\)"),
        ({"0.weight": np.zeros((3, 4), int)}, "0.weight must be real numbers"),
        ({"0.weight": MATRIX, "0.bias": np.zeros(4, "f4")}, r"0.bias must be real numbers \(3,\)"),
        ({"0.weight": MATRIX, "1.bias": np.zeros(3, "f4")}, "1.bias has no 1.weight"),
        ({"0.weight": MATRIX, "2.weight": MATRIX}, "layers do not fit each other"),
    ],
)
def test_other_parameters_are_refused(arrays, words):
    with pytest.raises(DataError, match=words):
        interchange.from_state_dict(arrays)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation must be one of"):
        interchange.from_state_dict({"0.weight": MATRIX}, activation="gelu")


# files


@pytest.fixture
def saved(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "model.safetensors"
    interchange.save_safetensors(path, network(), recipe="mlp", data="digits")
    return path


def rewritten(path, change):
    """Change the header of a .safetensors file: 8 bytes of length, JSON, numbers."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_a_file_comes_back_with_its_description(saved):
    found, description = interchange.load_safetensors(saved)
    assert found.layers == network().layers
    np.testing.assert_array_equal(found.theta, network().theta)
    assert description == {"recipe": "mlp", "data": "digits"}


def test_a_description_has_json_values(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "model.safetensors"
    interchange.save_safetensors(path, network(), accuracy=np.float32(0.5), transform=as_float)
    said = {"accuracy": 0.5, "transform": "as_float"}
    assert interchange.load_safetensors(path)[1] == said
    with pytest.raises(TypeError, match=r"losses must be a number, .* got ndarray"):
        interchange.save_safetensors(path, network(), losses=np.zeros(3))


def test_a_file_says_its_activation(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "model.safetensors"
    layers = [Dense(4, 3), Softplus(beta=2.0), Dense(3, 2)]
    interchange.save_safetensors(path, mlp.init(layers, rng=1))
    assert interchange.load_safetensors(path)[0].layers == tuple(layers)
    assert interchange.load_safetensors(path, activation="relu")[0].layers[1] == ReLU()


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["__metadata__"].update(description='{"data": "mnist"}'),
        lambda header: header["__metadata__"].update(layers="[]"),
        lambda header: header.update({"0.bias": header["2.bias"], "2.bias": header["0.bias"]}),
    ],
)
def test_a_changed_header_is_noticed(saved, change):
    rewritten(saved, change)
    with pytest.raises(DataError, match=r"model.safetensors: "):
        interchange.load_safetensors(saved)


def test_a_changed_number_is_noticed(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(DataError, match="does not match its SHA-256: export it again"):
        interchange.load_safetensors(saved)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"PK\x03\x04", b"\xff" * 99])
def test_what_is_no_safetensors_is_refused(saved, content):
    saved.write_bytes(content)
    with pytest.raises(DataError, match="expected safetensors of float numbers"):
        interchange.load_safetensors(saved)


def test_a_missing_file_is_named(tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(FileNotFoundError, match=r"no.safetensors is missing"):
        interchange.load_safetensors(tmp_path / "no.safetensors")


def test_onnx_refuses_what_it_has_not(tmp_path):
    pytest.importorskip("onnx")
    layers = [Dense(4, 3), Softplus(beta=2.0), Dense(3, 2)]
    with pytest.raises(ValueError, match=r"ONNX's Softplus has no beta"):
        interchange.save_onnx(tmp_path / "model.onnx", mlp.init(layers, rng=1))
    assert not list(tmp_path.iterdir())


def test_onnx_has_a_node_for_each_layer(tmp_path):
    """What the nodes compute is tried in the tests of parity, by onnxruntime."""
    onnx = pytest.importorskip("onnx")
    interchange.save_onnx(tmp_path / "model.onnx", network())
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert [node.op_type for node in nodes] == ["Gemm", "Relu", "Gemm"]


def test_onnx_refuses_a_layer_of_ones_own(tmp_path):
    class GELU(ReLU):
        op = "gelu"

    pytest.importorskip("onnx")
    layers = [Dense(4, 3), GELU(), Dense(3, 2)]
    with pytest.raises(ValueError, match=r"must be dense or of relu, .*, got .*GELU\(\)"):
        interchange.save_onnx(tmp_path / "model.onnx", mlp.init(layers, rng=1))


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("safetensors.numpy", interchange.save_safetensors),
        ("safetensors", lambda path, _: interchange.load_safetensors(path)),
        ("onnx", interchange.save_onnx),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path, module, use):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"\[interchange\]"):
        use(tmp_path / "model", network())


def test_onnx_files_are_not_read(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "model.onnx").write_bytes(b"\x08")
    with pytest.raises(DataError, match=r"files can be read, and .onnx files only written"):
        interchange.load_safetensors(tmp_path / "model.onnx")


@pytest.mark.parametrize("description", ["[1]", "5", "null"])
def test_a_description_is_by_name(tmp_path, description):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    numpy.save_file(interchange.to_state_dict(network()), path, {"description": description})
    with pytest.raises(DataError, match="expected a description by name"):
        interchange.load_safetensors(path)


def test_what_makes_no_network_is_named(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    numpy.save_file({"0.weight": np.zeros(3, np.float32)}, path)
    with pytest.raises(DataError, match=r"model.safetensors"):
        interchange.load_safetensors(path)
    numpy.save_file(interchange.to_state_dict(network()), path)
    with pytest.raises(ValueError, match="activation must be one of"):
        interchange.load_safetensors(path, activation="step")
