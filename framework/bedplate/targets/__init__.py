"""Targets: each lowers workloads to resources, and refuses what it cannot honour.

To add one: its module, a line in TARGETS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from bedplate.diagnostics import Diagnostic
from bedplate.spec.project import Environment
from bedplate.targets import local
from bedplate.targets.lowered import Lowered
from bedplate.workloads import Workload


class Target(Protocol):
    """What a target module provides."""

    def refuse(self, workload: Workload, environment: Environment, /) -> Iterator[Diagnostic]:
        """What this target cannot do with a workload that is valid in itself."""

    def base(self, workloads: Sequence[Workload], environment: Environment, /) -> Lowered:
        """What every workload of the environment stands on: the stack `base`."""

    def lower(self, workload: Workload, environment: Environment, /) -> Lowered:
        """The resources and outputs of one workload."""


TARGETS: dict[str, Target] = {
    "local": local,
}
