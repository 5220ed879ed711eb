"""The Graph: canonical, exact, and unable to hold what it must not."""

from __future__ import annotations

import math
from types import MappingProxyType

import pytest

from bedplate.graph import Graph, GraphError, Ref, Resource, SecretRef, Value, mappings, refs, secret_refs


def graph(*resources: Resource, **more: object) -> Graph:
    return Graph("flights", "serving", "local", resources, **more)  # type: ignore[arg-type]


def resource(name: str, **properties: object) -> Resource:
    return Resource(name, "bedplate:local:Service", properties)  # type: ignore[arg-type]


def test_json_round_trip_keeps_everything() -> None:
    full = graph(
        Resource(
            "b",
            "bedplate:local:Service",
            {"port": Ref("a", "port"), "key": SecretRef("k"), "list": (1, 2.5, True, "x")},
            depends_on=("a",),
            protect=True,
            ignore_changes=("replicas",),
            aliases=("old",),
            import_id="b@1",
        ),
        resource("a"),
        outputs={"url": Ref("a", "url")},
        secrets={"k": {"env": "K"}},
    )
    assert Graph.from_json(full.to_json()) == full


def test_order_of_resources_and_keys_does_not_change_the_bytes() -> None:
    one = graph(resource("a", x=1, y=2), resource("b"))
    two = graph(resource("b"), resource("a", y=2, x=1))
    assert one.to_json() == two.to_json()
    assert one.digest == two.digest


@pytest.mark.parametrize(
    "value",
    [
        None,
        math.nan,
        math.inf,
        2**53 + 1,
        {"$ref": "x"},
        {1: "x"},
        object(),
        {"deep": [{"er": None}]},
        MappingProxyType({"no": "dict"}),
        range(2),
    ],
)
def test_refuses_what_json_or_the_engine_would_change(value: object) -> None:
    with pytest.raises(GraphError):
        graph(resource("a", value=value))


def test_accepts_the_largest_exact_integer() -> None:
    assert str(2**53) in graph(resource("a", value=2**53)).to_json()


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ((resource("a"), resource("a")), "two resources"),
        ((resource("a", x=Ref("b", "id")),), "not in the graph"),
        ((resource("a", x=SecretRef("s")),), "no source"),
        ((resource("a", x=Ref("b", "id")), resource("b", x=Ref("a", "id"))), "depend on each other"),
    ],
)
def test_refuses_what_cannot_be_applied(resources: tuple[Resource, ...], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        graph(*resources)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', "\0"])
def test_what_is_no_graph_is_said_so(text: str) -> None:
    with pytest.raises(GraphError):
        Graph.from_json(text)


def test_in_order_puts_dependencies_first() -> None:
    chain = graph(resource("a", x=Ref("c", "id")), resource("b"), resource("c", x=Ref("b", "id")))
    assert [r.name for r in chain.in_order()] == ["b", "c", "a"]


def test_what_is_inside_a_value_is_found_at_every_depth() -> None:
    inner: Value = {"port": Ref("a", "port"), "words": ("x", 1, True)}
    value: Value = {"list": [inner, (SecretRef("k"), Ref("b", "id"))], "text": "x"}
    assert refs(value) == [Ref("a", "port"), Ref("b", "id")]
    assert secret_refs(value) == [SecretRef("k")]
    assert mappings(value) == [value, inner]
    assert refs(Ref("a", "id")) == [Ref("a", "id")]
    assert not [*mappings("text"), *refs("text")]
