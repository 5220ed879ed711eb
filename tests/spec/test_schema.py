"""The published schema says what the models say: what one refuses structurally, the other refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bedplate._resources import resource
from bedplate.sections import SECTIONS
from bedplate.spec.load import load
from bedplate.spec.schema import schema, to_text
from bedplate.spec.validate import validate
from tests.spec.cases import Case, all_cases
from tests.spec.instance import instance

# What shape, type and spelling of one place decide; the others compare places, files or exact values.
STRUCTURAL = {
    "BP020",
    "BP021",
    "BP022",
    "BP023",
    "BP025",
    "BP026",
    "BP027",
    "BP101",
    "BP109",
    "BP110",
    "BP111",
}
# A schema cannot see what a merge leaves behind, or a text that looks like a secret.
ONLY_MODELS = {
    "project/override-wrong",
    "project/target-missing",
    "project/secret-shaped-text",
}


def published() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(resource("specs", "bedplate.schema.json").read_bytes())
    return data


VALIDATOR = jsonschema.Draft7Validator(published())


def test_the_checked_in_schema_is_fresh() -> None:
    assert resource("specs", "bedplate.schema.json").read_text() == to_text(), "run `make schema`"


def test_it_is_a_draft_7_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


def fields(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in node.get("properties", {}).items():
        if name != "override" and not (path == "" and name in SECTIONS):
            yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    for value in node.get("patternProperties", {}).values():
        yield from fields(value, f"{path}.*")
    if "items" in node:
        yield from fields(node["items"], f"{path}[]")


@pytest.mark.parametrize(("path", "field"), [(p, f) for p, f in fields(published()) if ".override." not in p])
def test_every_field_has_a_description_and_an_example_that_it_takes(
    path: str, field: Mapping[str, Any]
) -> None:
    assert field["description"].endswith(".")
    assert field["examples"]
    for example in field["examples"]:
        jsonschema.Draft7Validator(field).validate(example)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_schema_and_models_agree(case: Case, tmp_path: Path) -> None:
    loaded = load(case.copy(tmp_path))
    if loaded.tree is None or loaded.diagnostics:
        return
    codes = {diagnostic.code for diagnostic in validate(loaded).diagnostics}

    refused = [error.message for error in VALIDATOR.iter_errors(instance(loaded.tree))]

    if refused:
        assert codes, refused
    if codes & STRUCTURAL and case.name not in ONLY_MODELS:
        assert refused, codes
