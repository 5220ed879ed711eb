"""The Open Inference Protocol v2: a request's bytes to arrays, a model's arrays to an answer's bytes.

Every rule of a request is checked here, by hand, before an array of its size exists: there is no
silent cast, no default for what is missing, and no member that is taken twice. A tensor comes and goes
as JSON (json_data) or as bytes behind the JSON (binary_data), each as its request says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple, NoReturn, Protocol

import orjson

from bedplate.runtime.server import binary_data, json_data
from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.model import Array, Tensor
from bedplate.runtime.server.refused import Refused, refuse, shown

_SCALARS = frozenset({str, int, float, bool})
_SIZE = "binary_data_size"
# Parameters of protocol extensions that an answer without them would not be right.
_NOT_HERE = frozenset({"classification", "sequence_id", "sequence_start", "sequence_end"}) | {
    f"shared_memory_{end}" for end in ("region", "offset", "byte_size")
}


class Signature(Protocol):
    """What a request is checked against."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...


class Wanted(NamedTuple):
    """An output that a request asks for, as JSON or as bytes."""

    tensor: Tensor
    binary: bool


class Request(NamedTuple):
    """What is to be run. `id` is the client's own name of it."""

    id: str | None
    feeds: Mapping[str, Array]
    outputs: Sequence[Wanted]


class Answer(NamedTuple):
    """An answer's body; `json_bytes` is how much of it is JSON, None for all of it; `encoding` its compression.

    `request` is what was answered, and `arrays` what with, one for each of its outputs.
    """

    body: bytes
    request: Request
    arrays: Sequence[Array]
    json_bytes: int | None = None
    encoding: str | None = None


def read(
    body: bytes | bytearray, signature: Signature, limits: Limits, json_bytes: int | None = None
) -> Request:
    """Parse and check a request; raises Refused.

    `json_bytes` is how much of the body is JSON, None for all of it; with 0 it is the model's one input, raw.
    """
    if json_bytes is None:
        return _read(body, memoryview(b""), signature, limits)
    if json_bytes == 0:
        return _raw(memoryview(body), signature, limits)
    if json_bytes > len(body):
        refuse(f"the JSON should be {json_bytes} bytes, and the body is {len(body)}")
    return _read(body[:json_bytes], memoryview(body)[json_bytes:], signature, limits)


def answer(signature: Signature, request: Request, identity: str, arrays: Sequence[Array]) -> Answer:
    """The answer's bytes; raises Refused where JSON cannot say it."""
    outputs, blobs = [], []
    for wanted, array in zip(request.outputs, arrays, strict=True):
        tensor = wanted.tensor
        entry: dict[str, object] = {"name": tensor.name, "shape": array.shape, "datatype": tensor.datatype}
        if wanted.binary:
            blobs.append(binary_data.written(array, tensor))
            entry["parameters"] = {_SIZE: len(blobs[-1])}
        else:
            entry["data"] = json_data.written(array, tensor)
        outputs.append(entry)
    said = {
        "model_name": signature.name,
        "model_version": signature.version,
        "id": identity,
        "outputs": outputs,
    }
    text = orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)
    if not blobs:
        return Answer(text, request, arrays)
    return Answer(b"".join((text, *blobs)), request, arrays, len(text))


def _read(text: bytes | bytearray, rest: memoryview, signature: Signature, limits: Limits) -> Request:
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the request is not valid JSON: {error}") from None
    if type(tree) is not dict:
        refuse("the request must be a JSON object")
    identity = tree.get("id")
    if identity is not None and type(identity) is not str:
        refuse("id must be a string")
    parameters = _parameters(tree, "the request")
    entries = _entries(tree, "inputs")
    if not entries:
        refuse("inputs are missing" if "inputs" not in tree else "inputs must not be empty")
    feeds = _feeds(entries, signature, limits, rest)
    wanted = _entries(tree, "outputs")
    outputs = _outputs(
        wanted, signature, binary=_flag(parameters, "binary_data_output", "the request", False)
    )
    if text.count(b":") != _members(tree, entries, wanted):
        _refuse_duplicate_members(text)
    return Request(identity, feeds, outputs)


