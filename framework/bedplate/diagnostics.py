"""Diagnostics are values: a code, where it is, what is wrong, what to do.

Codes are stable and grouped: BP0xx loading, BP1xx project and references, BP2xx serving and models,
BP3xx features, BP4xx monitoring, BP5xx experiments, BP6xx retraining, BP7xx policy, BP8xx engine.
Every code has its explanation in specs/diagnostics/<CODE>.md and at least one case in tests/cases/.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Severity = Literal["error", "warning"]
PathKey = str | int


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of one line of a source file; line and columns count from 1, end_column is exclusive.

    `text` is the whole line as it was read, so that a report needs no second look at the file.
    """

    file: str
    line: int
    column: int
    end_column: int
    text: str = field(default="", compare=False, repr=False)


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


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by file, line and column; what has no place comes first."""
    return tuple(sorted(diagnostics, key=_place))


def merged(by_environment: Mapping[str, Sequence[Diagnostic]]) -> tuple[Diagnostic, ...]:
    """What several environments say, each problem once, sorted.

    A problem that every environment has names none; others name those that have it. What is written once and
    is wrong in several entries, such as a default, is told at the first of them.
    """
    environments: dict[Diagnostic, list[str]] = {}
    firsts: dict[Diagnostic, Diagnostic] = {}
    for name, diagnostics in by_environment.items():
        for diagnostic in diagnostics:
            told = replace(diagnostic, environment=None)
            told = firsts.setdefault(replace(told, path=()) if told.span else told, told)
            names = environments.setdefault(told, [])
            if name not in names:
                names.append(name)
    everywhere = len(by_environment)
    return ordered(
        replace(diagnostic, environment=None if len(names) == everywhere else ", ".join(names))
        for diagnostic, names in environments.items()
    )


def seen_from(start: str | os.PathLike[str], folder: str | os.PathLike[str], told: Diagnostic) -> Diagnostic:
    """The same, with its files named from `start` on instead of from the project's `folder`."""
    way = os.path.relpath(folder, start)

    def span(of: Span) -> Span:
        return replace(of, file=os.path.normpath(os.path.join(way, of.file)))

    related = tuple(replace(other, span=span(other.span)) for other in told.related)
    return replace(told, span=span(told.span) if told.span else None, related=related)


def refuses(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is an error."""
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def meant_or(word: str, known: Iterable[str], otherwise: str) -> str:
    """The help about a word that is not known: the one that was probably meant, or else `otherwise`."""
    near = did_you_mean(word, known)
    return meant(near) if near else otherwise


def meant(word: str) -> str:
    return f"did you mean {word}?"


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that `word` was probably meant to be; the case of letters, and - for _, count little.

    `cutoff`: how alike they must be, of 1.
    """
    from difflib import get_close_matches

    alike = {_folded(other): other for other in known}
    near = get_close_matches(_folded(word[:100]), alike, n=3, cutoff=cutoff)
    # Of words that are as near, one of the same letters: two were swapped.
    swapped = [other for other in near if sorted(other) == sorted(_folded(word))]
    return alike[(swapped or near)[0]] if near else None


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_")


def _place(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    span = diagnostic.span
    if span is None:
        return ("", 0, 0, diagnostic.code, diagnostic.message)
    return (span.file, span.line, span.column, diagnostic.code, diagnostic.message)
