"""What a policy is, and how a breach finds its place in the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bedplate.compiler import Compiled
from bedplate.diagnostics import Diagnostic, PathKey
from bedplate.graph import Resource
from bedplate.spec.project import Environment, Project


@dataclass(frozen=True, slots=True)
class Breach:
    """What is wrong, and where: a resource of a stack, and the field of its entry that would mend it.

    Without a resource it is about the environment itself, and `field` is one of its settings.
    """

    message: str
    help: str
    stack: str = ""
    resource: str = ""
    field: tuple[PathKey, ...] = ()


Check = Callable[[Compiled, Environment], Iterator[Breach]]


@dataclass(frozen=True, slots=True)
class Policy:
    """`code` is BP7xx of a built-in one; a team's codes begin with letters of its own. `origin` is its file."""

    code: str
    title: str
    check: Check
    origin: str = "built in"


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
    if origin is not None:
        path: tuple[PathKey, ...] = (*origin.address.split("."), *breach.field)
    elif breach.resource:
        path = ("environments", environment)
    else:
        path = ("environments", environment, *breach.field)
    return Diagnostic(
        policy.code,
        breach.message,
        path,
        project.span(path, at_key=not breach.field),
        breach.help,
        environment=environment,
    )
