"""Exceptions of the shell: what a command may end with, and the exit code each means.

BedplateError
├── SpecError            1  the spec or a policy refuses; carries the diagnostics
│   └── Refused          1  a protected thing would be destroyed
├── UsageError           2  the command was called in a way it cannot follow
└── EngineError          4  the engine or the world failed
    ├── EngineMissing    4  no usable Pulumi engine; says how to get one
    ├── ApplyFailed      4  some resources failed; the others' state is saved
    ├── StateError       4  a state file is damaged; it was left as it is
    ├── Locked           5  somebody else is applying
    ├── StalePlan        5  the saved plan no longer describes the state
    ├── ForeignState     5  the state belongs to another project
    └── Interrupted    130  Ctrl-C; what was done is recorded

The compiler's core raises none of these: it returns diagnostics (see diagnostics.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bedplate.diagnostics import Diagnostic


class BedplateError(Exception):
    """Base of every expected failure. `hint` says what to do next."""

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SpecError(BedplateError):
    """The spec is refused; `diagnostics` holds every reason."""

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic], *, hint: str | None = None) -> None:
        count = sum(d.severity == "error" for d in diagnostics)
        super().__init__(f"{count} error{'s' if count != 1 else ''} in the spec", hint=hint)
        self.diagnostics = tuple(diagnostics)


class Refused(BedplateError):
    """A protected resource would be destroyed or replaced."""

    exit_code = 1


class UsageError(BedplateError):
    """The command line cannot be followed."""

    exit_code = 2


class EngineError(BedplateError):
    """The engine or the world failed."""


class EngineMissing(EngineError):
    """No usable Pulumi engine was found."""


class ApplyFailed(EngineError):
    """At least one resource failed."""


class StateError(EngineError):
    """A state file cannot be read; it was left untouched."""


class Locked(EngineError):
    """Another apply holds the lock, or one that died left it behind."""

    exit_code = 5


class StalePlan(EngineError):
    """A saved plan does not describe this state, this spec or this version."""

    exit_code = 5


class ForeignState(EngineError):
    """The state under this name was written by another project."""

    exit_code = 5


class Interrupted(EngineError):
    """The user interrupted the command."""

    exit_code = 130
