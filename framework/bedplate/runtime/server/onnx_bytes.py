"""What an ONNX file may be, decided on its bytes before onnxruntime sees them.

onnxruntime resolves a tensor's external data against the working directory even when the model
is given as bytes, so this walk over every TensorProto of the file (Protocol Buffers wire format,
field numbers of onnx.proto) is what keeps a model from reading other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_DEEPEST = 100
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive (PyTorch's .pt, a Keras archive, or the like)",
    b"\x1f\x8b": "compressed with gzip",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"TFL3": "a TensorFlow Lite model",
}


class NotLoadable(ValueError):
    """The bytes are not an ONNX model that the server agrees to load; the text says why."""


@dataclass(frozen=True)
class _Message:
    name: str
    children: dict[int, _Message] = field(default_factory=dict)


def _messages() -> _Message:
    tensor = _Message("TensorProto")
    sparse = _Message("SparseTensorProto", {1: tensor, 2: tensor})
    graph = _Message("GraphProto")
    attribute = _Message(
        "AttributeProto", {5: tensor, 6: graph, 10: tensor, 11: graph, 22: sparse, 23: sparse}
    )
    node = _Message("NodeProto", {5: attribute})
    graph.children.update({1: node, 5: tensor, 15: sparse})
    function = _Message("FunctionProto", {7: node, 11: attribute})
    training = _Message("TrainingInfoProto", {1: graph, 2: graph})
    return _Message("ModelProto", {7: graph, 20: training, 25: function})


_MODEL = _messages()


def check(data: bytes) -> None:
    """Raise NotLoadable unless the bytes are an ONNX model that stands by itself."""
    if not data:
        raise NotLoadable("the file is empty")
    for magic, what in _OTHER_FORMATS.items():
        if data.startswith(magic):
            raise NotLoadable(f"the file is {what}, not an ONNX model")
    if data[0] == 0x80 and len(data) > 1 and data[1] <= 5:
        raise NotLoadable("the file is a Python pickle, not an ONNX model; pickles are never loaded")
    view = memoryview(data)
    fields = {number for number, _, _, _ in _fields(view, 0, len(view))}
    if not {1, 7} <= fields:
        raise NotLoadable("the file is not an ONNX model (it has no version or no graph)")
    _walk(_MODEL, view, 0, len(view), 0)


def _walk(message: _Message, view: memoryview, start: int, end: int, depth: int) -> None:
    if depth > _DEEPEST:
        raise NotLoadable("the model is nested too deep")
    for number, kind, at, value in _fields(view, start, end):
        if message.name == "TensorProto":
            # 13 is external_data, 14 is data_location with 1 for EXTERNAL
            if number == 13 or (number == 14 and value != 0):
                raise NotLoadable(
                    "the model keeps tensors in other files (external data); save it as one file"
                )
            continue
        child = message.children.get(number)
        if child is None:
            continue
        if kind != _BYTES:
            raise NotLoadable("the file is not an ONNX model (a message has a wrong wire type)")
        _walk(child, view, at, at + value, depth + 1)


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Each field as (number, wire type, where its bytes start, their length or the varint's value)."""
    at = start
    while at < end:
        tag, at = _varint(view, at, end)
        number, kind = (tag & 0xFFFFFFFF) >> 3, tag & 7  # a tag is 32 bits to every reader
        value = 0
        if kind == _VARINT:
            value, after = _varint(view, at, end)
        elif kind == _BYTES:
            value, at = _varint(view, at, end)
            after = at + value
        elif kind == _FIXED32:
            after = at + 4
        elif kind == _FIXED64:
            after = at + 8
        else:
            raise NotLoadable("the file is not an ONNX model (unknown wire type)")
        if after > end or number == 0:
            raise NotLoadable("the file is not an ONNX model, or it is cut off")
        yield number, kind, at, value
        at = after


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NotLoadable("the file is not an ONNX model, or it is cut off")
