"""`bedplate:local:Artifact`: a file of the project, or a version in a registry, in the world's store."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from bedplate.engine.provider.kind import Context, Created, Observed, Property, ResourceFailed
from bedplate.engine.world import store, token
from bedplate.engine.world.files import draft_path, failures, locked, remove_if_empty
from bedplate.engine.world.token import Token
from bedplate.errors import EngineError
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FROM = ("path", "uri", "tracking_uri")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Artifact:
    """A model's bytes, where the servers of this machine can read them."""

    TOKEN: Final = "bedplate:local:Artifact"  # noqa: S105
    SUMMARY: Final = "A model in the content-addressed store of this machine, known by its sha256."
    PROPERTIES: Final[Mapping[str, Property]] = {
        "environment": Property({"type": "string"}, replaces=True, words="environment"),
        "path": Property({"type": "string"}, required=False, words="path"),
        "uri": Property({"type": "string"}, required=False, words="version"),
        "tracking_uri": Property({"type": "string"}, required=False, words="registry"),
        "sha256": Property({"type": "string"}, words="content", because="the file's content changed"),
        "size": Property({"type": "integer"}, words="size", because="the file's content changed"),
    }
    OUTPUTS: Final[Mapping[str, Property]] = {}
    DELETE_FIRST: Final = True

    def create(self, context: Context, inputs: Mapping[str, Json]) -> Created:
        world = context.workspace.world(str(inputs["environment"]))
        name = _name(context.urn)
        with failures(f"store {_source(inputs)}"):
            with locked(world):
                path = store.token_path(world, name)
                owned = token.claim(path, context.urn) or token.mint(context.urn, name)
                # Before the copy, so that a creation that is cut off leaves nothing that nobody owns.
                token.save(path, owned)
            self._store(context, world, owned, inputs)
        return Created(owned.id)

    def read(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> Observed | None:
        world = _world(context)
        owned = _own(world, id)
        if owned is None:
            return None
        with failures("read the store"):
            # Of a copy that was cut off, or that somebody removed, only the token is left.
            found = store.look(store.stored(world, str(owned.details.get("sha256", ""))))
        sha256, size = found or ("", 0)
        observed: dict[str, Json] = {
            "environment": token.environment_of(context.urn),
            "sha256": sha256,
            "size": size,
        }
        return Observed({**observed, **{key: owned.details[key] for key in _FROM if key in owned.details}})

    def update(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
        new_inputs: Mapping[str, Json],
    ) -> Mapping[str, Json]:
        world = _world(context)
        owned = _own(world, id)
        if owned is None:
            raise ResourceFailed(f"the artifact {token.name_of(id)} is gone", "run bedplate up --refresh")
        with failures(f"store {_source(new_inputs)}"):
            self._store(context, world, owned, new_inputs)
        return {}

    def delete(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> None:
        world = _world(context)
        if not world.artifacts.exists():
            return
        with failures("remove the artifact"), locked(world):
            owned = _own(world, id)
            if owned is not None:
                path = store.token_path(world, owned.name)
                for own in (store.partial_path(world, owned.name), draft_path(path), path):
                    own.unlink(missing_ok=True)
            # Also when the token is gone already: the one who removed it may have been killed before this.
            store.collect_garbage(world)
            remove_if_empty(world.artifacts)

    def may_replace(
        self, context: Context, inputs: Mapping[str, Json], new_inputs: Mapping[str, Json]
    ) -> None:
        """Nothing stands in the way."""

    def find(self, context: Context) -> str | None:
        owned = token.load(store.token_path(_world(context), _name(context.urn)))
        return owned.id if owned is not None and owned.is_of(context.urn) else None

    def _store(self, context: Context, world: LocalWorld, owned: Token, inputs: Mapping[str, Json]) -> None:
        """The bytes first, then the token that names them; what it named before goes if nobody needs it."""
        sha256 = str(inputs["sha256"])
        if _DIGEST.fullmatch(sha256) is None:
            raise ResourceFailed(f"{sha256!r} is not a sha256")
        partial = store.partial_path(world, owned.name)
        copied = store.copy(_opened(context, inputs, sha256), partial, context.cancelled.is_set)
        try:
            if copied != sha256:
                raise ResourceFailed(
                    f"{_source(inputs)} changed since it was compiled (sha256 {sha256[:12]} then, {copied[:12]} now)",
                    "run bedplate up again, which compiles it as it is now",
                )
            with locked(world):
                store.place(world, partial, sha256)
                told = {key: inputs[key] for key in _FROM if key in inputs}
                token.save(store.token_path(world, owned.name), owned.having(**told, sha256=sha256))
                if (
                    "sha256" in owned.details
                ):  # a new one leaves nothing behind, and a look goes over them all
                    store.collect_garbage(world)
        finally:
            partial.unlink(missing_ok=True)


def _source(inputs: Mapping[str, Json]) -> str:
    return str(inputs.get("path") or inputs.get("uri"))


def _opened(context: Context, inputs: Mapping[str, Json], sha256: str) -> int:
    """A descriptor of the source's bytes."""
    if "path" in inputs:
        return store.open_source(context.workspace.root, str(inputs["path"]))
    from bedplate.engine.registry import fetch  # with MLflow's client, which few models need

    try:
        found = fetch(context.workspace, str(inputs["uri"]), str(inputs["tracking_uri"]), sha256)
    except EngineError as error:
        raise ResourceFailed(error.message, error.hint) from error
    return os.open(found, os.O_RDONLY | os.O_CLOEXEC)


def _world(context: Context) -> LocalWorld:
    return context.workspace.world(token.environment_of(context.urn))


def _own(world: LocalWorld, id: str) -> Token | None:  # noqa: A002
    owned = token.load(store.token_path(world, token.name_of(id)))
    return owned if owned is not None and owned.id == id else None


def _name(urn: str) -> str:
    """The resource's own name, which is also the file's name of its token."""
    name = urn.rpartition("::")[2]
    if _NAME.fullmatch(name) is None:
        raise ResourceFailed(f"{name!r} cannot be the name of an artifact")
    return name
