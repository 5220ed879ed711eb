"""The Open Inference Protocol v2 in JSON: a request's bytes to arrays, a model's arrays to bytes.

Every rule of a request is checked here, by hand, before an array of its size exists: there is no
silent cast, no default for what is missing, and no member that is taken twice. Data may be nested
or flat. JSON has no NaN and no infinity: an output that holds one is answered with 422, naming it,
as the request was understood and has no answer that could be written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn, Protocol

import numpy as np
import orjson

from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.model import Array, Tensor

_FLOATS = frozenset({"FP32", "FP64"})
_NO_JSON_FORM = frozenset({"FP16"})
_SCALARS = frozenset({str, int, float, bool})
_JSON_TYPES: Mapping[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    "FP32": frozenset({int, float}),
    "FP64": frozenset({int, float}),
    **{f"{sign}INT{bits}": frozenset({int}) for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
_DATATYPES = frozenset(_JSON_TYPES) | _NO_JSON_FORM | {"BF16"}


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


class Refused(Exception):
    """A request that is answered with an error: the status, and what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    id: str | None
    feeds: Mapping[str, Array]
    outputs: Sequence[Tensor]


def read(body: bytes | bytearray, signature: Signature, limits: Limits) -> Request:
    """Parse and check a request; raises Refused."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the request is not valid JSON: {error}") from None
    if type(tree) is not dict:
        _refuse("the request must be a JSON object")
    identity = tree.get("id")
    if identity is not None and type(identity) is not str:
        _refuse("id must be a string")
    _parameters(tree, "the request")
    entries = _entries(tree, "inputs")
    if not entries:
        _refuse("inputs are missing" if "inputs" not in tree else "inputs must not be empty")
    feeds = _feeds(entries, signature, limits)
    wanted = _entries(tree, "outputs")
    outputs = _outputs(wanted, signature)
    if body.count(b":") != _members(tree, entries, wanted):
        _refuse_duplicate_members(body)
    return Request(identity, feeds, outputs)


def answer(signature: Signature, request: Request, identity: str, arrays: Sequence[Array]) -> bytes:
    """The answer's bytes; raises Refused where JSON cannot say it."""
    outputs = []
    for tensor, array in zip(request.outputs, arrays, strict=True):
        if tensor.datatype in _FLOATS and not np.isfinite(array).all():
            raise Refused(422, f"output '{tensor.name}' holds NaN or an infinity, which JSON cannot carry")
        flat: object = array.reshape(-1)
        if tensor.datatype == "BYTES":
            flat = array.reshape(-1).tolist()
        elif not array.flags.c_contiguous:
            flat = np.ascontiguousarray(array).reshape(-1)
        outputs.append({"name": tensor.name, "shape": array.shape, "datatype": tensor.datatype, "data": flat})
    body = {
        "model_name": signature.name,
        "model_version": signature.version,
        "id": identity,
        "outputs": outputs,
    }
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _refuse(message: str) -> NoReturn:
    raise Refused(400, message)


