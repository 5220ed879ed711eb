"""The published JSON Schema (draft-07, which editors support), built from the models of the language.

A field's description, example and default stand in its model; its shape comes from its type. Each model is a
definition of its own in each form that it has: an environment may leave to the one that it extends what is
required, and in an override nothing is required and null removes.
What is said about a field stands beside its `$ref` or `anyOf`, where editors look for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bedplate.sections import SECTIONS
from bedplate.spec.editing import NAMES_PROBLEM, alternatives, entry_snippet, mapping_snippet, markdown
from bedplate.spec.entry import Entry
from bedplate.spec.frame import READ_WHOLE, Entries, EnvironmentSpec, Frame, Parts
from bedplate.spec.leaf import Leaf, Schema
from bedplate.spec.model import FIRST_VERSION, LIST, MAPPING, SpecModel, inner, key_of, leaf, leaf_of, told
from bedplate.spec.names import NAME

DRAFT = "http://json-schema.org/draft-07/schema#"
TITLE = "bedplate"
NAMES = f"^{NAME.pattern}$"
MAPPING_TITLE, LIST_TITLE = "a mapping", "a list"


def schema() -> Schema:
    """The schema of a whole spec."""
    builder = _Builder()
    properties = {name: builder.field(field) for name, field in Frame.model_fields.items()}
    for key, section in SECTIONS.items():
        properties[key] = builder.section(section.Model)
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
    return json.dumps(schema(), indent=1) + "\n"


class Form(StrEnum):
    """How much of a model must be there; the end of its definition's name."""

    WHOLE = ""
    PIECE = ".piece"
    PART = ".part"


@dataclass(slots=True)
class _Builder:
    """`definitions` by the name of their model, after its module where it stands in a section."""

    definitions: dict[str, Schema] = field(default_factory=dict)

    def field(self, field: FieldInfo, form: Form = Form.WHOLE) -> Schema:
        found = leaf(field)
        built = dict(self.shape(field, form))
        if form is Form.PART:
            built = _or_null(built)
        if "$ref" in built:  # beside which draft-07 reads nothing
            built = {"allOf": [built]}
        examples = [yaml.safe_load(str(example)) for example in field.examples or ()]
        if isinstance(found, Entries) and found.model:
            built = _offering(built, examples[0], found.model)
        elif examples and isinstance(examples[0], dict):
            built |= mapping_snippet(str(field.description), examples[0])
        default = None if form is Form.PART or field.is_required() else _default(field, found)
        absent = told(field, "absent") or _absent(field, found, form)
        description = f"{field.description} Left out: {absent}" if absent else str(field.description)
        needed = field.is_required() and form is Form.WHOLE
        since = told(field, "since")
        built["title"] = _titled(field, found)
        built["description"] = description
        built["markdownDescription"] = markdown(description, required=needed, default=default, since=since)
        built["examples"] = examples
        built["x-since"] = since
        return built if default is None else built | {"default": default}

    def shape(self, field: FieldInfo, form: Form) -> Schema:
        found = leaf(field)
        if isinstance(found, Entries) and found.model:
            return self.entries(found.model, Form.PIECE if found.model is EnvironmentSpec else form)
        if isinstance(found, Parts):
            return self.parts(found)
        if found:
            return _worded(found)
        holds, held = inner(field.annotation)
        if holds == LIST:
            # A list replaces the whole list that was there, so nothing of its items may be left out.
            return {"type": "array", "items": self.held(held, Form.WHOLE)}
        if holds == MAPPING:
            values = self.held(held, form)
            told = _told(values, held) if isinstance(held, type) and "$ref" in values else values
            return _mapping(told, _key_pattern(field.annotation), form)
        return self.held(held, form)

    def held(self, annotation: object, form: Form) -> Schema:
        found = leaf_of(annotation)
        if found:
            return {"title": found.noun, **_worded(found)}
        held = inner(annotation)[1]
        if isinstance(held, type) and issubclass(held, BaseModel):
            return self.model(held, form)
        raise TypeError(f"{annotation!r} is no type of the language")

    def model(self, model: type[BaseModel], form: Form = Form.WHOLE) -> Schema:
        name = f"{_named(model)}{form}"
        if name not in self.definitions:
            self.definitions[name] = {}
            forms = dict.fromkeys(READ_WHOLE, Form.WHOLE) if model is EnvironmentSpec else {}
            properties = {n: self.field(f, forms.get(n, form)) for n, f in model.model_fields.items()}
            built: Schema = {"title": MAPPING_TITLE, **_object(dict(properties))}
            if form is Form.PART:
                built = _or_null(built)
            elif form is Form.WHOLE:
                built |= _needed(model)
            self.definitions[name] = built
        return {"$ref": f"#/definitions/{name}"}

    def entries(self, model: type[BaseModel], form: Form = Form.WHOLE) -> Schema:
        values = self.model(model, form)
        return _told(_mapping(_told(values, model), NAMES, form), model)

    def section(self, model: type[BaseModel]) -> Schema:
        """A whole section, with what a first entry of it is like."""
        example: dict[str, object] = {"delay": _entry(model)}
        description = f"{_about(model)} Left out: there is none."
        return {
            **_offering(self.entries(model), example, model),
            "title": MAPPING_TITLE,
            "description": description,
            "markdownDescription": markdown(description, required=False, since=FIRST_VERSION),
            "examples": [example],
            "x-since": FIRST_VERSION,
        }

    def parts(self, found: Parts) -> Schema:
        """Parts of sections: of their entries, or of what every entry of each has."""
        models = {key: section.Model for key, section in SECTIONS.items()}
        every = {key: _told(self.model(model, Form.PART), model) for key, model in models.items()}
        if not found.of_entries:
            return _object(dict(every))
        properties = {key: _or_null(self.entries(model, Form.PART)) for key, model in models.items()}
        defaults = {"title": MAPPING_TITLE, "description": "What the project's defaults have otherwise here."}
        return _object({**properties, "defaults": _or_null(_object(dict(every))) | defaults})


