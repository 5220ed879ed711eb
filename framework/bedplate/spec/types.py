"""The scalar types of the language: texts, names, words. Others of their kind have files of their own.

numbers.py     numbers without a unit
quantities.py  amounts with one
places.py      names that the world outside gives
secrets.py     secrets by name, and the variables that hold their values

They stand in `Annotated`, so that a section's model is plain to read: `p95: Annotated[Decimal, Duration()]`.
What they are given is a located Scalar; nothing here has passed YAML's resolver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from bedplate.diagnostics import did_you_mean
from bedplate.secret_shapes import looks_like_a_secret
from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse, shown
from bedplate.spec.names import NAME, RULE, is_name, name_problem
from bedplate.spec.references import AsWritten, ReferenceProblem, SaidElsewhere, none_here
from bedplate.spec.tree import Scalar

# Patterns are compiled when they are first used: most specs use few of the types.
_MODEL_URI = r"models:/[A-Za-z0-9][A-Za-z0-9 _.-]{0,249}(@[A-Za-z0-9_-]{1,100}|/[1-9][0-9]{0,9})"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"


class Text(Leaf):
    """Any text, quoted or not: `NO` and `1.10` are those texts. `${...}` is resolved."""

    rule = (
        "With quotes or without: NO and 1.10 are these texts. References such as ${var.NAME} are filled in (BP107), "
        "and $${ stands for ${."
    )

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        control = None if scalar.text.isprintable() else re.search(_CONTROL, scalar.text)
        if control:
            refuse("BP023", f"a text cannot hold the character U+{ord(control.group()):04X}")
        if looks_like_a_secret(scalar.text):
            refuse("BP110", "this looks like the value of a secret", "name a secret instead: {secret: NAME}")
        if "${" not in scalar.text:
            return self.checked(scalar, scalar.text)
        try:
            text = references.resolve(scalar.text) if references else none_here(scalar.text)
        except SaidElsewhere:
            return ""
        except ReferenceProblem as problem:
            refuse(problem.code, problem.message, problem.hint, within=problem.within)
        return text if isinstance(references, AsWritten) else self.checked(scalar, text)

    def checked(self, scalar: Scalar, text: str) -> str:
        """The text, if it is one of this type; `scalar` is what it was made of."""
        return text

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


class FilePath(Text):
    """A file of the project: relative, with forward slashes, and not out of the folder."""

    noun = "the path of a file in the project"
    rule = "From the project's folder on, with forward slashes, and never out of it."

    def checked(self, scalar: Scalar, text: str) -> str:
        if text.startswith("/") or re.match(r"[A-Za-z]:", text) or ".." in text.split("/"):
            refuse(
                "BP111", f"the path {shown(scalar)} is outside the project", "use a path relative to the spec"
            )
        if "\\" in text or "//" in text or text.endswith("/") or "\n" in text or "\t" in text or not text:
            self.wrong(scalar, "use single forward slashes, and end with the file's name")
        return text

    def schema(self) -> Schema:
        return {
            "type": "string",
            "pattern": r"^(?![A-Za-z]:)(?!/)(?!(.*/)?\.\.(/|$))(?!.*//)[^\\\n\t]*[^/\\\n\t]$",
        }


class FolderPath(FilePath):
    """A folder of the project."""

    noun = "the path of a folder in the project"


class Name(Leaf):
    """A name of the language."""

    noun = "a name"
    rule = f"{RULE[0].upper()}{RULE[1:]}."

    def read(self, value: object, references: Resolver | None) -> object:
        if isinstance(value, str):
            # The key of a mapping, which is a string already.
            return value if NAME.fullmatch(value) else refuse("BP027", *name_problem(value))
        return super().read(value, references)

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        if not NAME.fullmatch(scalar.text):
            refuse("BP027", *name_problem(shown(scalar)))
        if not is_name(scalar):
            self.wrong(scalar, f'quote it: "{scalar.text}"')
        return scalar.text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}


class Boolean(Leaf):
    noun = "true or false"
    rule = "In these two words alone, without quotes."

    def parse(self, scalar: Scalar, references: Resolver | None) -> bool:
        if not scalar.plain or scalar.text not in ("true", "false"):
            yes = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
            meant = yes.get(scalar.text.lower(), scalar.text.lower())
            self.wrong(scalar, f"write {meant}" if meant in ("true", "false") else None)
        return scalar.text == "true"

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class OneOf(Leaf):
    """One of a few words. `words` says of each what it means."""

    words: Mapping[str, str] = field(hash=False)
    noun = "one of a few words"

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
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
        return {"enum": [*self.words], "enumDescriptions": [*self.words.values()]}


class HttpPath(Text):
    """The path of an address."""

    noun = "a path, such as /health"
    rule = "A slash first; no spaces, no query."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255}", text):
            self.wrong(scalar, "begin it with a slash; no spaces, no query")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255}|.*\$\{.*)$"}


class ModelUri(Text):
    """A version of a registered model, in MLflow's own words."""

    noun = "a model of a registry, such as models:/flights-delay@champion"
    rule = "models:/NAME@ALIAS, or models:/NAME/VERSION."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(_MODEL_URI, text):
            self.wrong(scalar, "models:/NAME@ALIAS, or models:/NAME/VERSION")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": rf"^({_MODEL_URI}|.*\$\{{.*)$"}


TextValue = Annotated[str, Text()]
PathValue = Annotated[str, FilePath()]
NameValue = Annotated[str, Name()]
BooleanValue = Annotated[bool, Boolean()]
