"""Frames, records and tables: what goes in comes out, whatever is cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bedplate.runtime.server.infer import Answer, Request, Wanted
from bedplate.runtime.server.model import DATATYPES, Array, Tensor
from bedplate.runtime.server.predictions import frames, tables
from bedplate.runtime.server.predictions.alike import alike
from bedplate.runtime.server.predictions.records import Records

DTYPES = dict(DATATYPES.values())
SECONDS = 1_700_000_000.0

Asked = tuple[str, str | None, Request | None, list[Array]]


@dataclass(frozen=True)
class Signature:
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    name: str = "delay"
    version: str = "7"

    def __hash__(self) -> int:
        return id(self)


def tensor(name: str, datatype: str) -> Tensor:
    return Tensor(name, datatype, (-1,), DTYPES[datatype])


def values(datatype: str) -> st.SearchStrategy[Array]:
    shapes = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    if datatype == "BYTES":
        # hypothesis fills object arrays with whatever the strategy gives
        return arrays(np.object_, shapes, elements=st.text(max_size=5), fill=st.nothing())
    return arrays(DTYPES[datatype], shapes)


def kept(shown: Mapping[str, object] | None, array: Array | None, datatype: str) -> None:
    """Fail unless what a row shows of a tensor is the array."""
    if array is None:
        assert shown is None
        return
    assert shown is not None
    assert shown["shape"] == list(array.shape)
    flat = array.reshape(-1)
    if datatype == "BYTES":
        assert shown["data"] == flat.tolist()
    else:
        np.testing.assert_array_equal(np.array(shown["data"], flat.dtype), flat)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Signature, list[Asked]]:
    """A signature, and requests that have its inputs and ask for some of its outputs, or have failed."""
    types = st.lists(st.sampled_from(sorted(DTYPES)), min_size=1, max_size=2)
    inputs = [tensor(f"in {at}", kind) for at, kind in enumerate(draw(types))]
    outputs = [tensor(f"out {at}", kind) for at, kind in enumerate(draw(types))]
    found: list[Asked] = []
    for number in range(draw(st.integers(1, 4))):
        identity, client = f"id-{number}", draw(st.none() | st.text(max_size=4))
        if draw(st.booleans()):
            found.append((identity, None, None, []))
            continue
        feeds = {one.name: draw(values(one.datatype)) for one in inputs}
        some = draw(st.permutations(outputs))[: draw(st.integers(1, len(outputs)))]
        request = Request(client, feeds, [Wanted(one, False) for one in some])
        found.append((identity, client, request, [draw(values(one.datatype)) for one in some]))
    return Signature(inputs, outputs), found


@given(asked())
@settings(max_examples=200, deadline=None)
def test_any_tensors_are_read_as_they_were(
    case: tuple[Signature, list[Asked]],
) -> None:
    signature, requests = case
    records = Records(signature)
    for identity, client, request, found in requests:
        shapes = kinds = None
        if request is not None:
            taken = records.kept(request, found, 2**20)
            assert taken is not None
            _, shapes, kinds = taken
        records.taken.append((identity, client, None, "ok", 200, SECONDS, 0.25, False, shapes, kinds))
    (part,) = tables.parts(frames.unpack(records.pack()).frames)
    part.table.validate(full=True)
    assert (part.model, part.date) == ("delay", datetime(2023, 11, 14, 22, tzinfo=UTC))
    for row, (identity, client, request, found) in zip(part.table.to_pylist(), requests, strict=True):
        assert (row["request_id"], row["client_id"], row["arm"]) == (identity, client, None)
        assert (row["model"], row["version"], row["outcome"], row["status"]) == ("delay", "7", "ok", 200)
        assert row["timestamp"] == datetime.fromtimestamp(SECONDS, UTC)
        if request is None:
            assert (row["inputs"], row["outputs"]) == (None, None)
            continue
        answers = {wanted.tensor.name: array for wanted, array in zip(request.outputs, found, strict=True)}
        for one in signature.inputs:
            kept(row["inputs"][one.name], request.feeds[one.name], one.datatype)
        for one in signature.outputs:
            kept(row["outputs"][one.name], answers.get(one.name), one.datatype)


def test_the_schema_is_the_documented_one() -> None:
    signature = Signature([tensor("x", "FP16")], [tensor("label", "BYTES")])
    records = Records(signature)
    records.taken.append(("a", None, None, "failed", 500, SECONDS, 0.1, False, None, None))
    (part,) = tables.parts(frames.unpack(records.pack()).frames)

    def of(kind: pa.DataType) -> pa.DataType:
        return pa.struct([("shape", pa.list_(pa.int64())), ("data", pa.list_(kind))])

    assert part.table.schema == pa.schema(
        [
            ("request_id", pa.string()),
            ("client_id", pa.string()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("model", pa.string()),
            ("version", pa.string()),
            ("arm", pa.string()),
            ("outcome", pa.string()),
            ("status", pa.int16()),
            ("latency_s", pa.float64()),
            ("omitted", pa.bool_()),
            ("inputs", pa.struct([("x", of(pa.float32()))])),
            ("outputs", pa.struct([("label", of(pa.string()))])),
        ]
    )


def test_hours_become_parts_of_their_own() -> None:
    records = Records(Signature([tensor("x", "FP32")], []))
    for number, moment in enumerate((7199.999, 7200.0, 7199.5, 10_800.0)):
        records.taken.append((str(number), None, None, "ok", 200, moment, 0.1, False, None, None))
    found = {part.hour: part.table["request_id"].to_pylist() for part in tables.parts(_frames(records))}
    assert found == {1: ["0", "2"], 2: ["1"], 3: ["3"]}


def _frames(records: Records) -> Sequence[frames.Frame]:
    return frames.unpack(records.pack()).frames


def test_a_file_that_was_cut_off_anywhere_has_its_whole_frames() -> None:
    packed = [frames.pack({"rows": number}, [b"x" * number, b"", b"yy"]) for number in range(3)]
    data, ends = b"".join(packed), [sum(map(len, packed[:count])) for count in range(4)]
    for length in range(len(data) + 1):
        found = frames.unpack(data[:length])
        whole = sum(end <= length for end in ends[1:])
        assert [frame.meta["rows"] for frame in found.frames] == list(range(whole))
        assert found.whole_bytes == ends[whole]


@pytest.mark.parametrize("at", range(0, 120, 3))
def test_a_flipped_bit_is_never_read(at: int) -> None:
    data = bytearray(frames.pack({"rows": 1}, [b"some bytes", b"others"]))
    if at >= len(data):
        return
    data[at] ^= 1
    assert frames.unpack(bytes(data)).frames == []


def test_what_is_too_large_is_not_copied() -> None:
    signature = Signature([tensor("x", "FP32")], [tensor("y", "BYTES")])
    request = Request(None, {"x": np.zeros(4, np.float32)}, [Wanted(signature.outputs[0], False)])
    text = np.array(["four"], object)
    assert Records(signature).kept(request, [text], 19) is None
    taken = Records(signature).kept(request, [text], 20)
    assert taken is not None
    assert taken[0] == 20


@given(asked())
@settings(max_examples=200, deadline=None)
def test_what_is_alike_is_read_as_it_was(case: tuple[Signature, list[Asked]]) -> None:
    signature, requests = case
    like = None
    taken: list[tuple[str, Answer]] = []
    for identity, _, request, found in requests:
        if request is None:
            continue
        answer = Answer(b"", request, found)
        if like is None:
            like = alike(signature, "arm", answer, 2**20)
        if like is not None and like.take(identity, "arm", SECONDS, 0.25, answer):
            assert not like.take(identity, "another arm", SECONDS, 0.25, answer)
            taken.append((identity, answer))
    if like is None:
        return
    assert like.rows == len(taken) > 0
    (part,) = tables.parts(frames.unpack(like.pack()).frames)
    part.table.validate(full=True)
    for row, (identity, answer) in zip(part.table.to_pylist(), taken, strict=True):
        assert (row["request_id"], row["client_id"], row["arm"]) == (identity, answer.request.id, "arm")
        assert (row["outcome"], row["status"], row["latency_s"], row["omitted"]) == ("ok", 200, 0.25, False)
        assert row["timestamp"] == datetime.fromtimestamp(SECONDS, UTC)
        for one in signature.inputs:
            kept(row["inputs"][one.name], answer.request.feeds[one.name], one.datatype)
        for one, array in zip(signature.outputs, answer.arrays, strict=True):
            kept(row["outputs"][one.name], array, one.datatype)


def test_answers_that_are_too_large_are_not_alike() -> None:
    signature = Signature([tensor("x", "FP32")], [])
    answer = Answer(b"", Request(None, {"x": np.zeros(4, np.float32)}, []), [])
    assert alike(signature, None, answer, 15) is None
    assert alike(signature, None, answer, 16) is not None


def test_arrays_that_are_used_again_are_kept_with_the_values_that_they_had() -> None:
    signature = Signature([tensor("x", "FP32")], [tensor("y", "INT64")])
    x, y = np.zeros(2, np.float32), np.zeros(1, np.int64)
    asked_for = [Wanted(signature.outputs[0], False)]
    answer = Answer(b"", Request(None, {"x": x}, asked_for), [y])
    like = alike(signature, None, answer, 2**20)
    assert like is not None
    for number in range(3):
        x[:], y[:] = number / 2, number
        assert like.take(str(number), None, SECONDS, 0.25, answer)
    other = Answer(b"", Request(None, {"x": np.zeros(3, np.float32)}, asked_for), [y])
    assert not like.take("3", None, SECONDS, 0.25, other)
    assert like.take("4", None, SECONDS, 0.25, answer)
    (part,) = tables.parts(frames.unpack(like.pack()).frames)
    rows = part.table.to_pylist()
    assert [row["request_id"] for row in rows] == ["0", "1", "2", "4"]
    for row, number in zip(rows, (0, 1, 2, 2), strict=True):
        kept(row["inputs"]["x"], np.full(2, number / 2, np.float32), "FP32")
        kept(row["outputs"]["y"], np.full(1, number, np.int64), "INT64")
