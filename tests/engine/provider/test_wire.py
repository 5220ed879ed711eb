from __future__ import annotations

from google.protobuf.struct_pb2 import Struct
from google.protobuf.struct_pb2 import Value as Wire
from hypothesis import given
from hypothesis import strategies as st

from bedplate.engine.provider.wire import UNKNOWN, Decoded, Secret, decode, encode, plain

leaves = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.just(UNKNOWN)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc.é", max_size=4), inner) | inner.map(Secret),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abcxyz"), values))
def test_what_is_encoded_is_decoded(properties: dict[str, Decoded]) -> None:
    wire = Struct(fields={key: encode(value) for key, value in properties.items()})
    assert decode(Struct.FromString(wire.SerializeToString())) == properties


def test_nulls_are_absent() -> None:
    null = Wire(null_value=0)  # type: ignore[arg-type]
    assert decode(Struct(fields={"a": null, "b": Wire(string_value="x")})) == {"b": "x"}


def test_plain_uncovers_secrets_and_spreads_the_unknown() -> None:
    assert plain({"a": [Secret("x"), 1.0], "b": Secret({"c": True})}) == {"a": ["x", 1.0], "b": {"c": True}}
    assert plain({"a": [1.0, Secret(UNKNOWN)]}) is UNKNOWN
