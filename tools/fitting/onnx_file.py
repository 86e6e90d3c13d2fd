"""Layers in, the bytes of an ONNX model out: as much of the format as the networks that ship need.

The `onnx` package would be one more dependency, and its files differ between its versions; these bytes depend on the
weights alone. The format is Protocol Buffers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from stream.arrays import Array

IR_VERSION, OPSET = 7, 13
VARINT, BYTES, FIXED32 = 0, 2, 5  # wire types
FLOAT, FLOAT16 = 1, 10  # TensorProto.DataType
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 1, 2, 3, 7  # AttributeProto.AttributeType

Attribute = float | int | str | Sequence[int]


class OnnxGraph:
    """Nodes and weights of a network with one input and one output, both (1, C, H, W) float32 of any H and W."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []

    def add(self, operator: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """A node; the name of its output."""
        name = f"{operator.lower()}{len(self._nodes)}"
        node = b"".join(_field(1, i) for i in inputs) + _field(2, name) + _field(3, name) + _field(4, operator)
        self._nodes.append(node + b"".join(_field(5, _attribute(k, v)) for k, v in attributes.items()))
        return name

    def add_weights(self, values: Array) -> str:
        """Constant values, float32 or float16; their name."""
        name = f"weights{len(self._weights)}"
        kind = {np.dtype(np.float32): FLOAT, np.dtype(np.float16): FLOAT16}[values.dtype]
        dims = b"".join(_field(1, n) for n in values.shape)
        self._weights.append(dims + _field(2, kind) + _field(8, name) + _field(9, values.tobytes()))
        return name

    def to_bytes(self, channels: tuple[int, int], output: str, name: str) -> bytes:
        """The model's file; `channels` of the input, called "input", and of the output."""
        graph = b"".join(_field(1, n) for n in self._nodes) + _field(2, name)
        graph += b"".join(_field(5, w) for w in self._weights)
        graph += _field(11, _describe("input", channels[0])) + _field(12, _describe(output, channels[1]))
        opset = _field(1, "") + _field(2, OPSET)
        return _field(1, IR_VERSION) + _field(2, "tools/fit_lite.py") + _field(7, graph) + _field(8, opset)


def _describe(name: str, channels: int) -> bytes:
    """A ValueInfoProto of (1, channels, H, W) float32."""
    dims = [_field(1, 1), _field(1, channels), _field(2, "H"), _field(2, "W")]
    shape = b"".join(_field(1, d) for d in dims)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, shape)))


def _attribute(name: str, value: Attribute) -> bytes:
    head = _field(1, name)
    if isinstance(value, float):
        return head + _field(2, value) + _field(20, ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return head + _field(3, value) + _field(20, ATTRIBUTE_INT)
    if isinstance(value, str):
        return head + _field(4, value) + _field(20, ATTRIBUTE_STRING)
    return head + b"".join(_field(8, i) for i in value) + _field(20, ATTRIBUTE_INTS)


def _field(number: int, value: float | str | bytes) -> bytes:
    """One field of a message: its number, its wire type, its value."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | FIXED32) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
