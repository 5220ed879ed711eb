"""Plain manifests: the objects of the graph, all of them, and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bedplate.graph import Graph, Resource, SecretRef, Value, encode
from bedplate.targets.kubernetes.manifests import manifests
from tests.compiled import compiled
from tests.spec.cases import Case, all_cases

CASES = [case for case in all_cases() if case.name.startswith("kubernetes/")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_documents_are_the_objects_of_the_graph(case: Case, tmp_path: Path) -> None:
    for environment in compiled(case, tmp_path):
        for graph in environment.graphs.values():
            found = manifests(graph)
            documents = [*filter(None, yaml.safe_load_all(found.to_yaml()))]
            others = {resource.name for resource in found.others}
            expected = [encode(each.properties) for each in graph.in_order() if each.name not in others]
            assert documents == expected
            assert all(list(document)[:3] == ["apiVersion", "kind", "metadata"] for document in documents)
            secret = {r.name for r in graph.resources if r.type.endswith(":Secret")}
            remote = {r.name for r in graph.resources if r.type.startswith("bedplate:")}
            assert others == secret | remote


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_libyaml_the_text_is_the_same(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [manifests(graph) for each in compiled(case, tmp_path) for graph in each.graphs.values()]
    texts = [each.to_yaml() for each in found]
    monkeypatch.delattr(yaml, "CSafeDumper")
    assert [each.to_yaml() for each in found] == texts


def test_what_is_secret_is_named_with_where_it_comes_from() -> None:
    metadata: dict[str, Value] = {"name": "delay-secrets", "namespace": "flights"}
    values: dict[str, Value] = {"api-key": SecretRef("key"), "token": SecretRef("token"), "level": "high"}
    secret = Resource(
        "delay-secret",
        "kubernetes:core/v1:Secret",
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values},
    )
    artifact = Resource("delay", "bedplate:remote:Artifact", {"url": "s3://acme/models/x.onnx"})
    sources = {"key": {"env": "KEY"}, "token": {"kubernetes": "tokens", "key": "hub"}}
    graph = Graph("flights", "serving", "prod", (secret, artifact), secrets=sources)
    assert manifests(graph).to_yaml().splitlines() == [
        "# flights, serving in prod; written by bedplate compile --format manifests",
        "# Needed: delay (bedplate:remote:Artifact), which `bedplate up` makes",
        "# Needed: the Secret delay-secrets in flights, with",
        "#   api-key: the secret key, from the environment variable KEY",
        "#   token: the secret token, from the key hub of the Secret tokens",
        "#   level: high",
    ]
