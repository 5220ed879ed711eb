"""What a target makes of a workload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bedplate.graph import Resource, Value


@dataclass(frozen=True, slots=True)
class Lowered:
    """Resources of one stack, the stack's outputs, and for each resource the spec address it comes from."""

    resources: tuple[Resource, ...] = ()
    outputs: Mapping[str, Value] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def merged(cls, parts: Iterable[Lowered]) -> Lowered:
        """All parts as one."""
        resources: list[Resource] = []
        outputs: dict[str, Value] = {}
        addresses: dict[str, str] = {}
        for part in parts:
            resources += part.resources
            outputs |= part.outputs
            addresses |= part.addresses
        return cls(tuple(resources), outputs, addresses)
