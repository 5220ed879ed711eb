"""What the API server would refuse for its length or its letters (apimachinery's validation)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from bedplate.compiler import Compiled
from bedplate.graph import Resource, Value, encode, mappings
from bedplate.policies.policy import Applies, Breach, Policy, resources
from bedplate.spec.project import Environment

_LABEL_LENGTH, _ANNOTATIONS_BYTES, _DATA_BYTES = 63, 256 * 1024, 1024 * 1024
_LABEL = r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?"
_DATA = ("data", "binaryData", "stringData")


def _sizes(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    for stack, resource in resources(compiled):
        if resource.type.startswith("kubernetes:"):
            for message in _too_long(resource):
                yield Breach(message, "shorten it", stack, resource.name, ("kubernetes", "patches"))


def _too_long(resource: Resource) -> Iterator[str]:
    # An object has metadata, and every template in it.
    for metadata in (_map(part["metadata"]) for part in mappings(resource.properties) if "metadata" in part):
        for key, value in _map(metadata.get("labels")).items():
            if not isinstance(value, str) or len(value) > _LABEL_LENGTH or not re.fullmatch(_LABEL, value):
                yield f"the label {key} is no text of {_LABEL_LENGTH} letters, digits, -, _ and . at most"
            if len(key.rpartition("/")[2]) > _LABEL_LENGTH:
                yield f"the label {key[:30]}… has a name of more than {_LABEL_LENGTH} characters"
        annotations = _map(metadata.get("annotations"))
        if sum(len(key) + len(str(value)) for key, value in annotations.items()) > _ANNOTATIONS_BYTES:
            yield f"its annotations are longer than {_ANNOTATIONS_BYTES // 1024} KiB"
    size = sum(
        len(json.dumps(encode(resource.properties[key]))) for key in _DATA if key in resource.properties
    )
    if size > _DATA_BYTES:
        yield f"its data is longer than {_DATA_BYTES // 1024**2} MiB"


def _map(value: Value | None) -> Mapping[str, Value]:
    return value if isinstance(value, dict) else {}


POLICIES = (Policy("BP712", "objects fit the API server", _sizes, applies=Applies("kubernetes:*")),)
