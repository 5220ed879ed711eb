"""How a section's resources are divided among stacks: found where the state and bedplate.lock disagree, and
mended by moving entries of the state. Nothing in the world is touched by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bedplate.engine.classify import classify
from bedplate.engine.pulumi import Outcome
from bedplate.engine.session import Session, Stack, make_stacks, retire_stack
from bedplate.engine.state import STACK_TYPE
from bedplate.errors import StateError

_PROVIDERS = "pulumi:providers:"


@dataclass(frozen=True, slots=True)
class Move:
    """A resource that lies in the stack `source` and belongs to `target`.

    `twice`: it lies in both, because a move was cut off; only its entry in `source` has to go.
    """

    urn: str
    source: Stack
    target: Stack
    twice: bool


def moves(session: Session) -> list[Move]:
    """What lies in another stack of its section than bedplate.lock says."""
    return [move for section in _sections(session) for move in _moves(section)]


def refuse_misplaced(session: Session) -> None:
    """Raises StateError while something lies in another stack than bedplate.lock says: it would be made twice."""
    found = moves(session)
    if not found:
        return
    section, environment = found[0].target.section, session.environment
    shards = len([s for s in session.stacks if s.section == section and not s.former])
    raise StateError(
        f"the state of {section} in {environment} is divided otherwise than bedplate.lock says "
        f"({shards} stack{'s' * (shards != 1)}): {len(found)} resources lie elsewhere",
        hint="pull bedplate.lock if somebody has divided it; to move them, run "
        f"`bedplate shards {section}={shards} --env {environment}`",
    )


def move(session: Session, wanted: Sequence[Move], say: Callable[[str], None]) -> None:
    """Moves entries of the state. Cut off in the middle, it goes on when it is called again."""
    make_stacks(session, list({each.target.key: each.target for each in wanted}.values()))
    for _way, those in groupby(sorted(wanted, key=_way_of), _way_of):
        alike = list(those)
        source, target, urns = alike[0].source, alike[0].target, [each.urn for each in alike]
        say(f"{source.key} -> {target.key}: {len(urns)} resource{'s' * (len(urns) != 1)}")
        if alike[0].twice:
            _forget(session, source, urns)
        else:
            _move(session, source, target, urns)
    for stack in session.stacks:
        if stack.former and stack.state.exists() and not any(_resources(stack)):
            retire_stack(session, stack)


def _way_of(move: Move) -> tuple[str, str, bool]:
    return move.source.key, move.target.key, move.twice


def _sections(session: Session) -> Iterator[Sequence[Stack]]:
    """The stacks of each section that has, or had, several."""
    for _section, those in groupby(session.stacks, lambda stack: stack.section):
        stacks = list(those)
        if len(stacks) > 1:
            yield stacks


def _moves(stacks: Sequence[Stack]) -> Iterator[Move]:
    home = {resource.name: stack for stack in stacks for resource in stack.graph.resources}
    lying = {stack.key: _resources(stack) for stack in stacks}
    held = {key: {_name(r): r.get("id") for r in resources} for key, resources in lying.items()}
    for stack in stacks:
        for resource in lying[stack.key]:
            name = _name(resource)
            target = home.get(name, stack)
            if target is not stack:
                twice = held[target.key].get(name) == resource.get("id") is not None
                yield Move(resource["urn"], stack, target, twice)


def _resources(stack: Stack) -> list[Mapping[str, Any]]:
    """What a person would call one."""
    return [
        resource
        for resource in stack.state.resources()
        if resource["type"] != STACK_TYPE and not resource["type"].startswith(_PROVIDERS)
    ]


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"]).rpartition("::")[2]


def _move(session: Session, source: Stack, target: Stack, urns: Sequence[str]) -> None:
    ends = ("--source", _full_name(session, source), "--dest", _full_name(session, target))
    _checked(session, source, session.pulumi.call(target.folder, "state", "move", "--yes", *ends, *urns))
    for stack in (source, target):
        stack.state.forget()


def _forget(session: Session, stack: Stack, urns: Sequence[str]) -> None:
    for urn in urns:
        arguments = ("state", "delete", urn, "--yes", "--force", "--stack", stack.name)
        _checked(session, stack, session.pulumi.call(stack.folder, *arguments))
    stack.state.forget()


def _full_name(session: Session, stack: Stack) -> str:
    return f"organization/{session.project}-{stack.key}/{stack.name}"


def _checked(session: Session, stack: Stack, outcome: Outcome) -> None:
    session.refuse_interrupted(str(stack))
    if not outcome.ok:
        raise classify(outcome.text, what=str(stack))
