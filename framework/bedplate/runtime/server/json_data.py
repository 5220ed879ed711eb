"""Tensors as JSON, nested or flat: no silent cast, and no value that the datatype cannot hold.

JSON has no NaN and no infinity: an output that holds one is answered with 422, naming it, as the request was
understood and has no answer that could be written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from bedplate.runtime.server.model import Array, Tensor
from bedplate.runtime.server.refused import Refused, refuse, shown

INFINITE_FROM: Mapping[str, float] = {"FP32": 2.0**128 - 2.0**103}
"""From which size on a number of JSON is none of the datatype: half a step above the largest."""
_FEW = 16  # elements that are looked at faster one by one
_FLOATS = frozenset({"FP32", "FP64"})
NO_JSON_FORM = frozenset({"FP16"})
JSON_TYPES: Mapping[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    "FP32": frozenset({int, float}),
    "FP64": frozenset({int, float}),
    **{f"{sign}INT{bits}": frozenset({int}) for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
DATATYPES = frozenset(JSON_TYPES) | NO_JSON_FORM | {"BF16"}


def read(data: object, tensor: Tensor, shape: Sequence[int], count: int) -> Array:
    """An input's `data` as an array of its shape, which has `count` elements; raises Refused."""
    if tensor.datatype in NO_JSON_FORM:
        refuse(f"input '{tensor.name}' is {tensor.datatype}, which has no JSON form; send it as binary data")
    if type(data) is not list:
        refuse(f"input '{tensor.name}' has no data" if data is None else _no_list(tensor))
    flat = _flattened(data, shape, tensor.name) if data and type(data[0]) is list else data
    if len(flat) != count:
        refuse(f"input '{tensor.name}': expected {count} elements for shape {shown(shape)}, got {len(flat)}")
    allowed = JSON_TYPES[tensor.datatype]
    if not allowed.issuperset(map(type, flat)):
        wrong = next(value for value in flat if type(value) not in allowed)
        refuse(f"input '{tensor.name}': {shown(wrong)} is not a {tensor.datatype}")
    array = _array(flat, tensor)
    if array is None:
        refuse(f"input '{tensor.name}' holds a number that {tensor.datatype} cannot")
    return array.reshape(shape)


def _array(flat: list[object], tensor: Tensor) -> Array | None:
    """Their array, None where one is too large for its type."""
    try:
        with np.errstate(over="ignore"):  # which costs as much as all that it is for
            array = np.array(flat, dtype=tensor.dtype)
            sound = tensor.datatype not in _FLOATS or _finite(array)
    except OverflowError:
        return None
    return array if sound else None


def _finite(array: Array) -> bool:
    """Whether all are numbers: where their squares add up to one, they are; else it has to be looked at."""
    return math.isfinite(array.dot(array)) or bool(np.isfinite(array).all())


def written(array: Array, tensor: Tensor) -> object:
    """An output's `data`, flat, as orjson writes it; raises Refused where JSON cannot say it."""
    if tensor.datatype in _FLOATS and not all_finite(array):
        raise Refused(
            422,
            f"output '{tensor.name}' holds NaN or an infinity, which JSON cannot carry; ask for it as binary data",
        )
    if tensor.datatype == "BYTES":
        return array.reshape(-1).tolist()
    if not array.flags.c_contiguous:
        return np.ascontiguousarray(array).reshape(-1)
    return array.reshape(-1)


def all_finite(array: Array) -> bool:
    """Whether JSON has a form for all of its numbers."""
    if array.size > _FEW:
        return bool(np.isfinite(array).all())
    return all(map(math.isfinite, array.reshape(-1).tolist()))


def _no_list(tensor: Tensor) -> str:
    return f"the data of input '{tensor.name}' must be a list"


def _flattened(data: list[object], shape: Sequence[int], name: str) -> list[object]:
    level: list[object] = [data]
    for extent in shape:
        for row in level:
            if type(row) is not list or len(row) != extent:
                refuse(f"the nested data of input '{name}' does not have shape {shown(list(shape))}")
        level = list(chain.from_iterable(level))  # type: ignore[arg-type]
    return level
