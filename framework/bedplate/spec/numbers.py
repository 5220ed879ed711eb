"""Numbers without a unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse
from bedplate.spec.tree import Scalar

# Patterns are compiled when they are first used: most specs use few of the types.
_INTEGER = r"[-+]?(0|[1-9][0-9]{0,17})"
_NUMBER = r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?"
_NUMBER_LIKE = r"(?i)[-+]?[0-9][0-9_,.xoa-f]*|[-+]?\.(inf|nan)"


@dataclass(frozen=True)
class Integer(Leaf):
    """A whole number within bounds, both included."""

    low: int
    high: int
    noun = "a whole number"
    rule = "In decimal digits, without quotes."

    def parse(self, scalar: Scalar, references: Resolver | None) -> int:
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
    rule = "In decimal digits, without quotes; 1e-5 is one too."

    def parse(self, scalar: Scalar, references: Resolver | None) -> Decimal:
        if not scalar.plain or not re.fullmatch(_NUMBER, scalar.text):
            self.wrong(scalar, _number_help(scalar, self.noun))
        value = Decimal(scalar.text)
        if not self.low <= value <= self.high:
            refuse("BP024", f"{scalar.text} is out of range", f"from {self.low} to {self.high}")
        return value

    def written(self, value: object) -> object:
        exact = Decimal(str(value))
        return int(exact) if exact == int(exact) else float(exact)

    def schema(self) -> Schema:
        return {"type": "number", "minimum": float(self.low), "maximum": float(self.high)}


def _number_help(scalar: Scalar, noun: str) -> str | None:
    if not scalar.plain and re.fullmatch(_NUMBER, scalar.text):
        return "write it without quotes"
    if re.fullmatch(_NUMBER_LIKE, scalar.text):
        return f"write {noun} in decimal digits, such as {'3' if 'whole' in noun else '0.5'}"
    return None
