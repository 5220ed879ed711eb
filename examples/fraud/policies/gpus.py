"""GPUs are dear: an entry that asks for one says on which nodes, so that nothing else is waiting for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CODE = "FRAUD001"
TITLE = "what computes on GPUs runs in the pool of GPUs"
HELP = "add nodeSelector: {pool: gpu} in kubernetes.patches"


def check(resource: dict[str, Any], environment: dict[str, Any]) -> Iterator[str]:
    """A message for each pod that asks for a GPU and may come to any node."""
    pod = resource["properties"].get("spec", {}).get("template", {}).get("spec", {})
    amounts = [container.get("resources", {}).get("limits", {}) for container in pod.get("containers", ())]
    if (
        any("nvidia.com/gpu" in limits for limits in amounts)
        and pod.get("nodeSelector", {}).get("pool") != "gpu"
    ):
        yield f"{resource['name']} asks for a GPU and may come to any node"
