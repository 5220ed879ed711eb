"""What an ONNX file may be, and what it takes and gives: read from its bytes, without onnxruntime.

The compiler and the model server both look here before anything else sees the file. onnxruntime resolves a
tensor's external data against the working directory even when the model is given as bytes, so this walk over
every TensorProto of the file (Protocol Buffers wire format, field numbers of onnx.proto) is what keeps a model
from reading other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bedplate.signature import ANY, Signature, Tensor

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
_LFS = b"version https://git-lfs.github.com/spec/"


# TensorProto.DataType of onnx.proto -> the datatype of the Open Inference Protocol.
_DATATYPES = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "BYTES", 9: "BOOL",
    10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unservable:
    """Why the bytes are no model that can be served, and what helps."""

    reason: str
    help: str | None = None


class NotLoadable(ValueError):
    """The bytes are not an ONNX model that the server agrees to load; the text says why."""

    def __init__(self, reason: str, help_text: str | None = None) -> None:
        super().__init__(reason)
        self.help = help_text


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


def check(data: bytes | memoryview) -> frozenset[str]:
    """The names of a model's operators; raises NotLoadable unless it is one that stands by itself."""
    if not data:
        raise NotLoadable("the file is empty")
    if bytes(data[: len(_LFS)]) == _LFS:
        raise NotLoadable("it is a Git LFS pointer, not the model", "git lfs pull")
    head = bytes(data[:8])
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise NotLoadable(f"the file is {what}, not an ONNX model")
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        raise NotLoadable("the file is a Python pickle, not an ONNX model; pickles are never loaded")
    view = memoryview(data)
    fields = {number for number, _, _, _ in _fields(view, 0, len(view))}
    if not {1, 7} <= fields:
        raise NotLoadable("the file is not an ONNX model (it has no version or no graph)")
    operators: set[str] = set()
    _walk(_MODEL, view, 0, len(view), 0, operators)
    return frozenset(operators)


def signature(data: bytes | memoryview) -> Signature | Unservable:
    """What the model takes and gives, or why it cannot be served."""
    try:
        check(data)
        return _signature(memoryview(data))
    except NotLoadable as error:
        return Unservable(str(error), error.help)


def _signature(view: memoryview) -> Signature:
    opset, graph = 0, (0, 0)
    for number, kind, at, value in _fields(view, 0, len(view)):
        if (number, kind) == (7, _BYTES):
            graph = (at, at + value)
        elif (number, kind) == (8, _BYTES):
            domain, version = _opset(view, at, at + value)
            opset = version if domain in ("", "ai.onnx") else opset
    known: set[str] = set()
    values: dict[int, list[tuple[int, int]]] = {11: [], 12: []}
    for number, kind, at, value in _fields(view, *graph):
        if kind != _BYTES:
            continue
        if number in values:
            values[number].append((at, at + value))
        elif number == 5:
            known.add(_text(view, at, at + value, 8))
    inputs = tuple(_tensor(view, span, "input") for span in values[11])
    outputs = tuple(_tensor(view, span, "output") for span in values[12])
    # Models of old keep a default for a weight as an input of its name: callers do not give it.
    return Signature(tuple(tensor for tensor in inputs if tensor.name not in known), outputs, opset)


def _opset(view: memoryview, start: int, end: int) -> tuple[str, int]:
    versions = [
        value for number, kind, _, value in _fields(view, start, end) if (number, kind) == (2, _VARINT)
    ]
    return _text(view, start, end, 1), versions[-1] if versions else 0


def _tensor(view: memoryview, span: tuple[int, int], role: str) -> Tensor:
    name = _text(view, *span, 1)
    types = [_field(view, inner, 1) for inner in _messages_of(view, span, 2)]
    if not types or types[0] is None:
        raise NotLoadable(f"its {role} {name!r} is no tensor; export a classifier with the option zipmap off")
    elements = [v for number, kind, _, v in _fields(view, *types[0]) if (number, kind) == (1, _VARINT)]
    datatype = _DATATYPES.get(elements[0] if elements else 0)
    if datatype is None:
        raise NotLoadable(f"its {role} {name!r} has a type that no request can carry")
    shape = _field(view, types[0], 2)
    if shape is None:
        return Tensor(name, datatype, None)
    return Tensor(name, datatype, tuple(_extent(view, span) for span in _messages_of(view, shape, 1)))


def _extent(view: memoryview, span: tuple[int, int]) -> int:
    fixed = [value for number, kind, _, value in _fields(view, *span) if (number, kind) == (1, _VARINT)]
    return fixed[-1] if fixed and fixed[-1] < 2**63 else ANY


def _messages_of(view: memoryview, span: tuple[int, int], field: int) -> list[tuple[int, int]]:
    found = _fields(view, *span)
    return [(at, at + value) for number, kind, at, value in found if (number, kind) == (field, _BYTES)]


def _field(view: memoryview, span: tuple[int, int], field: int) -> tuple[int, int] | None:
    found = _messages_of(view, span, field)
    return found[-1] if found else None


def _text(view: memoryview, start: int, end: int, field: int) -> str:
    span = _field(view, (start, end), field)
    return bytes(view[span[0] : span[1]]).decode("utf-8", "replace") if span else ""


def _walk(message: _Message, view: memoryview, start: int, end: int, depth: int, operators: set[str]) -> None:
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
        if (message.name, number, kind) == ("NodeProto", 4, _BYTES):
            operators.add(bytes(view[at : at + value]).decode("utf-8", "replace"))
        child = message.children.get(number)
        if child is None:
            continue
        if kind != _BYTES:
            raise NotLoadable("the file is not an ONNX model (a message has a wrong wire type)")
        _walk(child, view, at, at + value, depth + 1, operators)


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
