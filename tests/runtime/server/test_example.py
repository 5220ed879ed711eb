"""The example of a signature is a request that the server takes, whatever the signature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.runtime.server import infer
from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.example import MOST_ELEMENTS, example
from bedplate.runtime.server.model import DATATYPES, Tensor

LIMITS = Limits(body_bytes=2**20, in_flight=1, elements=MOST_ELEMENTS)
DTYPES = dict(DATATYPES.values())


@dataclass(frozen=True)
class Signature:
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    name: str = field(default="any")
    version: str = field(default="1")


def tensor(name: str, datatype: str, *shape: int) -> Tensor:
    return Tensor(name, datatype, shape, DTYPES[datatype])


def tensors(role: str) -> st.SearchStrategy[tuple[Tensor, ...]]:
    names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
    shapes = st.lists(st.sampled_from([-1, 0, 1, 2, 3]), max_size=4)
    one = st.builds(
        lambda name, datatype, shape: tensor(role + name, datatype, *shape),
        names,
        st.sampled_from(sorted(DTYPES)),
        shapes,
    )
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda made: made.name).map(tuple)


@given(tensors("i"), tensors("o"))
def test_the_example_of_any_signature_is_taken(
    inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> None:
    made = example(inputs, outputs)
    mute = [any(t.datatype == "FP16" for t in inputs), all(t.datatype == "FP16" for t in outputs)]
    assert (made.request is None) is any(mute)
    if made.request is None:
        assert made.note is not None
        return
    request = infer.read(made.request.encode(), Signature(inputs, outputs), LIMITS)
    for one in inputs:
        array = request.feeds[one.name]
        assert array.shape == tuple(1 if extent < 0 else extent for extent in one.shape)
        assert array.dtype == one.dtype
        assert not array.any()
    assert [wanted.tensor for wanted in request.outputs] == [t for t in outputs if t.datatype != "FP16"]


def test_it_is_laid_out_with_an_input_a_line() -> None:
    inputs = (tensor("x", "FP32", -1, 2), tensor("naïve", "BYTES", 2), tensor("on", "BOOL"))
    made = example(inputs, (tensor("y", "FP32", -1),))
    assert made.note is None
    assert made.request == (
        '{\n  "inputs": [\n'
        '    {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [[0.0, 0.0]]},\n'
        '    {"name": "naïve", "datatype": "BYTES", "shape": [2], "data": ["", ""]},\n'
        '    {"name": "on", "datatype": "BOOL", "shape": [], "data": [false]}\n'
        "  ]\n}"
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ((tensor("h", "FP16", 1),), (tensor("y", "FP32", 1),), "input 'h' is FP16"),
        ((tensor("x", "FP32", 1),), (tensor("h", "FP16", 1),), "output 'h' is FP16"),
        (
            (tensor("x", "FP32", 3, 224, 224),),
            (tensor("y", "FP32", 1),),
            f"{math.prod((3, 224, 224))} elements",
        ),
    ],
)
def test_where_there_is_none_it_says_why(
    inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], words: str
) -> None:
    made = example(inputs, outputs)
    assert made.request is None
    assert words in (made.note or "")


def test_an_output_without_a_json_form_is_left_out() -> None:
    made = example((tensor("x", "FP32", 1),), (tensor("y", "FP32", 1), tensor("h", "FP16", 1)))
    assert '"outputs": [\n    {"name": "y"}\n  ]' in (made.request or "")
    assert made.note == "'h' left out: FP16 has no JSON form"
