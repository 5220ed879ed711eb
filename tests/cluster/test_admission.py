"""A real API server takes every object that a case or an example compiles to, and its pods as restricted ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.graph import Graph, SecretRef, Value
from bedplate.targets.kubernetes.manifests import manifests
from tests.cluster.api import Api, Json
from tests.cluster.control_plane import Cluster
from tests.compiled import compiled
from tests.spec.cases import Case, all_cases
from tests.whole import whole_projects

CASES = [
    case
    for case in (*all_cases(), *whole_projects())
    if (spec := case.folder / "bedplate.yaml").exists() and b"kubernetes:" in spec.read_bytes()
]
OWNERS = ("Deployment", "Rollout")


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Api]:
    with cluster.client as client:
        yield Api(client)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_api_server_takes_what_is_compiled(case: Case, tmp_path: Path, api: Api) -> None:
    for environment in compiled(case, tmp_path):
        for graph in environment.graphs.values():
            for content in objects(graph):
                if content["kind"] in ("Namespace", "ServiceAccount"):  # which others need to be there
                    made = api.apply(content)
                    assert made.is_success, made.text
                answer = api.apply(content, dry=True)
                assert answer.is_success, f"{content['kind']} {content['metadata']['name']}: {answer.text}"
                if content["kind"] in OWNERS:
                    admitted(api, content)


def test_a_namespace_of_ours_admits_no_pod_that_is_not_restricted(tmp_path: Path, api: Api) -> None:
    case = next(case for case in CASES if case.name == "kubernetes/plain")
    (environment,) = compiled(case, tmp_path)
    found = [content for graph in environment.graphs.values() for content in objects(graph)]
    for content in found:
        if content["kind"] in ("Namespace", "ServiceAccount"):
            assert api.apply(content).is_success
    deployment = next(content for content in found if content["kind"] == "Deployment")
    loose = copy.deepcopy(pod(deployment))
    loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    answer = api.apply(loose, dry=True)
    assert answer.status_code == 403
    assert "allowPrivilegeEscalation" in answer.text


def objects(graph: Graph) -> list[Json]:
    """What is applied of a graph, with a text in place of each secret's value."""
    found = manifests(graph)
    secrets = [plain(each.properties) for each in found.others if each.type.endswith(":Secret")]
    return [*secrets, *found.objects]


def plain(value: Value) -> Any:
    if isinstance(value, SecretRef):
        return "secret"
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def pod(owner: Json) -> dict[str, Any]:
    """The pod that a controller would make for it."""
    template, metadata = owner["spec"]["template"], owner["metadata"]
    named = {**template["metadata"], "name": f"{metadata['name']}-0", "namespace": metadata["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": template["spec"]}


def admitted(api: Api, owner: Json) -> None:
    found = pod(owner)
    if (priority := found["spec"].get("priorityClassName")) is not None:  # a cluster's own, as its nodes are
        named = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": priority},
        }
        assert api.apply({**named, "value": 1000}).is_success
    answer = api.apply(found, dry=True)
    assert answer.is_success, f"the pods of {owner['metadata']['name']}: {answer.text}"
