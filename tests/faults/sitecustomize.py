"""Kills a process of the product at a named point, once. On PYTHONPATH of the commands under test only.

BEDPLATE_FAULT names the point, BEDPLATE_FAULT_ONCE a file that exists until the fault has happened:
    provider:<method>:<Type>:<before|after>   the provider, around one method of one kind
    provider:<method>:<Type>:<held|held back> no kill: the call does not end (or begin) while a file is there
    host:<preview|up>:<Type>:<before|after>   the language host, around its first registration of a kind
    cli:open:<before|after>                   the command, which holds its lock, around opening the session
    cli:<section>:<verb>:<before|after>       the command, around the engine's run of a verb on a section
    cli:<verb>:<op>:<Type>:<begun|done>       the command, once it is told of a step of the engine
    engine:<verb>:<op>:<Type>:<begun|done>    the engine, once its command is told of a step

BEDPLATE_PRETEND_VERSION is the version that bedplate, its provider and its language host give themselves.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

POINT = os.environ.get("BEDPLATE_FAULT", "").split(":")
ONCE = os.environ.get("BEDPLATE_FAULT_ONCE", "")
VERSION = os.environ.get("BEDPLATE_PRETEND_VERSION", "")
WORDS = " ".join(sys.orig_argv)
STEPS = {"resourcePreEvent": "begun", "resOutputsEvent": "done"}


def die(pid: int | None = None) -> None:
    try:
        os.unlink(ONCE)
    except FileNotFoundError:
        return
    os.kill(pid or os.getpid(), signal.SIGKILL)


def hold() -> None:
    """Waits as long as a file lies where `held` of tests/e2e/faults.py expects it."""
    held = f"{ONCE}.held"
    try:
        os.rename(ONCE, held)
    except FileNotFoundError:
        return
    while os.path.exists(held):
        time.sleep(0.02)


FAULTS = {"before": (die, None), "after": (None, die), "held": (None, hold), "held back": (hold, None)}


def around(owner: Any, name: str, when: str, wanted: Any = lambda *_arguments: True) -> None:
    """Has the fault happen before or after a call of `owner.name` whose arguments are wanted."""
    real = getattr(owner, name)
    first, then = FAULTS[when]

    def faulty(*arguments: Any, **named: Any) -> Any:
        hit = wanted(*arguments)
        if hit and first:
            first()
        result = real(*arguments, **named)
        if hit and then:
            then()
        return result

    setattr(owner, name, faulty)


def in_provider(method: str, kind: str, when: str) -> None:
    from bedplate.engine.provider.kinds import KINDS

    around(type(KINDS[f"bedplate:local:{kind}"]), method, when)


def in_host(verb: str, kind: str, when: str) -> None:
    from bedplate.engine.language_host.registration import Program

    def wanted(program: Any, resource: Any, _more: Any) -> bool:
        return program.preview == (verb == "preview") and str(resource.type).endswith(f":{kind}")

    around(Program, {"before": "_request", "after": "_note"}[when], when, wanted)


def at_opening(when: str) -> None:
    from bedplate.engine import session

    around(session, "open_session", when)


def at_run(section: str, verb: str, when: str) -> None:
    from bedplate.engine.pulumi import Pulumi

    def wanted(_pulumi: Any, folder: Any, *arguments: str) -> bool:
        return folder.name == section and arguments[0] == verb

    around(Pulumi, "operate", when, wanted)


def at_step(verb: str, op: str, kind: str, word: str, *, engine: bool) -> None:
    from bedplate.engine.pulumi import Pulumi

    operate, started, mine = Pulumi.operate, Pulumi._started, threading.local()

    def starting(*arguments: Any) -> Any:
        mine.process = started(*arguments)
        return mine.process

    def operating(pulumi: Any, folder: Any, *arguments: str, on_event: Any = None) -> Any:
        def told(event: Any) -> None:
            for key, meaning in STEPS.items():
                step = event.get(key, {}).get("metadata", {"op": "", "type": ""})
                named = step["op"] == op and step["type"].endswith(f":{kind}")
                if named and meaning == word and arguments[0] == verb:
                    die(mine.process.pid if engine else None)
            if on_event:
                on_event(event)

        return operate(pulumi, folder, *arguments, on_event=told)

    faulty: Any = Pulumi
    faulty._started, faulty.operate = starting, operating


def arm() -> None:
    match POINT:
        case ["provider", method, kind, when] if "-m bedplate.engine.provider " in WORDS:
            in_provider(method, kind, when)
        case ["host", verb, kind, when] if "-m bedplate.engine.language_host " in WORDS:
            in_host(verb, kind, when)
        case ["cli", "open", when] if "-m bedplate " in WORDS:
            at_opening(when)
        case ["cli", section, verb, when] if "-m bedplate " in WORDS:
            at_run(section, verb, when)
        case ["cli" | "engine" as who, verb, op, kind, word] if "-m bedplate " in WORDS:
            at_step(verb, op, kind, word, engine=who == "engine")


if VERSION:
    import bedplate.version

    bedplate.version.__version__ = VERSION
arm()
