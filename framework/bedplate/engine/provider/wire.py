"""Property values between Pulumi's wire form (protobuf Structs with marked maps) and plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from google.protobuf.struct_pb2 import ListValue, Struct
from google.protobuf.struct_pb2 import Value as Wire

from bedplate.graph import Json

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's public marker
_UNKNOWNS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_WIRE: Final = Wire(string_value="04da6b54-80e4-46f7-96ec-b56ff0331ba9")


class Unknown(Enum):
    """A value that a preview cannot know."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that the state holds encrypted."""

    value: Decoded


Decoded: TypeAlias = "bool | int | float | str | Unknown | Secret | Sequence[Decoded] | Mapping[str, Decoded]"


def decode(struct: Struct) -> dict[str, Decoded]:
    """The properties of a message. Nulls are as good as absent, which is how the engine treats them."""
    return {key: _decode(value) for key, value in struct.fields.items() if not _null(value)}


def encode(value: Decoded) -> Wire:
    """One value for a message."""
    if value is UNKNOWN:
        return UNKNOWN_WIRE
    if isinstance(value, Secret):
        return secret(encode(value.value))
    if isinstance(value, bool):
        return Wire(bool_value=value)
    if isinstance(value, int | float):
        return Wire(number_value=value)
    if isinstance(value, str):
        return Wire(string_value=value)
    if isinstance(value, Mapping):
        return Wire(struct_value=Struct(fields={key: encode(item) for key, item in value.items()}))
    return Wire(list_value=ListValue(values=[encode(item) for item in value]))


def secret(value: Wire) -> Wire:
    """A wire value marked as secret."""
    return Wire(struct_value=Struct(fields={_SIGNATURE: Wire(string_value=_SECRET), "value": value}))


def plain(value: Decoded) -> Json | Unknown:
    """A value without marks of secrecy; UNKNOWN if any part of it is."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        pairs = {key: plain(item) for key, item in value.items()}
        if UNKNOWN in pairs.values():
            return UNKNOWN
        return {key: item for key, item in pairs.items() if item is not UNKNOWN}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [plain(item) for item in value]
        return UNKNOWN if UNKNOWN in items else [item for item in items if item is not UNKNOWN]
    return value


def _decode(value: Wire) -> Decoded:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values if not _null(item)]
    fields = value.struct_value.fields
    if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
        return Secret(_decode(fields["value"]))
    return decode(value.struct_value)


def _null(value: Wire) -> bool:
    return value.WhichOneof("kind") in (None, "null_value")
