"""Among how many stacks a section's entries are placed, and which entry goes to which.

A backend of files or of objects writes the whole state of a stack at every step, so that a stack of many
resources costs by their square. `shards` in bedplate.lock says how many stacks a section has; without it, one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

MOST = 64
_STACK = re.compile(r"(.+?)(?:-([0-9]+))?")


class Named(Protocol):
    """What is placed by its name in the world, which stays when its entry's key is changed."""

    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=Named)


def stack_name(section: str, shard: int | None) -> str:
    """The stack's own name in its project: `serving`, or `serving-3` of several."""
    return section if shard is None else f"{section}-{shard}"


def parts(stack: str) -> tuple[str, int | None]:
    """The inverse of `stack_name`."""
    match = _STACK.fullmatch(stack)
    if match is None:
        raise ValueError(stack)
    return match[1], None if match[2] is None else int(match[2])


def shard_of(name: str, shards: int) -> int:
    """The shard of a name, of `shards` of them, counted from 0.

    By rendezvous hashing: of two numbers of shards, only names whose shard is not among both move (Thaler and
    Ravishankar, "Using name-based mappings to increase hit rates", 1998).
    """
    return max(range(shards), key=lambda shard: hashlib.sha256(f"{shard}\0{name}".encode()).digest())


def placed(items: Iterable[Item], shards: int | None) -> Mapping[int | None, tuple[Item, ...]]:
    """The items of a section by shard: every shard is there, also where nothing falls to it."""
    if shards is None:
        return {None: tuple(items)}
    found: dict[int | None, list[Item]] = {shard: [] for shard in range(shards)}
    for item in items:
        found[shard_of(item.name, shards)].append(item)
    return {shard: tuple(those) for shard, those in found.items()}


def without_shard(pulumi_project: str) -> str:
    """The name of a Pulumi project (`flights-serving-3`) without the shard: whose a resource is stays so when
    it is moved to another stack of its section.
    """
    return re.sub(r"-[0-9]+$", "", pulumi_project)
