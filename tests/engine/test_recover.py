"""What a creation that was cut off becomes in the state."""

from __future__ import annotations

from typing import Any

from bedplate.engine.recover import with_created
from bedplate.engine.state import unfinished

STACK = {"urn": "urn:pulumi:local::zoo-toys::pulumi:pulumi:Stack::zoo", "type": "pulumi:pulumi:Stack"}


def resource(name: str, **more: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:local::zoo-toys::bedplate:toy:Toy::{name}"
    return {"urn": urn, "type": "bedplate:toy:Toy", "custom": True, "inputs": {"label": name}, **more}


CAT, DOG, EEL = (resource(name) for name in ("cat", "dog", "eel"))
OLD_DOG = {**DOG, "id": "dog@0", "outputs": {"label": "dog"}}
EXPORTED = {
    "version": 3,
    "deployment": {
        "manifest": {"magic": "x"},
        "resources": [STACK, OLD_DOG],
        "pending_operations": [
            {"resource": CAT, "type": "creating"},
            {"resource": DOG, "type": "creating"},
            {"resource": EEL, "type": "creating"},
        ],
    },
}


def test_what_was_found_is_a_resource_that_nobody_has_read() -> None:
    made = with_created(EXPORTED, {CAT["urn"]: "cat@1", DOG["urn"]: "dog@1"})
    assert made["version"] == 3
    assert made["deployment"]["manifest"] == {"magic": "x"}
    assert made["deployment"]["resources"] == [STACK, OLD_DOG, {**CAT, "id": "cat@1"}]
    assert unfinished(made["deployment"]) == [{"type": "reading", "resource": {**CAT, "id": "cat@1"}}]
    assert len(unfinished(EXPORTED["deployment"])) == 3  # type: ignore[arg-type]


def test_a_state_without_resources_has_nothing_unfinished() -> None:
    assert unfinished({}) == []
    assert unfinished({"resources": None, "pending_operations": None}) == []
    assert unfinished({"resources": [STACK, OLD_DOG]}) == []
