"""Cleaning up after a command that was killed: locks, and operations whose end nobody saw.

For every creation that was cut off, the kind is asked whether the world holds its object; if so, the object
is taken into the state, else the creation is dropped. A refresh then settles the rest.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bedplate.engine.classify import classify
from bedplate.engine.engine_lock import EngineLock
from bedplate.engine.lock import holder, lock_path, locked, one_breaker
from bedplate.engine.provider.kind import Context
from bedplate.engine.provider.kinds import KINDS
from bedplate.engine.pulumi import Outcome
from bedplate.engine.session import Session, Stack
from bedplate.engine.state import CREATING, UNREAD
from bedplate.errors import Interrupted, Locked

WAIT_FOR_ENGINE_S = 60.0
LOOK_EVERY_S = 0.2


def recover(session: Session, *, force: bool, say: Callable[[str], None]) -> tuple[str, ...]:
    """Settles everything that a killed run left, and tells what that was. Raises Locked while it still runs.

    `force`: also where nobody here can see whether a lock's holder lives, such as on another machine.
    """
    lines = list(_break_lock(session, force))
    with locked(session.workspace, session.environment, "recover"):
        for stack in session.stacks:
            if stack.state.exists():
                lines += _settle(session, stack, force, say)
    return tuple(lines)


def _break_lock(session: Session, force: bool) -> Iterator[str]:
    path = lock_path(session.workspace, session.environment)
    with one_breaker(path):
        if not path.exists():
            return
        held = holder(path)
        alive = held.alive() if held else None
        if alive:
            raise Locked(f"locked by {held}", hint="wait until it is done")
        if alive is None and not force:
            raise _unseen(f"locked by {held}" if held else f"the lock {path} cannot be read")
        path.unlink(missing_ok=True)
    yield f"removed the lock of {held}" if held else "removed a lock that could not be read"


def _settle(session: Session, stack: Stack, force: bool, say: Callable[[str], None]) -> Iterator[str]:
    locks = stack.state.locks()
    if not locks and not stack.state.pending():
        return
    yield from _break_engine_lock(session, stack, locks, force, say)
    stack.state.forget()
    pending = stack.state.pending()
    found = {operation["resource"]["urn"]: _find(session, operation) for operation in pending}
    _take_in(session, stack, {urn: id_ for urn, id_ in found.items() if id_ is not None})
    yield from (_told(stack, operation, found[operation["resource"]["urn"]]) for operation in pending)
    say(f"{stack}: looking at the world")
    arguments = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", stack.name]
    _checked(session, stack, session.pulumi.operate(stack.folder, *arguments))


def _take_in(session: Session, stack: Stack, found: Mapping[str, str]) -> None:
    """Makes of pending creations resources with these ids, which the refresh then reads: what is no resource of the
    state would run for ever. (The engine's --import-pending-creates only forgets that they were begun.)
    """
    if not found:
        return
    with tempfile.TemporaryDirectory(prefix="bedplate-") as scratch:
        file = Path(scratch) / "state.json"
        words = ("--stack", stack.name, "--file", str(file))
        _checked(session, stack, session.pulumi.call(stack.folder, "stack", "export", *words))
        file.write_text(json.dumps(with_created(json.loads(file.read_bytes()), found)))
        _checked(session, stack, session.pulumi.call(stack.folder, "stack", "import", *words))


def with_created(exported: Mapping[str, Any], found: Mapping[str, str]) -> dict[str, Any]:
    """An exported state with its pending creations of these URNs as resources. `found`: URN to id."""
    deployment = dict(exported["deployment"])
    resources = list(deployment.get("resources") or ())
    known = {resource["urn"] for resource in resources}
    for operation in deployment.get("pending_operations") or ():
        urn = operation["resource"]["urn"]
        if operation["type"] == CREATING and urn in found and urn not in known:
            resources.append({**operation["resource"], "id": found[urn]})
    return {**exported, "deployment": {**deployment, "resources": resources, "pending_operations": []}}


def _break_engine_lock(
    session: Session, stack: Stack, locks: list[EngineLock], force: bool, say: Callable[[str], None]
) -> Iterator[str]:
    left = _wait_for_engine(session, stack, locks, force, say)
    if left:
        _checked(session, stack, session.pulumi.call(stack.folder, "cancel", "--yes", stack.name))
        yield f"{stack}: removed the engine's lock: {left[0]}"
    for lock in left:
        session.pulumi.forget_run(lock.pid)


def _checked(session: Session, stack: Stack, outcome: Outcome) -> None:
    if session.pulumi.interruption.requested:
        raise Interrupted(f"{stack}: interrupted", hint="run `bedplate recover` again to go on")
    if not outcome.ok:
        raise classify(outcome.text, what=str(stack))


def _unseen(what: str) -> Locked:
    return Locked(
        f"{what}; nobody here can see whether its holder still runs",
        hint="when you know that it is gone: `bedplate recover --force`",
    )


def _find(session: Session, operation: Mapping[str, Any]) -> str | None:
    """The id of what a creation has made; None where it made nothing."""
    resource = operation["resource"]
    if operation["type"] == UNREAD:
        return str(resource["id"])
    kind = KINDS.get(resource["type"])
    if operation["type"] != CREATING or kind is None:
        return None
    return kind.find(Context(session.workspace, resource["urn"], threading.Event(), lambda _text: None))


def _told(stack: Stack, operation: Mapping[str, Any], found: str | None) -> str:
    name = operation["resource"]["urn"].rpartition("::")[2]
    if operation["type"] not in (CREATING, UNREAD):
        return f"{stack.section}.{name}: {operation['type']} was cut off; read again from the world"
    if found is None:
        return f"{stack.section}.{name}: creating was cut off before anything was made"
    return f"{stack.section}.{name}: had been created as {found}; taken into the state"


def _wait_for_engine(
    session: Session, stack: Stack, locks: list[EngineLock], force: bool, say: Callable[[str], None]
) -> list[EngineLock]:
    """The locks whose engines are gone. One whose command was killed finishes what is under way by itself; it is
    not to be cut off.
    """
    deadline = time.monotonic() + WAIT_FOR_ENGINE_S
    said = False
    while True:
        unseen = next((lock for lock in locks if lock.alive() is None), None)
        if unseen and not force:
            raise _unseen(f"{stack} is locked by {unseen}")
        alive = next((lock for lock in locks if lock.alive()), None)
        if alive is None:
            return locks
        if session.pulumi.interruption.requested:
            raise Interrupted(f"{stack}: interrupted while an engine (pid {alive.pid}) still works")
        if time.monotonic() > deadline:
            raise Locked(f"{stack}: an engine (pid {alive.pid}) still works", hint="wait, then recover again")
        if not said:
            say(f"{stack}: waiting for an engine (pid {alive.pid}) to finish")
            said = True
        time.sleep(LOOK_EVERY_S)
        locks = stack.state.locks()
