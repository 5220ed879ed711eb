"""What a policy is, and how a breach finds its place in the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bedplate.compiler import Compiled
from bedplate.diagnostics import Diagnostic, PathKey, Severity
from bedplate.graph import Resource
from bedplate.spec.project import Environment, Project

MODES = ("development", "production")


@dataclass(frozen=True, slots=True)
class Breach:
    """What is wrong, and where: a resource of a stack, and the field of its entry that would mend it.

    Without a resource it is about the environment itself, and `field` is one of its settings; or about neither,
    but what stands at a `place` of the spec.
    """

    message: str
    help: str
    stack: str = ""
    resource: str = ""
    field: tuple[PathKey, ...] = ()
    place: tuple[PathKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Applies:
    """What a policy is about: resources of a type, environments of a mode (any where None) and name."""

    type: str = "*"
    mode: str | None = None
    environment: str = "*"

    def to(self, name: str, mode: str, target: str) -> bool:
        """Whether anything that it is about can be in an environment."""
        possible = target == "kubernetes" or not self.type.startswith("kubernetes:")
        return possible and self.mode in (None, mode) and fnmatchcase(name, self.environment)

    def covers(self, resource: Mapping[str, Any], environment: Mapping[str, Any]) -> bool:
        """Whether it is about a resource, given as plain data as its environment is."""
        return (
            fnmatchcase(resource["type"], self.type)
            and self.mode in (None, environment["mode"])
            and fnmatchcase(environment["name"], self.environment)
        )


Check = Callable[[Compiled, Environment], Iterator[Breach]]
Rule = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[str]]
"""A rule over one resource and its environment, as plain data: a message for each thing that is wrong."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`code` is BP7xx of a built-in one; a team's codes begin with letters of its own.

    `origin` is the file of a team's, `rule` what it says of one resource, for its tests.
    """

    code: str
    title: str
    check: Check
    origin: str = "built in"
    applies: Applies = Applies()
    level: Severity = "error"
    rule: Rule | None = None


def resources(compiled: Compiled, *kinds: str) -> Iterator[tuple[str, Resource]]:
    """The resources of an environment, or those of some kinds (`Deployment`), each with its stack."""
    for stack, graph in compiled.graphs.items():
        for resource in graph.resources:
            if not kinds or resource.type.rpartition(":")[2] in kinds:
                yield stack, resource


def located(policy: Policy, breach: Breach, compiled: Compiled, project: Project) -> Diagnostic:
    """A breach as a diagnostic at the entry that its resource comes from."""
    origin = compiled.origins.get(breach.stack, {}).get(breach.resource)
    environment = project.environment.name
    path: tuple[PathKey, ...]
    if breach.place:
        path = breach.place
    elif origin is not None:
        path = (*origin.address.split("."), *breach.field)
    elif breach.resource:
        path = ("environments", environment)
    else:
        path = ("environments", environment, *breach.field)
    return Diagnostic(
        policy.code,
        breach.message,
        path,
        project.span(path, at_key=not (breach.field or breach.place)),
        breach.help,
        policy.level,
        environment=environment,
    )
