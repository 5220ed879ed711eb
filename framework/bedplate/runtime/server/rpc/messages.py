"""The messages of inference.GRPCInferenceService, made from a table of their fields.

They lie in a pool of their own: a client's module of the same names may be loaded beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

# A field: its type, `*` before it where there may be many, and its number. MAP is a table of parameters.
_MAP = "map"
_TENSOR = {"name": ("string", 1), "datatype": ("string", 2), "shape": ("*int64", 3)}
_INFERRED = {**_TENSOR, "parameters": (_MAP, 4), "contents": ("InferTensorContents", 5)}
_MODEL = {"name": ("string", 1), "version": ("string", 2)}
_HEAD = {
    "model_name": ("string", 1),
    "model_version": ("string", 2),
    "id": ("string", 3),
    "parameters": (_MAP, 4),
}
_Fields = Mapping[str, tuple[str, int]]
TABLE: Mapping[str, _Fields] = {
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": ("bool", 1)},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": ("bool", 1)},
    "ModelReadyRequest": _MODEL,
    "ModelReadyResponse": {"ready": ("bool", 1)},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {**_MODEL, "extensions": ("*string", 3)},
    "ModelMetadataRequest": _MODEL,
    "ModelMetadataResponse": {
        "name": ("string", 1),
        "versions": ("*string", 2),
        "platform": ("string", 3),
        "inputs": ("*ModelMetadataResponse.TensorMetadata", 4),
        "outputs": ("*ModelMetadataResponse.TensorMetadata", 5),
    },
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "InferParameter": {
        "bool_param": ("bool", 1),
        "int64_param": ("int64", 2),
        "string_param": ("string", 3),
        "double_param": ("double", 4),
        "uint64_param": ("uint64", 5),
    },
    "InferTensorContents": {
        "bool_contents": ("*bool", 1),
        "int_contents": ("*int32", 2),
        "int64_contents": ("*int64", 3),
        "uint_contents": ("*uint32", 4),
        "uint64_contents": ("*uint64", 5),
        "fp32_contents": ("*float", 6),
        "fp64_contents": ("*double", 7),
        "bytes_contents": ("*bytes", 8),
    },
    "ModelInferRequest": {
        **_HEAD,
        "inputs": ("*ModelInferRequest.InferInputTensor", 5),
        "outputs": ("*ModelInferRequest.InferRequestedOutputTensor", 6),
        "raw_input_contents": ("*bytes", 7),
    },
    "ModelInferRequest.InferInputTensor": _INFERRED,
    "ModelInferRequest.InferRequestedOutputTensor": {"name": ("string", 1), "parameters": (_MAP, 2)},
    "ModelInferResponse": {
        **_HEAD,
        "outputs": ("*ModelInferResponse.InferOutputTensor", 5),
        "raw_output_contents": ("*bytes", 6),
    },
    "ModelInferResponse.InferOutputTensor": _INFERRED,
}
_ONE_OF = {"InferParameter": "parameter_choice"}

_Field = descriptor_pb2.FieldDescriptorProto
_File = descriptor_pb2.FileDescriptorProto
_Described = descriptor_pb2.DescriptorProto


class Parameter(Protocol):
    """An InferParameter."""

    def WhichOneof(self, name: str) -> str | None: ...


class Named(Protocol):
    """What is said of a field."""

    @property
    def name(self) -> str: ...


class Contents(Protocol):
    """An InferTensorContents: a list for each group of datatypes."""

    def ListFields(self) -> Sequence[tuple[Named, Sequence[Any]]]: ...


class Input(Protocol):
    name: str
    datatype: str
    shape: Sequence[int]
    parameters: Mapping[str, Parameter]
    contents: Contents


class Output(Protocol):
    name: str
    parameters: Mapping[str, Parameter]


class Inference(Protocol):
    """A ModelInferRequest."""

    model_name: str
    model_version: str
    id: str
    parameters: Mapping[str, Parameter]
    inputs: Sequence[Input]
    outputs: Sequence[Output]
    raw_input_contents: Sequence[bytes]


class Meant(Protocol):
    """A request about one model."""

    name: str
    version: str


def _described(name: str) -> _Described:
    found = _Described(name=name.rpartition(".")[2])
    if name in _ONE_OF:
        found.oneof_decl.add(name=_ONE_OF[name])
    for field, (said, number) in TABLE[name].items():
        added = found.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL)
        kind = said.lstrip("*")
        if said == _MAP:
            entry = found.nested_type.add(name=f"{field.capitalize()}Entry", options={"map_entry": True})
            key, value = (entry.field.add(label=_Field.LABEL_OPTIONAL) for _ in range(2))
            key.name, key.number, key.type = "key", 1, _Field.TYPE_STRING
            value.name, value.number, value.type = "value", 2, _Field.TYPE_MESSAGE
            value.type_name = f".{PACKAGE}.InferParameter"
            kind = f"{name}.{entry.name}"
        if said != kind:
            added.label = _Field.LABEL_REPEATED
        if kind in TABLE or said == _MAP:
            added.type, added.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
        else:
            added.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
        if name in _ONE_OF:
            added.oneof_index = 0
    found.nested_type.extend(_described(inner) for inner in TABLE if inner.rpartition(".")[0] == name)
    return found


def _file() -> _File:
    outer = [_described(name) for name in TABLE if "." not in name]
    return _File(name="bedplate/inference.proto", package=PACKAGE, syntax="proto3", message_type=outer)


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def message(name: str) -> Callable[..., Message]:
    """The class of a message of the table."""
    found: Callable[..., Message] = message_factory.GetMessageClass(
        _POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")
    )
    return found
