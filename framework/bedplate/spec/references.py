"""`${var.NAME}` and `${environment.name}` inside texts; `$${` is the literal `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.diagnostics import did_you_mean

_OPEN = r"\$\$\{|\$\{"


class ReferenceProblem(Exception):
    """A reference that cannot be resolved. `within`: offset and length of it in the text."""

    def __init__(self, code: str, message: str, hint: str | None, within: tuple[int, int]) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.within = code, message, hint, within


@dataclass(frozen=True, slots=True)
class References:
    """What references can name in one environment; `environment` empty: none may stand here."""

    environment: str
    variables: Mapping[str, str]
    known: frozenset[str] = frozenset()

    @classmethod
    def none(cls) -> References:
        return cls("", {})

    def resolve(self, text: str) -> str:
        """The text with every reference's value in its place. Raises ReferenceProblem."""
        if "${" not in text:
            return text
        parts: list[str] = []
        position = 0
        for opening in re.finditer(_OPEN, text):
            if opening.start() < position:
                continue
            parts.append(text[position : opening.start()])
            if opening.group() == "$${":
                parts.append("${")
                position = opening.end()
                continue
            end = text.find("}", opening.end())
            if end < 0:
                within = (opening.start(), len(text) - opening.start())
                raise ReferenceProblem("BP107", "the reference ${ is not closed", _LITERAL, within)
            within = (opening.start(), end + 1 - opening.start())
            parts.append(self._value(text[opening.end() : end], within))
            position = end + 1
        parts.append(text[position:])
        return "".join(parts)

    def _value(self, reference: str, within: tuple[int, int]) -> str:
        if not self.environment:
            raise ReferenceProblem("BP107", "a reference cannot stand here", _LITERAL, within)
        if reference == "environment.name":
            return self.environment
        root, _, name = reference.partition(".")
        if root != "var" or not name:
            message = f"${{{reference}}} refers to nothing that is known"
            raise ReferenceProblem(
                "BP107", message, f"known: ${{var.NAME}}, ${{environment.name}}; {_LITERAL}", within
            )
        if name in self.variables:
            return self.variables[name]
        if name in self.known:
            # It is declared and has no value here: that is said once, where the value is missing.
            return ""
        near = did_you_mean(name, self.known)
        declare = f"declare it: variables: {{{name}: {{type: string}}}}"
        help_text = f"did you mean ${{var.{near}}}?" if near else declare
        raise ReferenceProblem("BP108", f"the variable {name} is not declared", help_text, within)


_LITERAL = "for the literal text, write $${"
