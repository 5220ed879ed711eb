"""Amounts with units: durations, percentages, memory, CPU. Values are exact, never floats."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse
from bedplate.spec.tree import Scalar

# Patterns are compiled when they are first used: most specs use few of the types.
_BARE = r"[0-9]+(\.[0-9]+)?"
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


_BINARY = {"Gi": 30, "Mi": 20, "Ki": 10}


@dataclass(frozen=True)
class Duration(Leaf):
    """A length of time in seconds, exact. `whole_seconds`: milliseconds are too fine."""

    whole_seconds: bool = False
    noun = "a duration, such as 90s, 100ms or 1h30m"

    @property
    def rule(self) -> str:  # type: ignore[override]
        units = "d, h, m and s" if self.whole_seconds else "d, h, m, s and ms"
        return f"Whole numbers with the units {units}, falling; longer than zero."

    def parse(self, scalar: Scalar, references: Resolver | None) -> Decimal:
        found = re.fullmatch(_DURATION, scalar.text)
        if not found:
            bare = scalar.text.isdecimal()
            finer = "" if self.whole_seconds else f"{scalar.text}ms or "
            self.wrong(
                scalar,
                f"say the unit: {finer}{scalar.text}s"
                if bare
                else "whole numbers; units d, h, m, s, ms, falling",
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

    def written(self, value: object) -> object:
        days, rest = divmod(Decimal(str(value)), _SECONDS["d"])
        return f"{value}s" if rest else f"{days}d"

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

    @property
    def rule(self) -> str:  # type: ignore[override]
        return f"With its sign; more than 0%, and {'less than' if self.below_hundred else 'at most'} 100%."

    def parse(self, scalar: Scalar, references: Resolver | None) -> Decimal:
        found = re.fullmatch(_PERCENT, scalar.text)
        if not found:
            self.wrong(scalar, self._meant(scalar.text) if re.fullmatch(_BARE, scalar.text) else None)
        share = Decimal(found.group(1)) / 100
        if share <= 0 or share > 1 or (self.below_hundred and share == 1):
            refuse(
                "BP024",
                f"{scalar.text} is out of range",
                f"more than 0%, {'less than' if self.below_hundred else 'at most'} 100%",
            )
        return share

    def written(self, value: object) -> object:
        return f"{(Decimal(str(value)) * 100).normalize():f}%"

    @staticmethod
    def _meant(bare: str) -> str:
        """What to write for a bare number: below 1 it may be a share of 1."""
        if not 0 < Decimal(bare) < 1:
            return f"say the unit: {bare}%"
        return f"say the unit: {(Decimal(bare) * 100).normalize():f}% where it is a share of 1, else {bare}%"

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,12})?%$"}


class Memory(Leaf):
    """An amount of memory in whole bytes, as Kubernetes reads quantities."""

    noun = "an amount of memory, such as 512Mi or 2Gi"
    rule = "Units Ki, Mi, Gi, Ti (of 1024) or k, M, G, T (of 1000); a bare number is bytes."

    def parse(self, scalar: Scalar, references: Resolver | None) -> int:
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

    def written(self, value: object) -> object:
        amount = int(str(value))
        return next(
            (f"{amount // 2**bits}{unit}" for unit, bits in _BINARY.items() if amount % 2**bits == 0), amount
        )

    def schema(self) -> Schema:
        return {"type": ["string", "number"], "pattern": f"^{_QUANTITY}$"}


class Cpu(Leaf):
    """An amount of CPU in cores, exact to the thousandth, as Kubernetes reads quantities."""

    noun = "an amount of CPU, such as 2, 0.5 or 500m"
    rule = "Cores, or thousandths of a core with m; from 1m to 1024."

    def parse(self, scalar: Scalar, references: Resolver | None) -> Decimal:
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


DurationValue = Annotated[Decimal, Duration()]
MemoryValue = Annotated[int, Memory()]
CpuValue = Annotated[Decimal, Cpu()]
