"""What holds for every valid case and for the projects that come with bedplate.

The same bytes anywhere, exact round trips, no place of this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bedplate.compiler import BASE
from bedplate.graph import Graph
from bedplate.sections import SECTIONS
from tests.compiled import compiled
from tests.spec.cases import Case, all_cases
from tests.whole import whole_projects

ROOT = Path(__file__).parents[1]
PLACES = [
    {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "4294967295", "LC_ALL": "POSIX", "TZ": "America/St_Johns"},
]


def test_graphs_and_pictures_are_the_same_bytes_under_any_hash_seed_locale_zone_and_folder(
    tmp_path: Path,
) -> None:
    seen = []
    code = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    for number, environment in enumerate(PLACES):
        folder = tmp_path / str(number)
        folder.mkdir()
        ran = subprocess.run(
            [sys.executable, "-m", "tests.compiled"],
            cwd=folder,
            env={**os.environ, **environment, "PYTHONPATH": code, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(json.loads(ran.stdout))
    assert len(seen[0]) > 3 * len(SECTIONS)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("case", [*all_cases(), *whole_projects()], ids=lambda case: case.name)
def test_a_graph_survives_its_text_and_names_no_place(case: Case, tmp_path: Path) -> None:
    for environment in compiled(case, tmp_path):
        assert list(environment.graphs) == [BASE, *SECTIONS]
        for section, graph in environment.graphs.items():
            text = graph.to_json()
            assert Graph.from_json(text) == graph
            assert Graph.from_json(text).to_json() == text
            assert str(tmp_path) not in text
            assert environment.origins[section].keys() <= {r.name for r in graph.resources}


@pytest.mark.parametrize("case", [*all_cases(), *whole_projects()], ids=lambda case: case.name)
def test_no_two_objects_of_a_kind_have_one_name_in_a_cluster(case: Case, tmp_path: Path) -> None:
    for environment in compiled(case, tmp_path):
        resources = [
            r for graph in environment.graphs.values() for r in json.loads(graph.to_json())["resources"]
        ]
        objects = [
            (r["type"], r["properties"]["metadata"].get("namespace"), r["properties"]["metadata"]["name"])
            for r in resources
            if r["type"].startswith("kubernetes:")
        ]
        assert len(objects) == len(set(objects))
        assert [name for _, _, name in objects if len(name) > 63] == []
