"""To other libraries and back: torch's state dict, safetensors, ONNX.

state_dict   torch's names and shapes, as NumPy arrays
tensors      .safetensors files, to and from
onnx_graph   .onnx files, to
"""

from scratchnn.interchange.onnx_graph import save_onnx
from scratchnn.interchange.state_dict import as_dense, from_state_dict, to_state_dict
from scratchnn.interchange.tensors import load_safetensors, save_safetensors

__all__ = [
    "as_dense",
    "from_state_dict",
    "load_safetensors",
    "save_onnx",
    "save_safetensors",
    "to_state_dict",
]
