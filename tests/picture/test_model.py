"""What the picture holds: entries, what becomes of them, and what uses what."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.cli.project import check_file
from bedplate.compiler import Compiled, compile_project
from bedplate.graph import Graph, Origin, Ref, Resource
from bedplate.picture.model import (
    LINK,
    REFERENCE,
    RESOURCE,
    NotInPicture,
    Picture,
    as_data,
    narrowed,
    picture,
)
from tests.picture.pictures import crossing, flights, of_spec
from tests.spec.cases import MODEL
from tests.whole import REPOSITORY

FRAUD = REPOSITORY / "examples" / "fraud" / "bedplate.yaml"


def addresses(whole: Picture) -> list[str]:
    return [card.address for card in whole.cards()]


def test_entries_stand_in_the_order_of_the_spec_and_stacks_in_that_of_their_application() -> None:
    drawn = of_spec(FRAUD, "prod")
    assert [stack.name for stack in drawn.stacks] == ["base", "models", "serving"]
    assert addresses(drawn) == [
        "environments.prod",
        "models.cards",
        "models.transfers",
        "models.device",
        "serving.payments",
        "serving.device",
    ]
    assert (drawn.project, drawn.environment, drawn.target) == ("fraud", "prod", "kubernetes")


def test_every_resource_of_every_graph_is_in_the_picture_once() -> None:
    for environment in ("local", "staging", "prod"):
        compiled = compile_project(check_file(FRAUD)[0][environment])
        drawn = of_spec(FRAUD, environment)
        for stack in drawn.stacks:
            shown = sorted((p.name, p.type) for card in stack.cards for p in card.parts)
            assert shown == [(r.name, r.type) for r in compiled.graphs[stack.name].resources]
        assert {s for s, graph in compiled.graphs.items() if graph.resources} <= {
            s.name for s in drawn.stacks
        }


def test_a_label_is_the_kind_and_what_tells_it_from_its_like() -> None:
    labels = [p.label for card in of_spec(FRAUD, "prod").cards() for p in card.parts]
    assert labels[:3] == ["Namespace", "NetworkPolicy default-deny", "Artifact"]
    assert [label for label in labels if label.startswith("Service")][:4] == [
        "Service",
        "Service canary",
        "Service stable",
        "ServiceAccount",
    ]


def test_a_service_uses_its_models_and_what_its_texts_refer_to() -> None:
    arrows = [*of_spec(FRAUD, "prod").arrows()]
    assert arrows == [
        ("models.cards", "serving.payments", (LINK, REFERENCE)),
        ("models.transfers", "serving.payments", (LINK, REFERENCE)),
        ("models.device", "serving.device", (LINK,)),
    ]


def test_an_entry_without_a_resource_is_there_all_the_same() -> None:
    pricing = of_spec(REPOSITORY / "examples" / "pricing" / "bedplate.yaml", "prod")
    (models,) = [stack for stack in pricing.stacks if stack.name == "models"]
    assert [(card.address, card.parts) for card in models.cards] == [("models.quote", ())]


def test_a_reference_alone_is_an_arrow_and_a_literal_one_is_none(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path / "delay.onnx")
    (tmp_path / "bedplate.yaml").write_text(
        "version: 1\nproject: flights\nmodels:\n  delay: {path: delay.onnx}\n"
        "  other: {path: delay.onnx}\n  third: {path: delay.onnx}\n"
        "environments: {prod: {target: kubernetes, kubernetes: {context: a, namespace: b}}}\n"
        "serving:\n  delay:\n    model: delay\n    runtime: container\n    image: a/b@sha256:"
        + 64
        * "a"
        + "\n"
        "    container:\n      port: 80\n      health: /\n"
        '      args: ["${models.other.version}", "$${models.third.version}", "${environment.name}"]\n'
    )
    drawn = of_spec(tmp_path / "bedplate.yaml", "prod")
    assert [*drawn.arrows()] == [
        ("models.delay", "serving.delay", (LINK,)),
        ("models.other", "serving.delay", (REFERENCE,)),
    ]


def test_resources_that_depend_on_each_other_connect_their_entries(tmp_path: Path) -> None:
    project = check_file(flights(tmp_path / "flights"))[0]["local"]
    graph = Graph(
        "flights",
        "serving",
        "local",
        (
            Resource("one", "a:b:One", {"url": Ref("two", "url")}),
            Resource("two", "a:b:Two", {}, depends_on=("three",), protect=True),
            Resource("three", "a:b:Three", {}),
        ),
    )
    origins = {name: Origin(f"serving.{entry}", "a", 1, 1) for name, entry in (("one", "x"), ("two", "y"))}
    origins["three"] = origins["two"]
    drawn = picture(project, Compiled("flights", "local", {"serving": graph}, {"serving": origins}))
    found = {card.address: card for card in drawn.cards()}
    assert [*drawn.arrows()] == [("serving.y", "serving.x", (RESOURCE,))]
    assert [(p.label, p.after) for p in found["serving.y"].parts] == [("Three", ()), ("Two", ("three",))]
    assert (found["serving.y"].protected, found["serving.x"].protected) == (True, False)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (["models.cards"], ["models.cards", "serving.payments"]),
        (["serving.payments"], ["models.cards", "models.transfers", "serving.payments"]),
        (
            ["serving.device", "models.cards"],
            ["models.cards", "models.device", "serving.payments", "serving.device"],
        ),
        (["environments.prod"], ["environments.prod"]),
        (["base"], ["environments.prod"]),
        (
            ["models"],
            ["models.cards", "models.transfers", "models.device", "serving.payments", "serving.device"],
        ),
    ],
)
def test_narrowed_to_an_entry_it_shows_what_that_uses_and_what_uses_it(
    asked: list[str], kept: list[str]
) -> None:
    assert addresses(narrowed(of_spec(FRAUD, "prod"), asked)) == kept


def test_what_is_used_at_second_hand_stays_but_not_what_else_uses_it() -> None:
    assert addresses(narrowed(crossing(), ["serving.b"])) == [
        "models.a",
        "models.b",
        "models.c",
        "serving.a",
        "serving.b",
        "later.z",
    ]


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(NotInPicture) as raised:
        narrowed(crossing(), ["serving.a", "serving.d"])
    assert raised.value.address == "serving.d"
    assert {"base", "serving", "serving.a", "environments.prod"} <= {*raised.value.known}


def test_as_data_it_says_where_and_why(tmp_path: Path) -> None:
    data = as_data(of_spec(flights(tmp_path / "flights"), "local"))
    assert data["stacks"] == [
        {
            "name": "base",
            "entries": [
                {
                    "address": "environments.local",
                    "where": "bedplate.yaml:6:3",
                    "uses": [],
                    "resources": [
                        {
                            "name": "supervisor",
                            "type": "bedplate:local:Supervisor",
                            "depends_on": [],
                            "protected": False,
                        }
                    ],
                }
            ],
        },
        {
            "name": "models",
            "entries": [
                {
                    "address": "models.delay",
                    "where": "bedplate.yaml:9:3",
                    "uses": [],
                    "resources": [
                        {
                            "name": "delay",
                            "type": "bedplate:local:Artifact",
                            "depends_on": [],
                            "protected": False,
                        }
                    ],
                }
            ],
        },
        {
            "name": "serving",
            "entries": [
                {
                    "address": "serving.delay",
                    "where": "bedplate.yaml:13:3",
                    "uses": [{"address": "models.delay", "why": ["link"]}],
                    "resources": [
                        {
                            "name": "delay",
                            "type": "bedplate:local:Service",
                            "depends_on": [],
                            "protected": False,
                        }
                    ],
                }
            ],
        },
    ]


def test_an_arrow_from_what_was_left_out_is_none() -> None:
    whole = crossing()
    alone = replace(whole, stacks=whole.stacks[2:3])
    assert [*alone.arrows()] == [("serving.a", "serving.b", (RESOURCE,))]
