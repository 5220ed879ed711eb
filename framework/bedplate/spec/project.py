"""The Project: a valid spec in one environment, as sections and targets see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bedplate.diagnostics import PathKey, Span
from bedplate.spec.tree import Map, find
from bedplate.workloads import Inputs


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, resolved: `extends` followed, overrides applied to the Project that holds it.

    `secrets` holds the sources that the spec names, such as `{"api-key": {"env": "DELAY_KEY"}}`.
    """

    name: str
    target: str
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def secret_source(self, name: str) -> Mapping[str, str]:
        """Where the value of a secret is read; without a word about it, `api-key` comes from API_KEY."""
        return self.secrets.get(name) or {"env": name.upper().replace("-", "_")}


@dataclass(frozen=True, slots=True)
class Project:
    """A valid spec in one environment: for each section key, its entries by name, as the section's Model."""

    name: str
    environment: Environment
    sections: Mapping[str, Mapping[str, Any]]
    inputs: Inputs = field(default_factory=Inputs)
    tree: Map | None = field(default=None, compare=False, repr=False)

    def span(self, path: tuple[PathKey, ...], *, at_key: bool = False) -> Span:
        """Where the value (or the key) at `path` of the merged spec was written, or its nearest parent."""
        if self.tree is None:
            return Span("", 1, 1, 2)
        return find(self.tree, path, at_key=at_key).span()

    def declared(self, section: str) -> frozenset[str]:
        """The names written in a section, also of entries that are wrong in themselves."""
        node = self.tree.items.get(section) if self.tree else None
        written = node.items if isinstance(node, Map) else ()
        return frozenset(written) | frozenset(self.sections.get(section, ()))