def _raw(body: memoryview, signature: Signature, limits: Limits) -> Request:
    """A body that is one tensor and nothing else; it is answered in binary."""
    if len(signature.inputs) != 1:
        refuse(f"a raw request needs a model of one input; it has {_listed(signature.inputs)}")
    tensor = signature.inputs[0]
    shape, count = binary_data.whole_shape(len(body), tensor)
    _within(count, limits)
    if tensor.datatype == "BYTES":
        array = binary_data.text(body, tensor)
    else:
        array = binary_data.read(body, tensor, shape, count)
    return Request(None, {tensor.name: array}, [Wanted(output, True) for output in signature.outputs])


def _parameters(owner: Mapping[str, object], what: str) -> Mapping[str, object]:
    parameters = owner.get("parameters")
    if parameters is None and "parameters" not in owner:
        return {}
    if type(parameters) is not dict:
        refuse(f"parameters of {what} must be an object")
    for name, value in parameters.items():
        if name in _NOT_HERE:
            refuse(f"parameter {name} of {what}: this server does not have that extension")
        if type(value) not in _SCALARS:
            refuse(f"parameter {shown(name)} of {what} must be a string, a number or a boolean")
    return parameters


def _flag(parameters: Mapping[str, object], name: str, what: str, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if type(value) is not bool:
        refuse(f"parameter {name} of {what} must be true or false")
    return value


def _entries(tree: Mapping[str, object], member: str) -> list[dict[str, object]]:
    entries = tree.get(member)
    if entries is None and member not in tree:
        return []
    if type(entries) is not list or any(type(entry) is not dict for entry in entries):
        refuse(f"{member} must be a list of objects")
    return entries


def _name(entry: Mapping[str, object], role: str) -> str:
    name = entry.get("name")
    if type(name) is not str:
        refuse(f"an {role} has no name")
    return name


def _feeds(
    entries: Sequence[dict[str, object]], signature: Signature, limits: Limits, rest: memoryview
) -> Mapping[str, Array]:
    feeds: dict[str, Array] = {}
    expected = {tensor.name: tensor for tensor in signature.inputs}
    elements = 0
    for entry in entries:
        name = _name(entry, "input")
        if name in feeds:
            refuse(f"input {shown(name)} is given twice")
        tensor = expected.get(name)
        if tensor is None:
            refuse(f"unknown input {shown(name)}; the model's inputs are {_listed(signature.inputs)}")
        size = _binary_size(_parameters(entry, f"input '{name}'"), entry, tensor)
        shape, count = _shape(entry, tensor)
        elements += count
        _within(elements, limits)
        if size is None:
            feeds[name] = json_data.read(entry.get("data"), tensor, shape, count)
            continue
        if size > len(rest):
            refuse(f"input '{name}': {size} bytes are announced, {len(rest)} are there")
        feeds[name] = binary_data.read(rest[:size], tensor, shape, count)
        rest = rest[size:]
    if len(feeds) != len(expected):
        missing = [tensor for tensor in signature.inputs if tensor.name not in feeds]
        refuse(f"missing input {_listed(missing)}")
    if len(rest):
        refuse(f"{len(rest)} bytes are left after all inputs")
    return feeds


def _binary_size(parameters: Mapping[str, object], entry: Mapping[str, object], tensor: Tensor) -> int | None:
    """How many bytes of the body are this input, None where it is JSON."""
    size = parameters.get(_SIZE)
    if size is None:
        return None
    if type(size) is not int or size < 0:
        refuse(f"{_SIZE} of input '{tensor.name}' must be a whole number from 0")
    if entry.get("data") is not None:
        refuse(f"input '{tensor.name}' has both data and {_SIZE}")
    return size


def _within(elements: int, limits: Limits) -> None:
    if elements > limits.elements:
        refuse(f"the inputs have more than {limits.elements} elements")


def _listed(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"'{tensor.name}'" for tensor in tensors)


def _shape(entry: Mapping[str, object], tensor: Tensor) -> tuple[list[int], int]:
    """The shape and its product, checked against the signature."""
    datatype = entry.get("datatype")
    if datatype != tensor.datatype:
        known = type(datatype) is str and datatype in json_data.DATATYPES
        what = f"has datatype {shown(datatype)}" if known else f"has an unknown datatype {shown(datatype)}"
        refuse(f"input '{tensor.name}' {what}, the model takes {tensor.datatype}")
    shape = entry.get("shape")
    if type(shape) is not list:
        _refuse_shape(tensor)
    if len(shape) != len(tensor.shape):
        refuse(f"input '{tensor.name}' has {len(shape)} dimensions, the model takes {list(tensor.shape)}")
    count = 1
    for extent, fixed in zip(shape, tensor.shape, strict=True):
        if type(extent) is not int or extent < 0:
            _refuse_shape(tensor)
        if extent != fixed and fixed != -1:
            refuse(f"input '{tensor.name}' has shape {shown(shape)}, the model takes {list(tensor.shape)}")
        count *= extent
    return shape, count


def _refuse_shape(tensor: Tensor) -> NoReturn:
    refuse(f"the shape of input '{tensor.name}' must be a list of whole numbers from 0")


def _outputs(entries: Sequence[dict[str, object]], signature: Signature, *, binary: bool) -> Sequence[Wanted]:
    """The outputs in the order that they are asked for; of a request that asks for none, all."""
    chosen: dict[str, Wanted] = {}
    known = {tensor.name: tensor for tensor in signature.outputs}
    for entry in entries:
        name = _name(entry, "output")
        parameters = _parameters(entry, f"output {shown(name)}")
        if name not in known:
            refuse(f"unknown output {shown(name)}; the model's outputs are {_listed(signature.outputs)}")
        if name in chosen:
            refuse(f"output '{name}' is requested twice")
        chosen[name] = Wanted(known[name], _flag(parameters, "binary_data", f"output '{name}'", binary))
    return _sayable(list(chosen.values())) if chosen else everything(signature, binary=binary)


def everything(signature: Signature, *, binary: bool = False) -> Sequence[Wanted]:
    """All outputs, as of a request that asks for none; raises Refused where one has no such form."""
    return _sayable([Wanted(tensor, binary) for tensor in signature.outputs])


def _sayable(outputs: Sequence[Wanted]) -> Sequence[Wanted]:
    """The same outputs; refuses one that should be JSON and cannot."""
    for tensor, binary in outputs:
        if not binary and tensor.datatype in json_data.NO_JSON_FORM:
            name, datatype = tensor.name, tensor.datatype
            refuse(f"output '{name}' is {datatype}, which has no JSON form; ask for it as binary data")
    return outputs


def _members(tree: Mapping[str, object], *lists: Sequence[dict[str, object]]) -> int:
    """How many members the request's objects have, the ones of unknown members aside."""
    owners: list[Mapping[str, object]] = [tree, *chain.from_iterable(lists)]
    parameters = (owner["parameters"] for owner in owners if "parameters" in owner)
    return sum(map(len, owners)) + sum(len(table) for table in parameters if isinstance(table, dict))


def _refuse_duplicate_members(body: bytes | bytearray) -> None:
    """The slow, exact reading, for bodies with more colons than members (one may be in a string)."""
    try:
        json.loads(body, object_pairs_hook=_once)
    except (RecursionError, ValueError) as error:
        raise Refused(400, f"the request is not valid JSON: {shown(str(error))}") from None


def _once(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        twice = next(name for name in names if sum(name == other for other, _ in pairs) > 1)
        refuse(f"member {shown(twice)} is given twice in one object")
