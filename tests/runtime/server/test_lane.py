"""The short way gives what the long one gives, to the byte, or gives nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.runtime.server import infer, lane, model
from bedplate.runtime.server.config import LIMITS, parse
from bedplate.runtime.server.lane import Lane
from bedplate.runtime.server.model import RUN_ERRORS, Array, Model
from bedplate.runtime.server.refused import Refused
from tests.runtime.server.served import config, entry
from tests.runtime.server.served_models import Written

WITH = ("positions", "classifier", "double", "byte", "long", "reciprocal", "lookup")
WITHOUT = ("pair", "text", "truth", "half", "halved")

odd = st.sampled_from(
    [3.4028235e38, 3.4028235677973366e38, -3.5e38, 1e-46, 0.0, True, None, "1", [1.0], {"a": 1}]
)
number = (
    st.floats(-5, 5)
    | st.integers(0, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | odd
)


@pytest.fixture(scope="session")
def loaded(zoo: Mapping[str, Written]) -> Mapping[str, Model]:
    told = parse(json.dumps(config([entry(name, zoo[name]) for name in (*WITH, *WITHOUT)])))
    return {file.name: model.load(file, told) for file in told.models}


@st.composite
def body(draw: st.DrawFn, signature: Model) -> bytes:
    """A request in JSON that is right, or nearly so."""
    (tensor,) = signature.inputs
    rows = draw(st.integers(0, 3))
    shape = [rows if extent < 0 else extent for extent in tensor.shape]
    plain = draw(st.sampled_from([st.floats(-5, 5), st.integers(0, 2), number]))
    data = draw(st.lists(plain, min_size=(count := int(np.prod(shape))), max_size=count))
    asked: dict[str, object] = {
        "name": tensor.name,
        "shape": shape,
        "datatype": tensor.datatype,
        "data": data,
    }
    request: dict[str, object] = {"inputs": [asked]}
    if draw(st.booleans()):
        request["id"] = draw(st.text(max_size=4) | st.just("a:b") | st.none() | st.just(3))
    for owner in (asked, request):
        if not draw(st.integers(0, 5)):
            name = draw(
                st.sampled_from(["shape", "data", "datatype", "name", "inputs", "outputs", "parameters", "x"])
            )
            owner[name] = draw(
                st.sampled_from([[], {}, None, 1, "FP32", [1.0], [True], {"a": 1}, [{"name": "out"}]])
            )
    text = json.dumps(request)
    if not draw(st.integers(0, 5)):
        text = text.replace(
            '"data"', '"data": [1], "data"' if draw(st.booleans()) else '"shape": [1], "data"'
        )
    return text.encode()


@pytest.fixture(scope="module")
def lanes(loaded: Mapping[str, Model]) -> Mapping[str, Lane]:
    """One for all requests, as a worker has it: nothing of a request may be seen in the next one."""
    return {name: Lane(loaded[name], LIMITS) for name in WITH}


@pytest.mark.parametrize("name", WITH)
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_it_gives_what_the_long_way_gives_or_nothing(
    loaded: Mapping[str, Model], lanes: Mapping[str, Lane], name: str, data: st.DataObject
) -> None:
    its, short = loaded[name], lanes[name]
    text = data.draw(body(its))
    read = short.read(text)
    if read is None:
        return
    expected = infer.read(text, its, LIMITS)  # which must not refuse it
    (array,), (same,) = expected.feeds.values(), read.request.feeds.values()
    assert (array.dtype, array.shape, array.tobytes()) == (same.dtype, same.shape, same.tobytes())
    assert (read.request.id, read.elements) == (expected.id, array.size)
    assert read.request.outputs == expected.outputs
    try:
        right = its.run(expected.feeds, [output.name for output in its.outputs])
    except RUN_ERRORS as error:
        with pytest.raises(type(error)):
            read.bound.run()
        return
    found = read.bound.run()
    assert [(one.dtype, one.shape, one.tobytes()) for one in found] == [
        (one.dtype, one.shape, one.tobytes()) for one in right
    ]
    answer = short.answer("a1", found)
    try:
        assert answer in (None, infer.answer(its, expected, "a1", right).body)
    except Refused:
        assert answer is None


def test_runs_after_the_first_write_where_that_did(loaded: Mapping[str, Model]) -> None:
    short = Lane(loaded["classifier"], LIMITS)
    totals = []
    for values in ([1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 1]):
        total, _ = asked(short, "x", [1, 4], "FP32", values)
        totals.append((id(total), total.tolist()))
    assert [values for _, values in totals] == [[10.0], [26.0], [1.0]]
    assert len({its for its, _ in totals}) == 1


def test_what_fails_leaves_the_next_run_as_it_was(loaded: Mapping[str, Model]) -> None:
    short = Lane(loaded["lookup"], LIMITS)
    assert asked(short, "index", [2], "INT64", [2, 0])[0].tolist() == [2.0, 0.0]
    for _ in range(2):
        with pytest.raises(RUN_ERRORS):
            asked(short, "index", [2], "INT64", [0, 99])
        assert asked(short, "index", [2], "INT64", [1, 2])[0].tolist() == [1.0, 2.0]


def test_outputs_may_be_as_large_as_the_values_say(loaded: Mapping[str, Model]) -> None:
    short = Lane(loaded["positions"], LIMITS)
    for values in ([0, 1, 1], [1, 1, 1], [0, 0, 0], [1, 0, 0]):
        (at,) = asked(short, "x", [3], "FP32", values)
        assert at.tolist() == [[index for index, value in enumerate(values) if value]]


def asked(short: Lane, name: str, shape: list[int], datatype: str, data: list[int]) -> Sequence[Array]:
    entry = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    read = short.read(json.dumps({"inputs": [entry]}).encode())
    assert read is not None
    return read.bound.run()


@pytest.mark.parametrize("name", WITH)
def test_it_takes_what_it_is_for(loaded: Mapping[str, Model], name: str) -> None:
    its = loaded[name]
    (tensor,) = its.inputs
    shape = [1 if extent < 0 else extent for extent in tensor.shape]
    told = {
        "name": tensor.name,
        "shape": shape,
        "datatype": tensor.datatype,
        "data": [1] * int(np.prod(shape)),
    }
    short = lane.lane(its, LIMITS)
    assert short is not None
    for more in ({}, {"id": "a"}):
        read = short.read(json.dumps({**more, "inputs": [told]}).encode())
        assert read is not None
        assert short.answer("a", read.bound.run()) is not None


@pytest.mark.parametrize("rows", [256, 257])
def test_it_takes_a_thousand_elements(loaded: Mapping[str, Model], rows: int) -> None:
    its, short = loaded["classifier"], Lane(loaded["classifier"], LIMITS)
    data = np.random.default_rng(rows).standard_normal(rows * 4).tolist()
    told = {"name": "x", "shape": [rows, 4], "datatype": "FP32", "data": data}
    text = json.dumps({"inputs": [told]}).encode()
    read = short.read(text)
    if rows > 256:
        assert read is None
        return
    assert read is not None
    expected = infer.read(text, its, LIMITS)
    right = its.run(expected.feeds, [output.name for output in its.outputs])
    assert short.answer("a1", read.bound.run()) == infer.answer(its, expected, "a1", right).body


def test_a_long_body_is_read_once_and_by_the_long_way(loaded: Mapping[str, Model]) -> None:
    short = Lane(loaded["classifier"], LIMITS)
    told = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    text = json.dumps({"inputs": [told]}).encode()
    assert short.read(text) is not None
    assert short.read(text + b" " * 2**15) is None


@pytest.mark.parametrize("name", WITHOUT)
def test_others_have_none(loaded: Mapping[str, Model], name: str) -> None:
    assert lane.lane(loaded[name], LIMITS) is None


def test_it_keeps_to_the_limit_of_elements(loaded: Mapping[str, Model]) -> None:
    few = LIMITS.__class__(LIMITS.body_bytes, LIMITS.in_flight, 3)
    told = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    assert Lane(loaded["classifier"], few).read(json.dumps({"inputs": [told]}).encode()) is None


@pytest.mark.parametrize("shape", ["[1, 4]", [True, 4], [1.0, 4], {"1": 4}, None])
def test_a_shape_is_a_list_of_whole_numbers(loaded: Mapping[str, Model], shape: object) -> None:
    short = Lane(loaded["classifier"], LIMITS)
    asked(short, "x", [1, 4], "FP32", [1, 2, 3, 4])
    told = {"name": "x", "shape": shape, "datatype": "FP32", "data": [1, 2, 3, 4]}
    assert short.read(json.dumps({"inputs": [told]}).encode()) is None
