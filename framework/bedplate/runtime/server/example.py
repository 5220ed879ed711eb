"""A request that a model surely takes: the zeros and empty strings that it was warmed up with, as text to edit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bedplate.runtime.server.json_data import NO_JSON_FORM
from bedplate.runtime.server.model import Model, Tensor

MOST_ELEMENTS = 2000
"""More than this nobody edits by hand."""
_NESTED_AT_MOST = 12  # brackets deeper than this help no reader
_FLOATS = frozenset({"FP32", "FP64"})


@dataclass(frozen=True)
class Example:
    """`request` is None where there is none in JSON; `note` says why, or what it leaves out."""

    request: str | None
    note: str | None = None


@lru_cache(maxsize=256)  # the page asks every few seconds
def example(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Example:
    """The request for a signature, every free dimension 1: an input a line."""
    mute = next((tensor for tensor in inputs if tensor.datatype in NO_JSON_FORM), None)
    if mute is not None:
        return Example(None, f"input '{mute.name}' is {mute.datatype}, which has no JSON form")
    left_out = [tensor for tensor in outputs if tensor.datatype in NO_JSON_FORM]
    if left_out and len(left_out) == len(outputs):
        return Example(None, f"output '{left_out[0].name}' is {left_out[0].datatype}, which has no JSON form")
    elements = sum(math.prod(_extents(tensor)) for tensor in inputs)
    if elements > MOST_ELEMENTS:
        return Example(None, f"the inputs have {elements} elements, too many to write here")
    members = [_members("inputs", [_input(tensor) for tensor in inputs])]
    if not left_out:
        return Example(_object(members))
    members.append(
        _members("outputs", [{"name": tensor.name} for tensor in outputs if tensor not in left_out])
    )
    names = ", ".join(f"'{tensor.name}'" for tensor in left_out)
    return Example(_object(members), f"{names} left out: {left_out[0].datatype} has no JSON form")


def of(model: Model) -> Example:
    """The request for a loaded model."""
    return example(model.inputs, model.outputs)


def _object(members: Sequence[str]) -> str:
    return "{\n  " + ",\n  ".join(members) + "\n}"


def _members(name: str, entries: Sequence[Mapping[str, object]]) -> str:
    lines = ",\n    ".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    return f'"{name}": [\n    {lines}\n  ]'


def _input(tensor: Tensor) -> dict[str, object]:
    extents = _extents(tensor)
    data = [_element(tensor.datatype)] * math.prod(extents)
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": extents,
        "data": _nested(data, extents) if data and len(extents) <= _NESTED_AT_MOST else data,
    }


def _extents(tensor: Tensor) -> list[int]:
    return [1 if extent < 0 else extent for extent in tensor.shape]


def _element(datatype: str) -> object:
    if datatype in _FLOATS:
        return 0.0
    return {"BYTES": "", "BOOL": False}.get(datatype, 0)


def _nested(data: list[object], extents: Sequence[int]) -> list[object]:
    """The flat data in rows, rows of rows and so on, as the shape says."""
    for extent in reversed(extents[1:]):
        data = [data[start : start + extent] for start in range(0, len(data), extent)]
    return data
