"""Kills a process of the product at a named point, once. On PYTHONPATH of the commands under test only.

BEDPLATE_FAULT names the point, BEDPLATE_FAULT_ONCE a file that exists until the fault has happened:
    provider:<method>:<Type>:<before|after>   the provider, around one method of one kind
    host:<n>:<before|after>                   the language host, around its n-th registration
    cli:<n>                                   the command line, at the n-th step event that it is told
    engine:<n>                                the engine, when the command line is told of the n-th step event
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

POINT = os.environ.get("BEDPLATE_FAULT", "").split(":")
ONCE = os.environ.get("BEDPLATE_FAULT_ONCE", "")
WORDS = " ".join(sys.orig_argv)


def die(pid: int | None = None) -> None:
    try:
        os.unlink(ONCE)
    except FileNotFoundError:
        return
    os.kill(pid or os.getpid(), signal.SIGKILL)


def around(owner: Any, name: str, when: str) -> None:
    real = getattr(owner, name)

    def faulty(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            die()
        result = real(*arguments, **named)
        if when == "after":
            die()
        return result

    setattr(owner, name, faulty)


def in_provider(method: str, kind: str, when: str) -> None:
    from bedplate.engine.provider.kinds import KINDS

    for token, implementation in KINDS.items():
        if token.endswith(f":{kind}"):
            around(type(implementation), method, when)


def in_host(number: str, when: str) -> None:
    from bedplate.engine import language_host

    raise NotImplementedError((language_host, number, when))


def at_step(number: str, *, engine: bool) -> None:
    from bedplate.engine import apply

    real = apply._operate
    seen = 0

    def operate(session: Any, stack: Any, arguments: Any, on_step: Any) -> Any:
        def told(*words: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == int(number):
                running = next(iter(session.pulumi.interruption._running), None)
                die(running.pid if engine and running else None)
            if on_step:
                on_step(*words)

        return real(session, stack, arguments, told)

    apply._operate = operate


def arm() -> None:
    match POINT:
        case ["provider", method, kind, when] if "bedplate.engine.provider" in WORDS:
            in_provider(method, kind, when)
        case ["host", number, when] if "bedplate.engine.language_host" in WORDS:
            in_host(number, when)
        case ["cli", number] if "-m bedplate " in WORDS:
            at_step(number, engine=False)
        case ["engine", number] if "-m bedplate " in WORDS:
            at_step(number, engine=True)


arm()
