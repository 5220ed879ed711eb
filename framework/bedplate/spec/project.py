"""The Project: a valid spec in one environment, as sections and targets see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bedplate.diagnostics import PathKey, Span
from bedplate.inputs import Inputs
from bedplate.spec.names import variable_of
from bedplate.spec.tree import Map, find

if TYPE_CHECKING:
    from bedplate.spec.frame import EnvironmentSpec, SecretSource


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, resolved: `extends` followed, overrides applied to the Project that holds it.

    `settings` is what it says, merged with what it extends; `secrets` are the sources that the spec names.
    """

    project: str
    name: str
    target: str
    mode: str
    settings: EnvironmentSpec
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    protect: tuple[str, ...] = ()
    promotes_from: str | None = None
    timezone: str = "UTC"

    @property
    def is_production(self) -> bool:
        return self.mode == "production"

    @property
    def is_one_machine(self) -> bool:
        """Whether all services share the ports of one machine; elsewhere each has an address of its own."""
        return self.target == "local"

    def secret_source(self, name: str) -> Mapping[str, str]:
        """Where the value of a secret is read; without a word about it, `api-key` comes from API_KEY."""
        source = self.secrets.get(name)
        if source is not None and source.kubernetes is not None:
            return {"kubernetes": source.kubernetes.name, "key": source.kubernetes.key}
        if source is not None and source.env is not None:
            return {"env": source.env}
        return {"env": variable_of(name)}

    def protects(self, address: str) -> bool:
        """Whether an entry, or its whole section, is protected."""
        return address in self.protect or address.partition(".")[0] in self.protect


@dataclass(frozen=True, slots=True)
class Project:
    """A valid spec in one environment: for each section key, its entries by name, as the section's Model.

    `elsewhere` are the entries that other environments have; `policies` is the folder with the team's own;
    `templates` are the abstract environments.
    """

    name: str
    environment: Environment
    sections: Mapping[str, Mapping[str, Any]]
    inputs: Inputs = field(default_factory=Inputs)
    tree: Map | None = field(default=None, compare=False, repr=False)
    elsewhere: Mapping[str, frozenset[str]] = field(default_factory=dict)
    policies: str | None = None
    templates: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def span(self, path: tuple[PathKey, ...], *, at_key: bool = False) -> Span:
        """Where the value (or the key) at `path` of the merged spec was written, or its nearest parent."""
        if self.tree is None:
            return Span("", 1, 1, 2)
        return find(self.tree, path, at_key=at_key).span()

    def declared(self, section: str) -> frozenset[str] | None:
        """The names written in a section, also of entries that are wrong in themselves.

        None where the section is no mapping: what names it should hold is anybody's guess.
        """
        node = self.tree.items.get(section) if self.tree else None
        if node is not None and not isinstance(node, Map):
            return None
        written = node.items if node else ()
        return frozenset(written) | frozenset(self.sections.get(section, ()))
