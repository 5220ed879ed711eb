"""Runs a team's code. What it prints goes where no report is read from, and it ends nothing but itself."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from traceback import walk_tb
from typing import Any, TypeVar

from bedplate.policies.policy import Rule

T = TypeVar("T")

WITHIN_S = 20.0


class Failed(Exception):
    """The code failed; the text says how, and where in its file."""


class NoMessages(Exception):
    """A rule gave something else than messages; the text says what."""


def run(code: Callable[[], T], name: str, path: Path | None) -> T:
    """What the code in the file `name` gives. Raises Failed for whatever it raises, but not for Ctrl-C."""
    try:
        with redirect_stdout(sys.stderr), _within(WITHIN_S):
            return code()
    except NoMessages:
        raise
    except _TooLong as error:
        raise Failed(f"it took longer than {WITHIN_S:g} s{_place(error, name, path)}") from error
    except SystemExit as error:
        raise Failed(f"it called sys.exit{_place(error, name, path)}") from error
    except Exception as error:
        raise Failed(f"{type(error).__name__}: {error}{_place(error, name, path)}") from error


class _TooLong(BaseException):
    """Not an Exception: a policy that catches those shall not go on."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises _TooLong in code that goes on for longer, again every second; only a main thread can be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def asked(rule: Rule, name: str, path: Path | None = None) -> Rule:
    """The rule, which gives all of its messages at once; `path` is its code. Raises Failed and NoMessages."""

    def ask(resource: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[str]:
        def messages() -> list[str]:
            return [str(message) for message in _several(rule(resource, environment), name)]

        return iter(run(messages, name, path))

    return ask


def _several(given: object, name: str) -> Iterable[object]:
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return given
    what = "a text" if isinstance(given, str) else type(given).__name__
    raise NoMessages(f"{name}: check gave {what}, and yields one message for each thing that is wrong")


def _place(error: BaseException, name: str, path: Path | None) -> str:
    """The last line of the file itself on the way to the error; what it called is not the team's to mend."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    return f" ({name}:{lines[-1]})" if lines else ""
