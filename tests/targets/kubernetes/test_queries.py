"""What gates and autoscalers ask Prometheus for is what servers count, by labels that their series have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.runtime import server
from tests.compiled import compiled
from tests.spec.cases import ROOT, Case

COUNTING = Path(server.__file__).with_name("metrics.py")
# Of the target that Prometheus scrapes, whoever it is; of the series itself, the answer's code.
ALWAYS = {"namespace", "code"}


@pytest.fixture(scope="module", params=["canary", "container-with-metrics"])
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    case = Case(ROOT / "kubernetes" / str(request.param))
    (environment,) = compiled(case, tmp_path_factory.mktemp("case"))
    resources = json.loads(environment.graphs["serving"].to_json())["resources"]
    return [resource["properties"] for resource in resources]


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] in kinds]


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def queries(objects: list[dict[str, Any]]) -> list[str]:
    asking = of_kind(objects, "AnalysisTemplate", "ScaledObject")
    return [text for text in texts(asking) if "bedplate_" in text]


def test_every_label_in_a_query_is_on_the_series(objects: list[dict[str, Any]]) -> None:
    carried = texts([item["spec"]["podTargetLabels"] for item in of_kind(objects, "PodMonitor")])
    known = ALWAYS | {re.sub(r"[^a-zA-Z0-9_]", "_", label) for label in carried}
    asked = {label for query in queries(objects) for label in re.findall(r'(\w+)=~?"', query)}

    assert {"app_kubernetes_io_name", "rollouts_pod_template_hash", "namespace"} <= asked <= known


def test_every_series_in_a_query_is_one_that_servers_have(objects: list[dict[str, Any]]) -> None:
    asked = {name for query in queries(objects) for name in re.findall(r"bedplate_\w+", query)}
    instruments = {re.sub("_(total|bucket)$", "", name) for name in asked}

    assert instruments == {"bedplate_requests", "bedplate_request_duration_seconds", "bedplate_in_flight"}
    assert [name for name in instruments if f'"{name}"' not in COUNTING.read_text()] == []


def test_prometheus_may_ask_the_pods_that_it_watches(objects: list[dict[str, Any]]) -> None:
    watched = {item["metadata"]["name"] for item in of_kind(objects, "PodMonitor")}
    anywhere = {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": "http"}]}
    policies = of_kind(objects, "NetworkPolicy")
    open_to_it = {p["metadata"]["name"] for p in policies if anywhere in p["spec"]["ingress"]}

    assert watched == open_to_it != set()
