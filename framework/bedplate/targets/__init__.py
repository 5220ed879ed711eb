"""Targets: each lowers workloads to resources, and refuses what it cannot honour.

To add one: its module, a line in WORDS and in TARGETS. A module is imported when an environment has its target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from bedplate.diagnostics import Diagnostic
    from bedplate.spec.project import Environment
    from bedplate.targets.lowered import Lowered
    from bedplate.workloads import Workload


class Target(Protocol):
    """What a target module provides."""

    def settings(self, environment: Environment, /) -> Iterator[Diagnostic]:
        """What is wrong with what an environment of this target says of itself."""

    def refuse(self, workload: Workload, environment: Environment, /) -> Iterator[Diagnostic]:
        """What this target cannot do with a workload that is valid in itself."""

    def base(self, workloads: Sequence[Workload], environment: Environment, /) -> Lowered:
        """What every workload of the environment stands on: the stack `base`."""

    def lower(self, workload: Workload, environment: Environment, /) -> Lowered:
        """The resources and outputs of one workload."""


WORDS = {
    "local": "processes and files of this machine",
    "kubernetes": "objects of a cluster: compiled, and not applied yet",
}
TARGETS = {
    "local": "bedplate.targets.local",
    "kubernetes": "bedplate.targets.kubernetes",
}


def target_of(environment: Environment) -> Target:
    """The target of an environment."""
    return cast(Target, import_module(TARGETS[environment.target]))