def _about(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip()


def _needed(model: type[BaseModel]) -> Schema:
    """What must be there, and what not together."""
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    built = alternatives(model.ONE_OF, model.NOT_BOTH) if issubclass(model, SpecModel) else {}
    return built | {"required": required} if required else built


def _told(built: Schema, model: type[BaseModel]) -> Schema:
    """What holds a model or models, where nothing but the model itself says what it is."""
    shape = {"allOf": [built]} if "$ref" in built else built
    return {**shape, "title": MAPPING_TITLE, "description": _about(model)}


def _titled(field: FieldInfo, found: Leaf | None) -> str:
    if found and not isinstance(found, Entries):
        return found.noun
    return LIST_TITLE if not found and inner(field.annotation)[0] == LIST else MAPPING_TITLE


def _worded(found: Leaf) -> Schema:
    """The shape of a scalar; where a pattern refuses it, an editor says what was expected."""
    built = found.schema()
    if "pattern" in built:
        built |= {"patternErrorMessage": f"expected {found.noun}"}
    return built | {"x-form": found.rule} if found.rule else built


def _offering(built: Schema, example: dict[str, object], model: type[BaseModel]) -> Schema:
    """The snippet is a level below, so that it is offered among the entries and not instead of the example."""
    shape = {key: value for key, value in built.items() if key not in ("title", "description")}
    return {"allOf": [shape | entry_snippet(example, _about(model))]}


def _entry(model: type[BaseModel]) -> dict[str, object]:
    """The least that an entry says, or its first field where it need not say anything."""
    own = {name: field for name, field in model.model_fields.items() if name not in Entry.model_fields}
    one_of = model.ONE_OF[:1] if issubclass(model, SpecModel) else ()
    least = [name for name, field in own.items() if field.is_required() or name in one_of] or [*own][:1]
    return {name: yaml.safe_load(str((own[name].examples or [""])[0])) for name in least}


def _named(model: type[BaseModel]) -> str:
    package, _, rest = model.__module__.rpartition("sections.")
    section = rest.partition(".")[0] if package else ""
    return ".".join(filter(None, [section, model.__name__]))


def _default(field: FieldInfo, found: Leaf | None) -> object:
    """What holds where the field is left out, as it would be written; None where words say it.

    Of an empty mapping or list an editor would offer to write just that, instead of what goes into it.
    """
    if field.default_factory is not None or field.default in (None, (), {}):
        return None
    value = field.default
    if isinstance(value, tuple):
        return [*value]
    return found.written(value) if found else value


def _absent(field: FieldInfo, found: Leaf | None, form: Form) -> str:
    """What holds where the field is left out, if that is nothing that could be written."""
    if field.is_required():
        return "that of the environment that it extends." if form is Form.PIECE else ""
    if field.default_factory is not None:
        return "what its fields have by default."
    return "none." if field.default in ((), {}) else ""


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


def _mapping(values: Schema, pattern: str, form: Form) -> Schema:
    held = _or_null(values) if form is Form.PART else values
    built: Schema = {
        "type": "object",
        "patternProperties": {pattern: held, "^x-": {}},
        "additionalProperties": False,
    }
    return built | {"errorMessage": NAMES_PROBLEM} if pattern == NAMES else built


def _or_null(built: Schema) -> Schema:
    """The same, or null. Definitions of parts allow it themselves."""
    wider = dict(built)
    for key, null in (("enum", None), ("anyOf", {"type": "null"})):
        if isinstance(alike := built.get(key), list):
            wider[key] = [*alike, null]
    if "type" in built:
        kinds = built["type"]
        wider["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
    return wider
