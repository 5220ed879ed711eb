"""Ctrl-C: it ends a command at once while nothing is under way, and lets an engine finish what it does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from bedplate.cli import terminal

if TYPE_CHECKING:
    from bedplate.engine.pulumi import Interruption

_seen: list[int] = []


def notice() -> None:
    """Remember a Ctrl-C from now on: raised while a module is imported, Python may only print it and go on."""
    signal.signal(signal.SIGINT, _noticed)


def _noticed(number: int, _frame: object) -> NoReturn:
    _seen.append(number)
    raise KeyboardInterrupt


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Ctrl-C (or SIGTERM) asks the engines to finish what is under way; a second one stops them."""

    def asked(_signal: int, _frame: object) -> None:
        interruption.request()
        if interruption.requested == 1:
            terminal.line(
                "interrupting: finishing what is under way (Ctrl-C again stops at once)", error=True
            )

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if _seen:
            raise KeyboardInterrupt
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
