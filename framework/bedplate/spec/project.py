"""The project frame: environments, variables, secrets' sources; and the Project that sections see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bedplate.diagnostics import PathKey, Span
from bedplate.workloads import Inputs


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, resolved: `extends` followed, overrides applied to the Project that holds it."""

    name: str
    target: str
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A valid spec in one environment: for each section key, its entries by name, as the section's Model."""

    name: str
    environment: Environment
    sections: Mapping[str, Mapping[str, Any]]
    inputs: Inputs = Inputs()

    def span(self, path: tuple[PathKey, ...], *, at_key: bool = False) -> Span:
        """Where the value (or the key) at `path` of the merged spec was written, or its nearest parent."""
        raise NotImplementedError
