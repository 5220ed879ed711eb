"""What tests ask an API server for: objects by their kind, applied as `kubectl apply --server-side` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = Mapping[str, Any]
MANAGER = "bedplate-tests"


@dataclass(frozen=True)
class Api:
    """An API server, and the paths of the kinds that it knows."""

    client: httpx.Client
    kinds: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)

    def path(self, content: Json) -> str:
        """The path of an object."""
        api, metadata = str(content["apiVersion"]), content["metadata"]
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        if api not in self.kinds:
            resources = self.client.get(root).raise_for_status().json()["resources"]
            found = {
                each["kind"]: (each["name"], each["namespaced"])
                for each in resources
                if "/" not in each["name"]
            }
            self.kinds[api] = found
        plural, namespaced = self.kinds[api][content["kind"]]
        where = f"/namespaces/{metadata['namespace']}" if namespaced else ""
        return f"{root}{where}/{plural}/{metadata['name']}"

    def apply(self, content: Json, *, dry: bool = False) -> httpx.Response:
        """What the server says to an object, of which it has to know every field."""
        wanted = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        return self.client.patch(
            self.path(content),
            params={**wanted, **({"dryRun": "All"} if dry else {})},
            json=content,
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
