"""Ownership tokens: a small file beside everything we create that says which resource it belongs to.

Reading and deleting act only where the token's id is the id that the engine recorded. A creation that was
cut off before the engine recorded it is found again by its URN.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world.files import read_json, write_json
from bedplate.graph import Json
from bedplate.shards import without_shard

FILE = "token.json"
NO_PORT = 0  # of a service whose port was given to another


@dataclass(frozen=True, slots=True)
class Token:
    """Whose an object is. `details` are facts of the object that must outlive its process, such as a port."""

    urn: str
    name: str
    generation: str
    details: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name}@{self.generation}"

    def is_of(self, urn: str) -> bool:
        """Whether it is the token of that resource, which may have been moved between shards of its section."""
        return _without_shard(self.urn) == _without_shard(urn)

    def having(self, **details: Json) -> Token:
        """The same token with some details replaced."""
        return replace(self, details={**self.details, **details})


def mint(urn: str, name: str, **details: Json) -> Token:
    """A token of a new generation."""
    return Token(urn, name, secrets.token_hex(8), details)


def save(path: Path, token: Token) -> None:
    own: dict[str, Json] = {
        "urn": token.urn,
        "name": token.name,
        "generation": token.generation,
        "id": token.id,
    }
    write_json(path, {**token.details, **own})


def load(path: Path) -> Token | None:
    """The token at `path`, None where there is none. Raises ResourceFailed when it cannot be trusted."""
    try:
        data = read_json(path)
    except ValueError as error:
        raise _damaged(path) from error
    if data is None:
        return None
    match data:
        case {"urn": str(urn), "name": str(name), "generation": str(generation), "id": str(id), **details}:
            token = Token(urn, name, generation, details)
            if token.id == id:
                return token
    raise _damaged(path)


def claim(path: Path, urn: str) -> Token | None:
    """The token of an earlier try to create `urn`. Raises ResourceFailed if the object is somebody else's."""
    token = load(path)
    if token is not None and not token.is_of(urn):
        raise ResourceFailed(
            f"{token.name} exists already and is not managed by this project and stack (it is {token.urn})",
            f"if it is no longer wanted, destroy it where it was made; its token is {path}",
        )
    return token


def _without_shard(urn: str) -> tuple[str, ...]:
    stack, project, *rest = urn.split("::")
    return stack, without_shard(project), *rest


def _damaged(path: Path) -> ResourceFailed:
    return ResourceFailed(
        f"{path} is damaged, so it cannot be told whose this is",
        "restore the file, or move its folder away if nothing in it is needed",
    )


def name_of(id: str) -> str:  # noqa: A002
    """The object's name in an id."""
    return id.rpartition("@")[0]


def environment_of(urn: str) -> str:
    """The stack's name in a URN, which is the environment."""
    return urn.split("::")[0].removeprefix("urn:pulumi:")
