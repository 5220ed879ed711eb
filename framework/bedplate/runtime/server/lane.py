"""The short way of what nearly all requests are: a model's one input as a flat list in JSON, for all outputs.

All that is the same in them is worked out once. It takes a part of what `infer` takes, and gives the same
answers to the byte; None from here says nothing of a request but that `infer` has to look at it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import orjson

from bedplate.runtime.server import infer, json_data
from bedplate.runtime.server.bound import Bound
from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.infer import Request
from bedplate.runtime.server.model import Array, Model

_NUMBERS = frozenset({"FP32", "FP64"}) | {
    f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)
}
_SHAPES = 64  # that are kept
_FEW = 1024  # elements: for more, what is worked out beforehand is a small part
_FEW_BYTES = 32 * _FEW  # of a body that may hold so many: a longer one is read once, by infer


class Read(NamedTuple):
    """A request, how many elements it has, and its run. The arrays are the lane's: they hold until the next read."""

    request: Request
    elements: int
    bound: Bound


class _Shaped(NamedTuple):
    """What requests of one shape are read into: the array, flat, and what is the same in all of them."""

    flat: Array
    read: Read


class Lane:
    """Requests to one model, one after the other."""

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model = model
        (tensor,) = model.inputs
        self._name, self._datatype, self._shape, self._dtype = tensor
        self._types = json_data.JSON_TYPES[tensor.datatype]
        self._below = json_data.INFINITE_FROM.get(tensor.datatype, math.inf)
        self._most = min(_FEW, limits.elements)
        self._wanted = infer.everything(model)
        self._said: dict[str, object] = {"model_name": model.name, "model_version": model.version, "id": ""}
        self._outputs: list[dict[str, object]] = [
            {"name": output.name, "shape": (), "datatype": output.datatype, "data": None}
            for output in model.outputs
        ]
        self._said["outputs"] = self._outputs
        self._shaped: dict[str, _Shaped] = {}

    def read(self, body: bytes) -> Read | None:
        if len(body) > _FEW_BYTES:
            return None
        try:
            tree = orjson.loads(body)
            (entry,) = tree["inputs"]
            shape, data = entry["shape"], entry["data"]
            if entry["name"] != self._name or entry["datatype"] != self._datatype:
                return None
        except (KeyError, TypeError, ValueError):
            return None
        identity, members = None, len(tree)
        if members != 1:
            identity = tree.get("id")
            if members != 2 or type(identity) is not str:
                return None
        if len(entry) != 4 or body.count(b":") != members + 4 or type(data) is not list:
            return None
        shaped = self._shaped.get(repr(shape)) or self._reshaped(shape)
        if shaped is None or len(data) != shaped.read.elements or not self._types.issuperset(map(type, data)):
            return None
        try:
            if math.hypot(*data) >= self._below:
                return None
            shaped.flat[:] = data
        except OverflowError:
            return None
        if identity is None:
            return shaped.read
        return shaped.read._replace(request=shaped.read.request._replace(id=identity))

    def _reshaped(self, shape: object) -> _Shaped | None:
        """What a new shape is read into, None for one that the model does not take, or that has many elements."""
        if type(shape) is not list or not 0 < (count := self._count(shape)) <= self._most:
            return None
        array = np.zeros(shape, self._dtype)
        feeds = {self._name: array}
        read = Read(Request(None, feeds, self._wanted), count, Bound(self.model, feeds))
        found = _Shaped(array.reshape(-1), read)
        if len(self._shaped) < _SHAPES:
            self._shaped[repr(shape)] = found
        return found

    def _count(self, shape: Sequence[object]) -> int:
        """The elements of a shape, -1 for one that the model does not take."""
        if len(shape) != len(self._shape):
            return -1
        count = 1
        for extent, fixed in zip(shape, self._shape, strict=True):
            if type(extent) is not int or extent < 0 or (extent != fixed and fixed != -1):
                return -1
            count *= extent
        return count

    def answer(self, identity: str, arrays: Sequence[Array]) -> bytes | None:
        self._said["id"] = identity
        for output, array in zip(self._outputs, arrays, strict=True):
            flat = array.reshape(-1)
            if not json_data.all_finite(flat):
                return None
            output["shape"], output["data"] = array.shape, flat
        return orjson.dumps(self._said, option=orjson.OPT_SERIALIZE_NUMPY)


def lane(model: Model, limits: Limits) -> Lane | None:
    """The lane of a model, None where it has none."""
    tensors = (*model.inputs, *model.outputs)
    if (
        model.runs_by_value
        or len(model.inputs) != 1
        or not all(tensor.datatype in _NUMBERS for tensor in tensors)
    ):
        return None
    return Lane(model, limits)