def _shown(value: object) -> str:
    """A client's value in a message, bounded."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _parameters(owner: Mapping[str, object], what: str) -> None:
    parameters = owner.get("parameters")
    if parameters is None and "parameters" not in owner:
        return
    if type(parameters) is not dict:
        _refuse(f"parameters of {what} must be an object")
    for name, value in parameters.items():
        if type(value) not in _SCALARS:
            _refuse(f"parameter {_shown(name)} of {what} must be a string, a number or a boolean")


def _entries(tree: Mapping[str, object], member: str) -> list[dict[str, object]]:
    entries = tree.get(member)
    if entries is None and member not in tree:
        return []
    if type(entries) is not list or any(type(entry) is not dict for entry in entries):
        _refuse(f"{member} must be a list of objects")
    return entries


def _name(entry: Mapping[str, object], role: str) -> str:
    name = entry.get("name")
    if type(name) is not str:
        _refuse(f"an {role} has no name")
    return name


def _feeds(entries: Sequence[dict[str, object]], signature: Signature, limits: Limits) -> Mapping[str, Array]:
    feeds: dict[str, Array] = {}
    expected = {tensor.name: tensor for tensor in signature.inputs}
    elements = 0
    for entry in entries:
        name = _name(entry, "input")
        if name in feeds:
            _refuse(f"input {_shown(name)} is given twice")
        tensor = expected.get(name)
        if tensor is None:
            _refuse(f"unknown input {_shown(name)}; the model's inputs are {_listed(signature.inputs)}")
        shape, count = _shape(entry, tensor)
        elements += count
        if elements > limits.elements:
            _refuse(f"the inputs have more than {limits.elements} elements")
        feeds[name] = _array(entry, tensor, shape, count)
    if len(feeds) != len(expected):
        missing = [tensor for tensor in signature.inputs if tensor.name not in feeds]
        _refuse(f"missing input {_listed(missing)}")
    return feeds


def _listed(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"'{tensor.name}'" for tensor in tensors)


def _shape(entry: Mapping[str, object], tensor: Tensor) -> tuple[list[int], int]:
    """The shape and its product, checked against the signature."""
    _parameters(entry, f"input '{tensor.name}'")
    datatype = entry.get("datatype")
    if datatype != tensor.datatype:
        known = type(datatype) is str and datatype in _DATATYPES
        what = f"has datatype {_shown(datatype)}" if known else f"has an unknown datatype {_shown(datatype)}"
        _refuse(f"input '{tensor.name}' {what}, the model takes {tensor.datatype}")
    shape = entry.get("shape")
    if type(shape) is not list or any(type(extent) is not int or extent < 0 for extent in shape):
        _refuse(f"the shape of input '{tensor.name}' must be a list of whole numbers from 0")
    if len(shape) != len(tensor.shape):
        _refuse(f"input '{tensor.name}' has {len(shape)} dimensions, the model takes {list(tensor.shape)}")
    count = 1
    for extent, fixed in zip(shape, tensor.shape, strict=True):
        if fixed not in (-1, extent):
            _refuse(f"input '{tensor.name}' has shape {_shown(shape)}, the model takes {list(tensor.shape)}")
        count *= extent
    return shape, count


def _array(entry: Mapping[str, object], tensor: Tensor, shape: Sequence[int], count: int) -> Array:
    if tensor.datatype in _NO_JSON_FORM:
        _refuse(f"input '{tensor.name}' is {tensor.datatype}, which has no JSON form")
    data = entry.get("data")
    if type(data) is not list:
        if data is None:
            _refuse(
                f"input '{tensor.name}' has no data (this server takes JSON data, not the binary extension)"
            )
        _refuse(f"the data of input '{tensor.name}' must be a list")
    flat = _flattened(data, shape, tensor.name) if data and type(data[0]) is list else data
    if len(flat) != count:
        _refuse(
            f"input '{tensor.name}': expected {count} elements for shape {_shown(shape)}, got {len(flat)}"
        )
    allowed = _JSON_TYPES[tensor.datatype]
    if not allowed.issuperset(map(type, flat)):
        wrong = next(value for value in flat if type(value) not in allowed)
        _refuse(f"input '{tensor.name}': {_shown(wrong)} is not a {tensor.datatype}")
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=tensor.dtype)
    except OverflowError:
        _refuse(f"input '{tensor.name}' holds a number that {tensor.datatype} cannot")
    if tensor.datatype in _FLOATS and not np.isfinite(array).all():
        _refuse(f"input '{tensor.name}' holds a number that {tensor.datatype} cannot")
    return array.reshape(shape)


def _flattened(data: list[object], shape: Sequence[int], name: str) -> list[object]:
    level: list[object] = [data]
    for extent in shape:
        for row in level:
            if type(row) is not list or len(row) != extent:
                _refuse(f"the nested data of input '{name}' does not have shape {_shown(list(shape))}")
        level = list(chain.from_iterable(level))  # type: ignore[arg-type]
    return level


def _outputs(wanted: Sequence[dict[str, object]], signature: Signature) -> Sequence[Tensor]:
    chosen: dict[str, Tensor] = {}
    known = {tensor.name: tensor for tensor in signature.outputs}
    for entry in wanted:
        name = _name(entry, "output")
        _parameters(entry, f"output {_shown(name)}")
        if name not in known:
            _refuse(f"unknown output {_shown(name)}; the model's outputs are {_listed(signature.outputs)}")
        if name in chosen:
            _refuse(f"output '{name}' is requested twice")
        chosen[name] = known[name]
    tensors = list(chosen.values()) or signature.outputs
    for tensor in tensors:
        if tensor.datatype in _NO_JSON_FORM:
            _refuse(f"output '{tensor.name}' is {tensor.datatype}, which has no JSON form")
    return tensors


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
        raise Refused(400, f"the request is not valid JSON: {_shown(str(error))}") from None


def _once(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        twice = next(name for name in names if sum(name == other for other, _ in pairs) > 1)
        _refuse(f"member {_shown(twice)} is given twice in one object")
