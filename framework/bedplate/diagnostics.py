"""Diagnostics are values: a code, where it is, what is wrong, what to do.

Codes are stable and grouped: BP0xx loading, BP1xx project and references, BP2xx serving and models,
BP3xx features, BP4xx monitoring, BP5xx experiments, BP6xx retraining, BP7xx policy, BP8xx engine.
Every code has its explanation in specs/diagnostics/<CODE>.md and at least one case in tests/cases/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning"]
PathKey = str | int


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of one line of a source file; line and columns count from 1, end_column is exclusive."""

    file: str
    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to the same problem, such as the first of two duplicate keys."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One root cause. `path` is the spec's own address (`serving.delay.replicas`) split in keys.

    A section's `check` leaves `span` empty; the compiler fills it from `path`.
    `at_key` points at the key of the path's last part rather than at its value.
    """

    code: str
    message: str
    path: tuple[PathKey, ...] = ()
    span: Span | None = None
    help: str | None = None
    severity: Severity = "error"
    related: tuple[Related, ...] = field(default=())
    at_key: bool = False
    environment: str | None = None


def dotted(path: tuple[PathKey, ...]) -> str:
    """`("serving", "delay", "canary", 1)` as `serving.delay.canary[1]`."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if text else key
    return text
