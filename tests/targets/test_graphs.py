"""Graphs as they are expected: a case that has a graph.json compiles to just that, in every environment."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bedplate.targets import kubernetes
from tests.compiled import compiled
from tests.spec.cases import Case, all_cases

EXPECTED = "graph.json"
CASES = [case for case in all_cases() if (case.folder / EXPECTED).exists()]
TARGET = Path(kubernetes.__file__).parent
# How the target's source names an object: its API, then its kind.
_OBJECT = re.compile(r'"((?:[a-z0-9.]+/)?[a-z0-9.]+/v[0-9][a-z0-9]*)",\s*"([A-Z][A-Za-z]+)"')


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_compiles_to_its_graphs(case: Case, tmp_path: Path, update: bool) -> None:
    found = {
        environment.environment: {
            section: json.loads(graph.to_json()) for section, graph in environment.graphs.items()
        }
        for environment in compiled(case, tmp_path)
    }
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    if update:
        (case.folder / EXPECTED).write_text(text)

    assert found
    assert text == (case.folder / EXPECTED).read_text()


def test_every_kind_of_object_is_in_a_graph_that_is_expected() -> None:
    sources = "".join(path.read_text() for path in TARGET.glob("*.py"))
    made = {f"kubernetes:{api}:{kind}" for api, kind in _OBJECT.findall(sources)}
    shown = {resource["type"] for case in CASES for resource in resources(case)}

    assert len(made) > 10
    assert made | {"bedplate:remote:Artifact"} == {kind for kind in shown if "bedplate:local:" not in kind}


def resources(case: Case) -> list[dict[str, Any]]:
    graphs = json.loads((case.folder / EXPECTED).read_text()).values()
    return [item for sections in graphs for graph in sections.values() for item in graph["resources"]]
