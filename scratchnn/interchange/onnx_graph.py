"""Networks as .onnx files, which onnxruntime and others evaluate: logits from inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from scratchnn.data import files
from scratchnn.data.transforms import describe
from scratchnn.extras import need
from scratchnn.interchange.state_dict import as_dense
from scratchnn.layers import Layer, Softplus
from scratchnn.mlp import Parameters

OPSET, FORMAT = 17, 8  # of 2022: what reads ONNX at all reads these
OPERATORS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus"}


def save_onnx(path: str | Path, network: Parameters, **description: Any) -> None:
    """Write a network as an .onnx file: "input" (N, D) → "logits" (N, C), for any N.

    The inputs are those that the network was trained with, after its transform, which the
    description names where it is given: transform=train.transform. Kronecker layers become dense
    ones. The file takes its place whole.

    Options  path          of the file; its folder must be there
             network       what to write
             description   is written down in the file, by name
    Raises   MissingExtraError; ValueError for a layer that ONNX has not; OSError
    """
    onnx = need("onnx", "interchange")
    network = as_dense(network)
    dtype = onnx.helper.np_dtype_to_tensor_dtype(network.theta.dtype)
    nodes, arrays, name = [], [], "input"
    last = len(network.layers) - 1
    for i, (layer, views) in enumerate(zip(network.layers, network.views, strict=True)):
        out = "logits" if i == last else f"{layer.op}_{i}"
        given = [name]
        for kind, view in zip(layer.shapes, views, strict=True):
            arrays.append(onnx.numpy_helper.from_array(view.copy(), f"{i}.{kind}"))
            given.append(f"{i}.{kind}")
        nodes.append(onnx.helper.make_node(_operator(layer), given, [out]))
        name = out
    sides = [
        onnx.helper.make_tensor_value_info(side, dtype, ["N", size])
        for side, size in (("input", network.sizes[0]), ("logits", network.sizes[-1]))
    ]
    graph = onnx.helper.make_graph(nodes, "scratchnn", sides[:1], sides[1:], arrays)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=FORMAT
    )
    said = {
        key: describe(value) if callable(value) else str(value)
        for key, value in description.items()
    }
    onnx.helper.set_model_props(model, said)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()

    def write(file: BinaryIO) -> None:
        file.write(content)

    files.place(Path(path), write)


def _operator(layer: Layer) -> str:
    """Return what ONNX calls a layer.

    Raises   ValueError for a layer that it has not
    """
    if layer.op == "linear":
        return "Gemm"  # Y = A B + C
    if isinstance(layer, Softplus) and layer.beta != 1:
        raise ValueError(f"ONNX's Softplus has no beta, got {layer}")
    if layer.op not in OPERATORS:
        raise ValueError(f"layers must be dense or of {', '.join(OPERATORS)}, got {layer}")
    return OPERATORS[layer.op]
