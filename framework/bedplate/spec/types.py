"""The scalar types of the language: each says how its text is read, in what unit, and its JSON Schema.

They stand in `Annotated`, so that a section's model is plain to read: `p95: Annotated[Decimal, Duration()]`.
What they are given is a located Scalar; nothing here has passed YAML's resolver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

from pydantic_core import PydanticCustomError, core_schema

from bedplate.diagnostics import did_you_mean
from bedplate.graph import SecretRef
from bedplate.secret_shapes import looks_like_a_secret
from bedplate.spec.references import ReferenceProblem, References
from bedplate.spec.tree import Scalar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

Schema: TypeAlias = "dict[str, object]"

NAME = re.compile(r"(?!x-)[a-z][a-z0-9_-]{0,39}")
SHOWN_CHARACTERS = 60

SECRET_IN_SPEC = "a secret's value cannot stand in the spec"  # noqa: S105

_VARIABLE = "letters, digits and _, not beginning with a digit, such as API_KEY"
# Patterns are compiled when they are first used: most specs use few of the types.
_INTEGER = r"[-+]?(0|[1-9][0-9]{0,17})"
_NUMBER = r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?"
_NUMBER_LIKE = r"(?i)[-+]?[0-9][0-9_,.xoa-f]*|[-+]?\.(inf|nan)"
_DURATION = r"(?a)(?=[0-9])(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m(?!s))?(\d{1,9}s)?(\d{1,9}ms)?"
_SECONDS = {
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_PERCENT = r"([0-9]{1,3}(?:\.[0-9]{1,12})?)%"
_QUANTITY = r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(m|k|Ki|[MGTPE]i?)?"
_SCALE = {
    "m": Decimal("0.001"), "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}  # fmt: skip
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"


def refuse(
    code: str, message: str, hint: str | None = None, *, within: tuple[int, int] | None = None
) -> NoReturn:
    """Refuses a value. `within`: offset and length of the part of the text that is meant."""
    context = {"code": code, "message": message, "help": hint, "within": within}
    raise PydanticCustomError("bedplate", "{message}", context)


def shown(scalar: Scalar) -> str:
    """The text of a scalar for a message; never one that looks like a key of a well-known service."""
    if looks_like_a_secret(scalar.text):
        return "a secret"
    text = scalar.text if len(scalar.text) <= SHOWN_CHARACTERS else scalar.text[:SHOWN_CHARACTERS] + "…"
    return text if scalar.plain else f'"{text}"'


@dataclass(frozen=True)
class Leaf:
    """What all scalar types share. `noun` names the type in messages, with its article."""

    noun = "a text"

    def parse(self, scalar: Scalar, references: References | None) -> object:
        raise NotImplementedError

    def schema(self) -> Schema:
        """The type as draft-07 JSON Schema."""
        raise NotImplementedError

    def read(self, value: object, references: References | None) -> object:
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
        def validate(value: object, info: core_schema.ValidationInfo[References | None]) -> object:
            return self.read(value, info.context)

        return core_schema.with_info_plain_validator_function(validate)


class Text(Leaf):
    """Any text, quoted or not: `NO` and `1.10` are those texts. `${...}` is resolved."""

    def parse(self, scalar: Scalar, references: References | None) -> str:
        control = None if scalar.text.isprintable() else re.search(_CONTROL, scalar.text)
        if control:
            refuse("BP023", f"a text cannot hold the character U+{ord(control.group()):04X}")
        if looks_like_a_secret(scalar.text):
            refuse("BP110", "this looks like the value of a secret", "name a secret instead: {secret: NAME}")
        try:
            return (references or References.none()).resolve(scalar.text)
        except ReferenceProblem as problem:
            refuse(problem.code, problem.message, problem.hint, within=problem.within)

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


class FilePath(Text):
    """A file of the project: relative, with forward slashes, and not out of the folder."""

    noun = "the path of a file in the project"

    def parse(self, scalar: Scalar, references: References | None) -> str:
        path = super().parse(scalar, references)
        if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/"):
            refuse(
                "BP111", f"the path {shown(scalar)} is outside the project", "use a path relative to the spec"
            )
        if "\\" in path or "//" in path or path.endswith("/") or "\n" in path or "\t" in path:
            self.wrong(scalar, "use single forward slashes, and end with the file's name")
        return path

    def schema(self) -> Schema:
        return {
            "type": "string",
            "pattern": r"^(?![A-Za-z]:)(?!/)(?!(.*/)?\.\.(/|$))(?!.*//)[^\\\n\t]*[^/\\\n\t]$",
        }


class Name(Leaf):
    """A name of the language."""

    noun = "a name"

    def read(self, value: object, references: References | None) -> object:
        if isinstance(value, str):
            # The key of a mapping, which is a string already.
            return value if NAME.fullmatch(value) else refuse("BP027", *name_problem(value))
        return super().read(value, references)

    def parse(self, scalar: Scalar, references: References | None) -> str:
        if not NAME.fullmatch(scalar.text):
            refuse("BP027", *name_problem(shown(scalar)))
        if scalar.plain and scalar.text in ("true", "false"):
            self.wrong(scalar, f'quote it: "{scalar.text}"')
        return scalar.text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}


def name_problem(name: str) -> tuple[str, str]:
    """The message and the help about a text that is no name."""
    return (
        f"{name} is not a name",
        "a lower-case letter, then lower-case letters, digits, _ or -; at most 40 characters; not x- first",
    )


@dataclass(frozen=True)
class Integer(Leaf):
    """A whole number within bounds, both included."""

    low: int
    high: int
    noun = "a whole number"

    def parse(self, scalar: Scalar, references: References | None) -> int:
        if not scalar.plain or not re.fullmatch(_INTEGER, scalar.text):
            self.wrong(scalar, _number_help(scalar, self.noun))
        value = int(scalar.text)
        if not self.low <= value <= self.high:
            refuse("BP024", f"{value} is out of range", f"from {self.low} to {self.high}")
        return value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Number(Leaf):
    """A finite decimal number within bounds, both included, kept exactly."""

    low: Decimal
    high: Decimal
    noun = "a number"

    def parse(self, scalar: Scalar, references: References | None) -> Decimal:
        if not scalar.plain or not re.fullmatch(_NUMBER, scalar.text):
            self.wrong(scalar, _number_help(scalar, self.noun))
        value = Decimal(scalar.text)
        if not self.low <= value <= self.high:
            refuse("BP024", f"{scalar.text} is out of range", f"from {self.low} to {self.high}")
        return value

    def schema(self) -> Schema:
        return {"type": "number", "minimum": float(self.low), "maximum": float(self.high)}


def _number_help(scalar: Scalar, noun: str) -> str | None:
    if not scalar.plain and re.fullmatch(_NUMBER, scalar.text):
        return "write it without quotes"
    if re.fullmatch(_NUMBER_LIKE, scalar.text):
        return f"write {noun} in decimal digits, such as {'3' if 'whole' in noun else '0.5'}"
    return None


class Boolean(Leaf):
    noun = "true or false"

    def parse(self, scalar: Scalar, references: References | None) -> bool:
        if not scalar.plain or scalar.text not in ("true", "false"):
            yes = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
            meant = yes.get(scalar.text.lower(), scalar.text.lower())
            self.wrong(scalar, f"write {meant}" if meant in ("true", "false") else None)
        return scalar.text == "true"

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Duration(Leaf):
    """A length of time in seconds, exact. `whole_seconds`: milliseconds are too fine."""

    whole_seconds: bool = False
    noun = "a duration, such as 90s, 100ms or 1h30m"

    def parse(self, scalar: Scalar, references: References | None) -> Decimal:
        found = re.fullmatch(_DURATION, scalar.text)
        if not found:
            bare = scalar.text.isdecimal()
            self.wrong(
                scalar,
                f"say the unit: {scalar.text}s" if bare else "whole numbers; units d, h, m, s, ms, falling",
            )
        seconds = sum(
            (
                Decimal(part.rstrip("dhms")) * _SECONDS[part.lstrip("0123456789")]
                for part in found.groups()
                if part
            ),
            Decimal(0),
        )
        if seconds == 0:
            refuse("BP024", f"{scalar.text} is no time at all", "a duration is longer than zero")
        if self.whole_seconds and seconds != int(seconds):
            refuse("BP024", f"{scalar.text} is too fine", "whole seconds here")
        return seconds

    def schema(self) -> Schema:
        return {
            "type": "string",
            "pattern": r"^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m(?!s))?([0-9]+s)?([0-9]+ms)?$",
        }


@dataclass(frozen=True)
class Percent(Leaf):
    """A share as an exact decimal: `5%` is 0.05. More than 0 %; `below_hundred`: and less than 100 %."""

    below_hundred: bool = False
    noun = "a percentage, such as 5% or 0.1%"

    def parse(self, scalar: Scalar, references: References | None) -> Decimal:
        found = re.fullmatch(_PERCENT, scalar.text)
        if not found:
            bare = re.fullmatch(_NUMBER, scalar.text)
            self.wrong(scalar, f"say the unit: {scalar.text}%" if bare else None)
        share = Decimal(found.group(1)) / 100
        if share <= 0 or share > 1 or (self.below_hundred and share == 1):
            refuse(
                "BP024",
                f"{scalar.text} is out of range",
                f"more than 0%, {'less than' if self.below_hundred else 'at most'} 100%",
            )
        return share

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,12})?%$"}


class Memory(Leaf):
    """An amount of memory in whole bytes, as Kubernetes reads quantities."""

    noun = "an amount of memory, such as 512Mi or 2Gi"

    def parse(self, scalar: Scalar, references: References | None) -> int:
        found = re.fullmatch(_QUANTITY, scalar.text)
        if not found:
            self.wrong(
                scalar, "units Ki, Mi, Gi, Ti (of 1024) or k, M, G, T (of 1000); a bare number is bytes"
            )
        amount = Decimal(found.group(1)) * _SCALE[found.group(2) or ""]
        if amount != int(amount):
            refuse(
                "BP024",
                f"{scalar.text} is not a whole number of bytes",
                "m means thousandths: did you mean Mi?",
            )
        if not 0 < amount < 2**53:
            refuse("BP024", f"{scalar.text} is out of range", "more than nothing, less than 8Pi")
        return int(amount)

    def schema(self) -> Schema:
        return {"type": ["string", "number"], "pattern": f"^{_QUANTITY}$"}


class Cpu(Leaf):
    """An amount of CPU in cores, exact to the thousandth, as Kubernetes reads quantities."""

    noun = "an amount of CPU, such as 2, 0.5 or 500m"

    def parse(self, scalar: Scalar, references: References | None) -> Decimal:
        found = re.fullmatch(_QUANTITY, scalar.text)
        if not found or found.group(2) not in (None, "m"):
            self.wrong(scalar, "cores, or thousandths of a core with m")
        cores = Decimal(found.group(1)) * _SCALE[found.group(2) or ""]
        if cores * 1000 != int(cores * 1000):
            refuse("BP024", f"{scalar.text} is too fine", "a thousandth of a core, 1m, is the smallest step")
        if not 0 < cores <= 1024:
            refuse("BP024", f"{scalar.text} is out of range", "from 1m to 1024")
        return cores

    def schema(self) -> Schema:
        return {"type": ["string", "number"], "pattern": r"^[0-9]{1,18}(\.[0-9]{1,9})?m?$"}


@dataclass(frozen=True)
class OneOf(Leaf):
    """One of a few words."""

    words: tuple[str, ...]
    noun = "one of a few words"

    def parse(self, scalar: Scalar, references: References | None) -> str:
        if scalar.text not in self.words:
            near = did_you_mean(scalar.text, self.words)
            known = f"known: {', '.join(self.words)}"
            refuse(
                "BP025",
                f"{shown(scalar)} is not known here",
                f"did you mean {near}? {known}" if near else known,
            )
        return scalar.text

    def schema(self) -> Schema:
        return {"enum": list(self.words)}


class EnvironmentVariable(Leaf):
    """The name of a variable of the process environment."""

    noun = "the name of an environment variable, such as API_KEY"

    def parse(self, scalar: Scalar, references: References | None) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", scalar.text) or scalar.text in ("true", "false"):
            # It may be the value itself, written here by mistake: it is not shown.
            refuse("BP110", f"this is no name of an environment variable, and {SECRET_IN_SPEC}", _VARIABLE)
        return scalar.text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"}


class Secret(Leaf):
    """`{secret: NAME}`: a secret by name. Its value is no part of a spec, and is never repeated."""

    noun = "the name of a secret: {secret: NAME}"

    def read(self, value: object, references: References | None) -> SecretRef:
        if isinstance(value, Mapping):
            name = value.get("secret")
            if set(value) == {"secret"} and isinstance(name, Scalar) and NAME.fullmatch(name.text):
                return SecretRef(name.text)
            if set(value) == {"secret"}:
                refuse("BP027", *name_problem("the secret's name"))
        elif isinstance(value, Scalar) and not value.is_null:
            refuse("BP110", SECRET_IN_SPEC, "name it: {secret: NAME}")
        refuse("BP022", f"expected {self.noun}")

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {
                "secret": {
                    **Name().schema(),
                    "description": "The name of the secret; the environment says where its value is.",
                    "examples": ["delay-key"],
                }
            },
            "required": ["secret"],
            "additionalProperties": False,
        }


TextValue = Annotated[str, Text()]
PathValue = Annotated[str, FilePath()]
NameValue = Annotated[str, Name()]
BooleanValue = Annotated[bool, Boolean()]
DurationValue = Annotated[Decimal, Duration()]
MemoryValue = Annotated[int, Memory()]
CpuValue = Annotated[Decimal, Cpu()]
SecretValue = Annotated[SecretRef, Secret()]
