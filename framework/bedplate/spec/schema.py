"""The published JSON Schema (draft-07, which editors support), built from the models of the language.

A field's description, example and default stand in its model; its shape comes from its type.
"""

from __future__ import annotations

import json

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bedplate.sections import SECTIONS
from bedplate.spec.frame import Entries, Frame, Override
from bedplate.spec.leaf import Schema
from bedplate.spec.model import LIST, MAPPING, inner, leaf, leaf_of
from bedplate.spec.types import NAME

DRAFT = "http://json-schema.org/draft-07/schema#"
TITLE = "bedplate"


def schema() -> Schema:
    """The schema of a whole spec."""
    whole = _model(Frame)
    properties = whole["properties"]
    if not isinstance(properties, dict):
        raise TypeError("the frame has no properties")
    for key, section in SECTIONS.items():
        properties[key] = _entries(section.Model)
    return {"$schema": DRAFT, "title": TITLE, **whole}


def to_text() -> str:
    """The schema as it is checked in."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


def _model(model: type[BaseModel], *, partial: bool = False) -> Schema:
    """`partial`: as an override has it, where nothing is required and null removes."""
    properties = {name: _field(field, partial=partial) for name, field in model.model_fields.items()}
    required = sorted(name for name, field in model.model_fields.items() if field.is_required())
    built: Schema = {
        "type": "object",
        "description": (model.__doc__ or "").strip(),
        "properties": properties,
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    }
    if required and not partial:
        built["required"] = required
    return built


def _field(field: FieldInfo, *, partial: bool) -> Schema:
    built = dict(_shape(field, partial=partial))
    found = leaf(field)
    if found and not isinstance(found, Entries | Override):
        built["title"] = found.noun
    if field.description:
        built["description"] = field.description
    if field.examples:
        built["examples"] = [yaml.safe_load(str(example)) for example in field.examples]
    default = field.get_default()
    if not field.is_required() and isinstance(default, str | int):
        built["default"] = default
    return _or_null(built) if partial else built


def _shape(field: FieldInfo, *, partial: bool) -> Schema:
    found = leaf(field)
    if isinstance(found, Entries) and found.model:
        return _entries(found.model)
    if isinstance(found, Override):
        sections = {key: _or_null(_entries(section.Model, partial=True)) for key, section in SECTIONS.items()}
        return {
            "type": "object",
            "properties": sections,
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
        }
    if found:
        return found.schema()
    holds, held = inner(field.annotation)
    if holds == LIST:
        # A list in an override replaces the whole list, so its items are never partial.
        return {"type": "array", "items": _held(held, partial=False)}
    if holds == MAPPING:
        return _mapping(_held(held, partial=partial), partial=partial)
    return _held(held, partial=partial)


def _held(annotation: object, *, partial: bool) -> Schema:
    found = leaf_of(annotation)
    if found:
        return found.schema()
    held = inner(annotation)[1]
    if isinstance(held, type) and issubclass(held, BaseModel):
        return _model(held, partial=partial)
    raise TypeError(f"{annotation!r} is no type of the language")


def _entries(model: type[BaseModel], *, partial: bool = False) -> Schema:
    return {
        "description": (model.__doc__ or "").strip(),
        **_mapping(_model(model, partial=partial), partial=partial),
    }


def _mapping(values: Schema, *, partial: bool) -> Schema:
    return {
        "type": "object",
        "patternProperties": {f"^{NAME.pattern}$": _or_null(values) if partial else values, "^x-": {}},
        "additionalProperties": False,
    }


def _or_null(built: Schema) -> Schema:
    return {"anyOf": [built, {"type": "null"}]}
