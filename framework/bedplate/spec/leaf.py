"""What a scalar type of the language is: how its text is read, how it is refused, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeAlias

from pydantic_core import PydanticCustomError, core_schema

from bedplate.secret_shapes import looks_like_a_secret
from bedplate.spec.tree import Scalar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

Schema: TypeAlias = "dict[str, object]"

SHOWN_CHARACTERS = 60


class Resolver(Protocol):
    """What becomes of the references in a text. Raises ReferenceProblem."""

    def resolve(self, text: str, /) -> str: ...


def refuse(
    code: str,
    message: str,
    hint: str | None = None,
    *,
    within: tuple[int, int] | None = None,
    key: str | None = None,
    below: tuple[str | int, ...] = (),
) -> NoReturn:
    """Refuses a value.

    `within`: offset and length of the part of the text that is meant; `key`: the key of the mapping that is;
    `below`: the keys down to the value that is.
    """
    context = {
        "code": code,
        "message": message,
        "help": hint,
        "within": within,
        "key": key,
        "below": below,
    }
    raise PydanticCustomError("bedplate", "{message}", context)


def shown(scalar: Scalar) -> str:
    """The text of a scalar for a message; never one that looks like a key of a well-known service."""
    if looks_like_a_secret(scalar.text):
        return "a secret"
    text = scalar.text if len(scalar.text) <= SHOWN_CHARACTERS else scalar.text[:SHOWN_CHARACTERS] + "…"
    return text if scalar.plain else f'"{text}"'


@dataclass(frozen=True)
class Leaf:
    """What all scalar types share.

    `noun` names the type in messages, with its article; `rule` says what may be written, for the reference.
    """

    noun = "a text"
    rule = ""

    def parse(self, scalar: Scalar, references: Resolver | None) -> object:
        raise NotImplementedError

    def schema(self) -> Schema:
        """The type as draft-07 JSON Schema."""
        raise NotImplementedError

    def written(self, value: object) -> object:
        """A value as a spec would say it, in JSON's types."""
        return value

    def read(self, value: object, references: Resolver | None) -> object:
        if isinstance(value, Scalar):
            if value.is_null:
                refuse("BP026", "there is no value", f"write {self.noun}, or remove the key")
            return self.parse(value, references)
        if isinstance(value, Mapping) and set(value) == {"secret"}:
            refuse("BP109", f"a secret is not allowed here: expected {self.noun}")
        refuse(
            "BP022", f"expected {self.noun}, found {'a mapping' if isinstance(value, Mapping) else 'a list'}"
        )

    def wrong(self, scalar: Scalar, hint: str | None = None) -> NoReturn:
        refuse("BP023", f"expected {self.noun}, found {shown(scalar)}", hint)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def validate(value: object, info: core_schema.ValidationInfo[Resolver | None]) -> object:
            return self.read(value, info.context)

        return core_schema.with_info_plain_validator_function(validate)
