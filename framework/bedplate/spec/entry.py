"""What every entry of every section can say."""

from __future__ import annotations

from bedplate.spec.model import SpecModel, optional
from bedplate.spec.types import NameValue


class Entry(SpecModel):
    """An entry of a section: a thing with a name, in some environments."""

    name: NameValue | None = optional(
        None,
        "The entry's identity in the world. A key can change, and the name keep what it names.",
        "delay",
        absent="the key.",
    )
    environments: tuple[NameValue, ...] | None = optional(
        None, "The environments in which the entry exists.", "[staging, prod]", absent="all of them."
    )

    def identity(self, key: str) -> str:
        """What the entry under this key is called in the world."""
        return self.name or key
