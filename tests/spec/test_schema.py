"""The published schema says what the models say: what one refuses structurally, the other refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bedplate._resources import resource
from bedplate.spec.load import load
from bedplate.spec.schema import schema, to_text
from bedplate.spec.validate import validate
from tests.spec.cases import Case, all_cases
from tests.spec.instance import instance

# What shape, type and spelling of one place decide; the others compare places, files or exact values.
STRUCTURAL = {
    "BP028",
    "BP029",
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
    "project/secret-in-the-address-of-a-state",
    "project/references-to-nothing",
    "kubernetes/patches-of-nothing",
    "project/defaults-removed",
    "kubernetes/patches-that-cannot-be",
}


def published() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(resource("specs", "bedplate.schema.json").read_bytes())
    return data


# Left out, there simply is none.
SAYS_NOTHING = {"extends", "promotes_from", "images", "mlflow", "description", "container"}

VALIDATOR = jsonschema.Draft7Validator(published())


def test_the_checked_in_schema_is_fresh() -> None:
    assert resource("specs", "bedplate.schema.json").read_text() == to_text(), "run `make schema`"


def test_it_is_a_draft_7_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


def fields() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field of every model, after the definition that it is in."""
    whole = published()
    for definition, node in {"": whole, **whole["definitions"]}.items():
        for name, field in node["properties"].items():
            if not definition.endswith(".part"):
                yield f"{definition}.{name}", field


@pytest.mark.parametrize(("path", "field"), list(fields()))
def test_every_field_says_what_it_is_for_and_since_when_and_shows_a_value_that_it_takes(
    path: str, field: Mapping[str, Any]
) -> None:
    whole = published()
    owner = whole["definitions"].get(path.rpartition(".")[0], whole)
    name = path.rpartition(".")[2]
    assert field["description"].endswith(".")
    assert field["x-since"]
    told = "default" in field or "Left out: " in field["description"]
    alternatives = {key for choice in owner.get("anyOf", ()) for key in choice["required"]}
    assert told or name in owner.get("required", ()) or name in alternatives or name in SAYS_NOTHING
    assert field["examples"]
    for example in field["examples"]:
        jsonschema.Draft7Validator({**field, "definitions": whole["definitions"]}).validate(example)


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
