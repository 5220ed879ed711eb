"""One compiled object."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.graph import Value


@dataclass(frozen=True, slots=True)
class Object:
    """`api` is its group and version (`core/v1`, `apps/v1`), `content` all but these and the kind.

    `role` tells objects of one kind apart within a service: its Services for the two sides of a canary.
    `theirs` are the properties that a controller writes after they were made: to apply again leaves them.
    `needs` are the suffixes of those of the same service that have to be there before it.
    """

    api: str
    kind: str
    content: dict[str, Value]
    role: str = ""
    theirs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """What follows the service's name in the name of the resource."""
        return f"{self.role}-{self.kind.lower()}" if self.role else self.kind.lower()

    @property
    def name(self) -> str:
        metadata = self.content["metadata"]
        return str(metadata["name"]) if isinstance(metadata, dict) else ""
