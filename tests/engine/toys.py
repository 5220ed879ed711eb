# ruff: noqa: A002 - `id` is the protocol's word
"""A provider of toys, for tests of the protocol: the real servicer over a kind whose world is files.

Started by the engine as `python -m tests.engine.toy_provider --project ROOT`. The world is ROOT/world: one
JSON file per toy, a line in `journal` per thing done, and switches that tests set by making files.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bedplate.engine.plugin_process import Arguments
from bedplate.engine.provider.kind import (
    Context,
    Created,
    Kind,
    NotHealthy,
    Observed,
    Property,
    ResourceFailed,
)
from bedplate.engine.provider.servicer import serve_provider
from bedplate.engine.secrets import references, secret_value
from bedplate.errors import EngineError
from bedplate.graph import Json

STRING = {"type": "string"}


class Toy:
    """Has a label, a size, parts, perhaps a key; its outputs are an address and a secret token."""

    TOKEN = "bedplate:toy:Toy"
    SUMMARY = "A file in a folder."
    PROPERTIES: Mapping[str, Property] = {
        "label": Property(STRING, words="label"),
        "size": Property({"type": "integer"}, required=False),
        "parts": Property(
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": STRING, "count": {"type": "integer"}},
                    "required": ["name"],
                },
            },
            required=False,
        ),
        "shape": Property(STRING, required=False, replaces=True),
        "from": Property(STRING, required=False),
        "key": Property({"type": "object"}, required=False),
    }
    OUTPUTS: Mapping[str, Property] = {
        "address": Property(STRING),
        "token": Property(STRING, secret=True),
        "echo": Property(STRING),
    }
    DELETE_FIRST = False

    def create(self, context: Context, inputs: Mapping[str, Json]) -> Created:
        world, name = _world(context), _name(context)
        _obey(world, name, context)
        toy_id = f"{name}@{secrets.token_hex(4)}"
        outputs = _outputs(name, inputs)
        context.log(f"making {name}, {outputs.get('echo', 'plain')}")
        _put(world, toy_id, {"inputs": dict(inputs), "outputs": outputs})
        _note(world, f"create {name}")
        if (world / f"unhealthy-{name}").exists():
            raise NotHealthy(toy_id, outputs, (f"{name} does not work",))
        return Created(toy_id, outputs)

    def read(
        self, context: Context, id: str, inputs: Mapping[str, Json], outputs: Mapping[str, Json]
    ) -> Observed | None:
        try:
            toy = json.loads((_world(context) / f"{id}.json").read_bytes())
        except FileNotFoundError:
            return None
        return Observed(toy["inputs"], toy["outputs"])

    def update(
        self,
        context: Context,
        id: str,
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
        new_inputs: Mapping[str, Json],
    ) -> Mapping[str, Json]:
        world, name = _world(context), _name(context)
        _obey(world, name, context)
        new_outputs = _outputs(name, new_inputs)
        _put(world, id, {"inputs": dict(new_inputs), "outputs": new_outputs})
        _note(world, f"update {name}")
        if (world / f"unhealthy-{name}").exists():
            raise NotHealthy(id, new_outputs, (f"{name} still does not work",))
        return new_outputs

    def delete(
        self, context: Context, id: str, inputs: Mapping[str, Json], outputs: Mapping[str, Json]
    ) -> None:
        world = _world(context)
        (world / f"{id}.json").unlink(missing_ok=True)
        _note(world, f"delete {_name(context)}")

    def may_replace(
        self, context: Context, inputs: Mapping[str, Json], new_inputs: Mapping[str, Json]
    ) -> None:
        if (_world(context) / f"irreplaceable-{_name(context)}").exists():
            raise ResourceFailed(f"{_name(context)} cannot be replaced now")

    def find(self, context: Context) -> str | None:
        return next((path.stem for path in _world(context).glob(f"{_name(context)}@*.json")), None)


TOYS: Mapping[str, Kind] = {Toy.TOKEN: Toy()}


def _world(context: Context) -> Path:
    world = context.workspace.root / "world"
    world.mkdir(exist_ok=True)
    return world


def _name(context: Context) -> str:
    return context.urn.rpartition("::")[2]


def _outputs(name: str, inputs: Mapping[str, Json]) -> dict[str, Json]:
    outputs: dict[str, Json] = {"address": f"toy://{name}", "token": f"token-of-{name}"}
    for found in references(dict(inputs)):
        outputs["echo"] = f"derived from {secret_value(found)}"
    return outputs


def _obey(world: Path, name: str, context: Context) -> None:
    """Does what a test has asked for by making a file."""
    if (world / f"bug-{name}").exists():
        raise KeyError((world / f"bug-{name}").read_text())
    if (world / f"refuse-{name}").exists():
        raise EngineError((world / f"refuse-{name}").read_text(), hint="do otherwise")
    if (world / f"fail-{name}").exists():
        raise ResourceFailed((world / f"fail-{name}").read_text(), "mend it")
    if (world / f"hang-{name}").exists():
        _note(world, f"hang {name}")
        while (world / f"hang-{name}").exists() and not context.cancelled.is_set():
            time.sleep(0.02)


def _put(world: Path, toy_id: str, toy: Mapping[str, object]) -> None:
    (world / f"{toy_id}.json").write_text(json.dumps(toy))


def _note(world: Path, line: str) -> None:
    with (world / "journal").open("a") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        journal.write(line + "\n")


def main() -> None:
    serve_provider(TOYS, Arguments.parsed(sys.argv[1:]))
