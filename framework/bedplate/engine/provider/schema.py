"""What a kind declares of its properties, put to use: checks and exact numbers for values, and the package's
published schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bedplate.engine.provider.kind import Kind, Property
from bedplate.engine.provider.wire import UNKNOWN, Decoded, Secret
from bedplate.graph import Json
from bedplate.version import __version__

Schema = Mapping[str, object]
_ANY: dict[str, object] = {"$ref": "pulumi.json#/Any"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One property that cannot be as it is."""

    key: str
    reason: str


def failures(kind: Kind, inputs: Mapping[str, Decoded]) -> Iterator[Failure]:
    """Everything that is wrong with a resource's inputs. What is unknown yet passes."""
    for key in inputs.keys() - kind.PROPERTIES.keys():
        yield Failure(key, f"{kind.TOKEN} has no property {key!r}")
    for key, declared in kind.PROPERTIES.items():
        if key in inputs:
            for path, reason in _wrong(key, inputs[key], declared.schema):
                yield Failure(key, f"{path} {reason}")
        elif declared.required:
            yield Failure(key, f"{kind.TOKEN} needs the property {key!r}")


def exact(value: Json, schema: Schema) -> Json:
    """The value with whole numbers as integers where the schema says so: on the wire all are floats."""
    if isinstance(value, float) and schema.get("type") == "integer" and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [exact(item, _part(schema, "items")) for item in value]
    if isinstance(value, dict):
        return {key: exact(item, _member(schema, key)) for key, item in value.items()}
    return value


def exact_properties(values: Mapping[str, Json], declared: Mapping[str, Property]) -> dict[str, Json]:
    """Those of `values` that are declared, with exact numbers."""
    return {key: exact(value, declared[key].schema) for key, value in values.items() if key in declared}


def package_schema(name: str, kinds: Mapping[str, Kind]) -> str:
    """The package's schema, as Pulumi reads it."""
    types: dict[str, object] = {}
    resources = {token: _resource(kind, _Types(token, types)) for token, kind in sorted(kinds.items())}
    schema = {"name": name, "version": __version__, "resources": resources, "types": types}
    return json.dumps(schema, sort_keys=True)


def _resource(kind: Kind, types: _Types) -> dict[str, object]:
    inputs = {key: types.spec(key, declared) for key, declared in kind.PROPERTIES.items()}
    outputs = {key: types.spec(key, declared) for key, declared in kind.OUTPUTS.items()}
    needed = sorted(key for key, declared in kind.PROPERTIES.items() if declared.required)
    return {
        "description": kind.SUMMARY,
        "inputProperties": inputs,
        "requiredInputs": needed,
        "properties": inputs | outputs,
        "required": sorted({*needed, *outputs}),
    }


@dataclass(frozen=True, slots=True)
class _Types:
    """Collects the named types that Pulumi's schema wants for objects inside properties."""

    token: str
    found: dict[str, object] = field(default_factory=dict)

    def spec(self, key: str, declared: Property) -> dict[str, object]:
        secret = {"secret": True} if declared.secret else {}
        described = {"description": declared.words} if declared.words else {}
        return {**self._type(declared.schema, key), **secret, **described}

    def _type(self, schema: Schema, name: str) -> dict[str, object]:
        match schema.get("type"):
            case "array":
                return {"type": "array", "items": self._type(_part(schema, "items"), name)}
            case "object" if _part(schema, "properties"):
                return {"$ref": f"#/types/{self._named(schema, name)}"}
            case "object":
                rest = _part(schema, "additionalProperties")
                return {"type": "object", "additionalProperties": self._type(rest, name) if rest else _ANY}
            case str(scalar):
                return {"type": scalar}
        return dict(_ANY)

    def _named(self, schema: Schema, name: str) -> str:
        token = self.token + "".join(word.capitalize() for word in re.split(r"\W|_", name))
        members = _part(schema, "properties")
        self.found[token] = {
            "type": "object",
            "properties": {key: self._type(_part(members, key), f"{name}_{key}") for key in members},
            "required": sorted(_names(schema, "required")),
        }
        return token


def _wrong(path: str, value: Decoded, schema: Schema) -> Iterator[tuple[str, str]]:
    if value is UNKNOWN:
        return
    if isinstance(value, Secret):
        yield from _wrong(path, value.value, schema)
        return
    wanted = schema.get("type")
    if isinstance(wanted, str) and not _is(value, wanted):
        yield path, f"must be {_ARTICLE[wanted]}, not {_kind_of(value)}"
    elif "enum" in schema and value not in _options(schema):
        yield path, f"must be one of {', '.join(map(repr, _options(schema)))}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _wrong(f"{path}[{index}]", item, _part(schema, "items"))
    elif isinstance(value, dict):
        yield from _wrong_members(path, value, schema)


def _wrong_members(path: str, value: Mapping[str, Decoded], schema: Schema) -> Iterator[tuple[str, str]]:
    for key in sorted(_names(schema, "required")):
        if key not in value:
            yield f"{path}.{key}", "is missing"
    known = _part(schema, "properties")
    for key, item in value.items():
        if known and key not in known and not schema.get("additionalProperties"):
            yield f"{path}.{key}", "is not known"
        yield from _wrong(f"{path}.{key}", item, _member(schema, key))


_ARTICLE = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _is(value: Decoded, wanted: str) -> bool:
    return _kind_of(value) == _ARTICLE[wanted] or (
        wanted == "number" and _kind_of(value) == _ARTICLE["integer"]
    )


def _kind_of(value: Decoded) -> str:
    match value:
        case bool():
            return _ARTICLE["boolean"]
        case int() | float():
            return _ARTICLE["integer" if float(value).is_integer() else "number"]
        case str():
            return _ARTICLE["string"]
        case list():
            return _ARTICLE["array"]
    return _ARTICLE["object"]


def _part(schema: Schema, key: str) -> Schema:
    part = schema.get(key)
    return part if isinstance(part, Mapping) else {}


def _member(schema: Schema, key: str) -> Schema:
    named = _part(schema, "properties")
    return _part(named, key) if key in named else _part(schema, "additionalProperties")


def _names(schema: Schema, key: str) -> tuple[str, ...]:
    names = schema.get(key)
    return tuple(map(str, names)) if isinstance(names, Sequence) and not isinstance(names, str) else ()


def _options(schema: Schema) -> tuple[object, ...]:
    options = schema.get("enum")
    return tuple(options) if isinstance(options, Sequence) and not isinstance(options, str) else ()
