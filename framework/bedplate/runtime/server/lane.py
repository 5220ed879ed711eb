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

from bedplate.runtime.server import compression, infer, json_data
from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.infer import Request
from bedplate.runtime.server.model import Array, Model

_NUMBERS = frozenset({"FP32", "FP64"}) | {
    f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)
}
_FEW = 256  # elements: for more, what is worked out beforehand is a small part


class Read(NamedTuple):
    """A request, and how many elements it has."""

    request: Request
    elements: int


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
        self._names = [output.name for output in model.outputs]
        self._said: dict[str, object] = {"model_name": model.name, "model_version": model.version, "id": ""}
        self._outputs: list[dict[str, object]] = [
            {"name": output.name, "shape": (), "datatype": output.datatype, "data": None}
            for output in model.outputs
        ]
        self._said["outputs"] = self._outputs

    def read(self, body: bytes) -> Read | None:
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
        if (
            len(entry) != 4
            or body.count(b":") != members + 4
            or type(data) is not list
            or type(shape) is not list
        ):
            return None
        count = self._count(shape)
        if len(data) != count or not 0 < count <= self._most or not self._types.issuperset(map(type, data)):
            return None
        if max(data) >= self._below or min(data) <= -self._below:
            return None
        try:
            array = np.array(data, self._dtype).reshape(shape)
        except OverflowError:
            return None
        return Read(Request(identity, {self._name: array}, self._wanted), count)

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

    def run(self, read: Read) -> list[Array]:
        return self.model.run(read.request.feeds, self._names, read.elements)

    def answer(self, identity: str, arrays: Sequence[Array]) -> bytes | None:
        self._said["id"] = identity
        for output, array in zip(self._outputs, arrays, strict=True):
            if array.size > _FEW or not all(map(math.isfinite, array.reshape(-1).tolist())):
                return None
            output["shape"], output["data"] = array.shape, array.reshape(-1)
        text = orjson.dumps(self._said, option=orjson.OPT_SERIALIZE_NUMPY)
        return text if len(text) < compression.WORTH_BYTES else None


def lane(model: Model, limits: Limits) -> Lane | None:
    """The lane of a model, None where it has none."""
    tensors = (*model.inputs, *model.outputs)
    if len(model.inputs) != 1 or not all(tensor.datatype in _NUMBERS for tensor in tensors):
        return None
    return Lane(model, limits)
