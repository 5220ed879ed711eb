"""Requests as bytes, without a server: whatever comes is answered or refused, never a surprise."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.runtime.server import infer
from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.model import DATATYPES, Tensor
from bedplate.runtime.server.refused import Refused
from tests.runtime.server.served import tensor

LIMITS = Limits(body_bytes=2**20, in_flight=8, elements=1000)
KINDS = dict(DATATYPES.values())


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    name: str = "m"
    version: str = "1"


def signature(datatype: str = "FP32", shape: tuple[int, ...] = (-1, 2)) -> Signature:
    one = (Tensor("x", datatype, shape, KINDS[datatype]),)
    return Signature(one, one)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def spoiled(members: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The members, each of them as it is, anything else, or not there."""
    return st.fixed_dictionaries(
        {}, optional={name: st.just(value) | anything for name, value in members.items()}
    )


requests = st.fixed_dictionaries(
    {"inputs": st.lists(spoiled(tensor("x", "FP32", [1, 2], [1, 2.5])), max_size=2) | anything},
    optional={"id": anything, "parameters": anything, "outputs": st.just([{"name": "x"}]) | anything},
)


@settings(max_examples=500)
@given(requests)
def test_any_json_is_read_or_refused(tree: dict[str, Any]) -> None:
    with suppress(Refused):
        found = infer.read(json.dumps(tree).encode(), signature(), LIMITS)
        assert found.feeds["x"].shape == tuple(tree["inputs"][0]["shape"])
        assert found.feeds["x"].dtype == np.float32


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        infer.read(body, signature(), LIMITS)


numbers = {
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    "BOOL": st.booleans(),
    "BYTES": st.text(max_size=8),
    "INT8": st.integers(-(2**7), 2**7 - 1),
    "UINT8": st.integers(0, 2**8 - 1),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "UINT64": st.integers(0, 2**64 - 1),
}


@given(st.data(), st.sampled_from(sorted(numbers)), st.integers(0, 4), st.booleans())
def test_what_goes_in_comes_out(data: st.DataObject, datatype: str, rows: int, nested: bool) -> None:
    values = data.draw(st.lists(numbers[datatype], min_size=2 * rows, max_size=2 * rows))
    given_data = [values[2 * i : 2 * i + 2] for i in range(rows)] if nested else values
    body = json.dumps({"id": "a", "inputs": [tensor("x", datatype, [rows, 2], given_data)]}).encode()
    kind = signature(datatype)
    request = infer.read(body, kind, LIMITS)
    answer = json.loads(infer.answer(kind, request, "a", [request.feeds["x"]]).body)
    (output,) = answer["outputs"]
    assert output["shape"] == [rows, 2]
    if datatype == "FP32":
        assert np.array_equal(np.array(output["data"], np.float32), np.array(values, np.float32))
    else:
        assert output["data"] == values


def test_a_view_that_is_not_contiguous_is_written_in_row_order() -> None:
    kind = signature("INT64", (2, 2))
    body = json.dumps({"inputs": [tensor("x", "INT64", [2, 2], [1, 2, 3, 4])]}).encode()
    request = infer.read(body, kind, LIMITS)
    answer = json.loads(infer.answer(kind, request, "a", [request.feeds["x"].T]).body)
    assert answer["outputs"][0]["data"] == [1, 3, 2, 4]


@pytest.mark.parametrize("twice", ["inputs", "id", "name", "shape", "data", "parameters", "a"])
def test_each_member_counts_once(twice: str) -> None:
    good = json.dumps({"id": "q:r", "inputs": [tensor("x", "FP32", [1, 2], [1, 2], parameters={"a": 1})]})
    infer.read(good.encode(), signature(), LIMITS)
    doubled = good.replace(f'"{twice}": ', f'"{twice}": 0, "{twice}": ', 1)
    with pytest.raises(Refused, match="given twice"):
        infer.read(doubled.encode(), signature(), LIMITS)


def binary_body(tree: dict[str, Any], *blobs: bytes) -> tuple[bytes, int]:
    text = json.dumps(tree).encode()
    return b"".join((text, *blobs)), len(text)


def as_bytes(values: list[Any], datatype: str) -> bytes:
    """By the words of the extension, not by our own code."""
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)
    return np.array(values, KINDS[datatype]).astype(np.dtype(KINDS[datatype]).newbyteorder("<")).tobytes()


numbers_with_nan = {
    **numbers,
    "FP16": st.floats(width=16),
    "FP32": st.floats(width=32),
    "FP64": st.floats(),
}


@given(st.data(), st.sampled_from(sorted(numbers_with_nan)), st.integers(0, 4))
def test_what_goes_in_as_bytes_comes_out_as_the_same_bytes(
    data: st.DataObject, datatype: str, rows: int
) -> None:
    values = data.draw(st.lists(numbers_with_nan[datatype], min_size=2 * rows, max_size=2 * rows))
    blob = as_bytes(values, datatype)
    entry = {"name": "x", "datatype": datatype, "shape": [rows, 2]}
    parameters = {"binary_data_size": len(blob)}
    body, size = binary_body(
        {"inputs": [{**entry, "parameters": parameters}], "parameters": {"binary_data_output": True}}, blob
    )
    kind = signature(datatype)
    request = infer.read(body, kind, LIMITS, size)
    answer = infer.answer(kind, request, "a", [request.feeds["x"]])
    assert answer.json_bytes is not None
    (output,) = json.loads(answer.body[: answer.json_bytes])["outputs"]
    assert output == {"name": "x", "datatype": datatype, "shape": [rows, 2], "parameters": parameters}
    assert answer.body[answer.json_bytes :] == blob


pieces = st.builds(
    lambda tree, rest, cut: (json.dumps(tree).encode() + rest, cut),
    st.fixed_dictionaries(
        {
            "inputs": st.lists(
                spoiled(
                    {
                        "name": "x",
                        "datatype": "FP32",
                        "shape": [1, 2],
                        "data": None,
                        "parameters": {"binary_data_size": 8},
                    }
                ),
                max_size=2,
            )
        },
        optional={"parameters": anything, "outputs": anything},
    ),
    st.binary(max_size=24),
    st.integers(0, 300),
)


@settings(max_examples=500)
@given(pieces, st.sampled_from(sorted(KINDS)), st.booleans())
def test_any_binary_body_is_read_or_refused(piece: tuple[bytes, int], datatype: str, exact: bool) -> None:
    body, cut = piece
    size = body.rindex(b"}") + 1 if exact else cut
    with suppress(Refused):
        infer.read(body, signature(datatype), LIMITS, size)


@given(st.binary(max_size=64), st.sampled_from(sorted(KINDS)))
def test_any_raw_body_is_read_or_refused(body: bytes, datatype: str) -> None:
    for shape in ((-1,), (1,), (-1, 2), (2, -1, 3), (0, -1), ()):
        with suppress(Refused):
            request = infer.read(body, signature(datatype, shape), LIMITS, 0)
            array = request.feeds["x"]
            assert len(array.shape) == len(shape)
            assert datatype == "BYTES" or array.nbytes == len(body)
