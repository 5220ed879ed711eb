"""The published schema, as the real engine reads it, and numbers that come back exact."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bedplate.engine.launchers import engine_environment, write_launchers
from bedplate.engine.provider.kinds import KINDS
from bedplate.engine.provider.schema import exact, package_schema
from tests.engine.project import ToyProject
from tests.engine.toys import TOYS


def _published(project: ToyProject) -> dict[str, object]:
    ran = subprocess.run(
        [str(project.engine), "package", "get-schema", str(_provider(project)), "--non-interactive"],
        cwd=project.root,
        env=engine_environment(project.workspace),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    schema: dict[str, object] = json.loads(ran.stdout)
    return schema


def _provider(project: ToyProject) -> Path:
    return project.workspace.launchers / "pulumi-resource-bedplate"


def test_the_engine_reads_the_schema_of_toys(project: ToyProject) -> None:
    schema = _published(project)
    toy = schema["resources"]["bedplate:toy:Toy"]  # type: ignore[index]
    assert toy["requiredInputs"] == ["label"]
    assert toy["inputProperties"]["parts"]["items"] == {"$ref": "#/types/bedplate:toy:ToyParts"}
    assert toy["properties"]["token"]["secret"] is True


def test_the_engine_reads_the_schema_of_the_real_provider(project: ToyProject) -> None:
    write_launchers(project.workspace)
    schema = _published(project)
    assert schema["name"] == "bedplate"
    assert set(schema["resources"]) == set(KINDS)  # type: ignore[call-overload]


def test_a_schema_is_the_same_text_each_time() -> None:
    assert package_schema("bedplate", TOYS) == package_schema("bedplate", dict(reversed(list(TOYS.items()))))


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        (3.0, {"type": "integer"}, 3),
        (3.0, {"type": "number"}, 3.0),
        (2.5, {"type": "integer"}, 2.5),
        ([1.0, 2.0], {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ({"a": 1.0}, {"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"a": 1.0}, {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
        ({"a": 1.0}, {}, {"a": 1.0}),
    ],
)
def test_whole_numbers_are_integers_where_the_schema_says_so(
    value: object, schema: dict[str, object], expected: object
) -> None:
    found = exact(value, schema)  # type: ignore[arg-type]
    assert repr(found) == repr(expected)
