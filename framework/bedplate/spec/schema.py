"""The published JSON Schema (draft-07, which editors support), built from the models of the language.

A field's description, example and default stand in its model; its shape comes from its type. Each model is a
definition of its own, once as it is and once as a part: in an override nothing is required, and null removes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bedplate.sections import SECTIONS
from bedplate.spec.frame import Entries, Frame, Parts
from bedplate.spec.leaf import Leaf, Schema
from bedplate.spec.model import LIST, MAPPING, SpecModel, inner, key_of, leaf, leaf_of, told
from bedplate.spec.types import NAME

DRAFT = "http://json-schema.org/draft-07/schema#"
TITLE = "bedplate"
NAMES = f"^{NAME.pattern}$"


def schema() -> Schema:
    """The schema of a whole spec."""
    builder = _Builder()
    properties = {name: builder.field(field) for name, field in Frame.model_fields.items()}
    for key, section in SECTIONS.items():
        properties[key] = builder.entries(section.Model)
    required = sorted(name for name, field in Frame.model_fields.items() if field.is_required())
    return {
        "$schema": DRAFT,
        "title": TITLE,
        "description": (Frame.__doc__ or "").strip(),
        **_object(dict(properties)),
        "required": required,
        "definitions": dict(sorted(builder.definitions.items())),
    }


def to_text() -> str:
    """The schema as it is checked in."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


@dataclass(slots=True)
class _Builder:
    """`definitions` by the name of their model, after its module where it stands in a section."""

    definitions: dict[str, Schema] = field(default_factory=dict)

    def field(self, field: FieldInfo, *, partial: bool = False) -> Schema:
        found = leaf(field)
        built = dict(self.shape(field, partial=partial))
        if "$ref" in built:  # beside which draft-07 reads nothing
            built = {"allOf": [built]}
        if found and not isinstance(found, Entries | Parts):
            built["title"] = found.noun
        absent = told(field, "absent")
        built["description"] = f"{field.description} Left out: {absent}" if absent else field.description
        built["examples"] = [yaml.safe_load(str(example)) for example in field.examples or ()]
        built["x-since"] = told(field, "since")
        if partial:
            return _or_null(built)
        return built if field.is_required() else built | _default(field, found)

    def shape(self, field: FieldInfo, *, partial: bool) -> Schema:
        found = leaf(field)
        if isinstance(found, Entries) and found.model:
            return self.entries(found.model)
        if isinstance(found, Parts):
            return self.parts(found)
        if found:
            return found.schema()
        holds, held = inner(field.annotation)
        if holds == LIST:
            # A list in an override replaces the whole list, so its items are never partial.
            return {"type": "array", "items": self.held(held, partial=False)}
        if holds == MAPPING:
            values = self.held(held, partial=partial)
            return _mapping(values, _key_pattern(field.annotation), partial=partial)
        return self.held(held, partial=partial)

    def held(self, annotation: object, *, partial: bool) -> Schema:
        found = leaf_of(annotation)
        if found:
            return found.schema()
        held = inner(annotation)[1]
        if isinstance(held, type) and issubclass(held, BaseModel):
            return self.model(held, partial=partial)
        raise TypeError(f"{annotation!r} is no type of the language")

    def model(self, model: type[BaseModel], *, partial: bool = False) -> Schema:
        name = f"{_named(model)}{'.part' if partial else ''}"
        if name not in self.definitions:
            self.definitions[name] = {}
            properties = {name: self.field(f, partial=partial) for name, f in model.model_fields.items()}
            built: Schema = {"description": (model.__doc__ or "").strip(), **_object(dict(properties))}
            required = sorted(name for name, field in model.model_fields.items() if field.is_required())
            if not partial:
                built |= _alternatives(model) | ({"required": required} if required else {})
            self.definitions[name] = built
        return {"$ref": f"#/definitions/{name}"}

    def entries(self, model: type[BaseModel], *, partial: bool = False) -> Schema:
        values = self.model(model, partial=partial)
        return {"description": (model.__doc__ or "").strip(), **_mapping(values, NAMES, partial=partial)}

    def parts(self, found: Parts) -> Schema:
        """Parts of sections: of their entries, or of what every entry of each has."""
        models = {key: section.Model for key, section in SECTIONS.items()}
        every = {key: _or_null(self.model(model, partial=True)) for key, model in models.items()}
        if not found.of_entries:
            return _object(dict(every))
        properties = {key: _or_null(self.entries(model, partial=True)) for key, model in models.items()}
        return _object({**properties, "defaults": _or_null(_object(dict(every)))})


def _alternatives(model: type[BaseModel]) -> Schema:
    """Fields of which exactly one, or one at most, may be there."""
    if not issubclass(model, SpecModel):
        return {}
    built: Schema = {}
    if model.ONE_OF:
        built["oneOf"] = [{"required": [name]} for name in model.ONE_OF]
    if model.NOT_BOTH:
        built["allOf"] = [{"not": {"required": [*pair]}} for pair in model.NOT_BOTH]
    return built


def _named(model: type[BaseModel]) -> str:
    package, _, rest = model.__module__.rpartition("sections.")
    section = rest.partition(".")[0] if package else ""
    return ".".join(filter(None, [section, model.__name__]))


def _default(field: FieldInfo, found: Leaf | None) -> Schema:
    """What holds where the field is left out, as it would be written. None says what `absent` says."""
    if field.default_factory is not None:
        return {"default": {}}
    value = field.default
    if value is None:
        return {}
    if isinstance(value, tuple):
        return {"default": [*value]}
    return {"default": found.written(value) if found else value}


def _key_pattern(annotation: object) -> str:
    """What the keys of a mapping must match."""
    found = key_of(annotation)
    pattern = found.schema().get("pattern") if found else None
    return str(pattern or NAMES)


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    }


def _mapping(values: Schema, pattern: str, *, partial: bool) -> Schema:
    return {
        "type": "object",
        "patternProperties": {pattern: _or_null(values) if partial else values, "^x-": {}},
        "additionalProperties": False,
    }


def _or_null(built: Schema) -> Schema:
    return {"anyOf": [built, {"type": "null"}]}
