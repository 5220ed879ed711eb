"""The kinds of resources that bedplate's own provider knows. To add one: its module, and a line in KINDS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bedplate.engine.provider.kind import Kind
from bedplate.engine.provider.kinds.artifact import Artifact
from bedplate.engine.provider.kinds.service import Service
from bedplate.engine.provider.kinds.supervisor import Supervisor
from bedplate.engine.world.local import LocalMachine

_MACHINE: Final = LocalMachine()

KINDS: Final[Mapping[str, Kind]] = {
    "bedplate:local:Supervisor": Supervisor(_MACHINE),
    "bedplate:local:Artifact": Artifact(),
    "bedplate:local:Service": Service(_MACHINE),
}
