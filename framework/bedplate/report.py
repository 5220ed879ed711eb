"""Diagnostics for people (text with the line and a mark under the span) and for programs (JSON data).

Input text is escaped before it is printed, and what stands beside a key like `password` is masked: a report
goes into logs and pull requests.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.diagnostics import Diagnostic, Span, dotted
from bedplate.secret_shapes import KEYS, SHAPES

SHOWN_AT_MOST = 50
SECRETS_VALUE = "BP110"
SECRETS_NAME = "BP122"

_NARROWEST = 12
_LONGEST = 500
_MASK = "***"
_ELLIPSIS = "…"
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "frame": "\x1b[34m", "off": "\x1b[0m"}
_BESIDE_SECRET_KEY = re.compile(
    KEYS + r"""["']?\s*:\s+(?![{\[&*|>#])("(?:[^"\\]|\\.)*"?|'[^']*'?|[^,}\]#\s][^,}\]#]*)""",
    re.IGNORECASE,
)


def as_text(diagnostics: Sequence[Diagnostic], *, colour: bool, width: int) -> str:
    """The first fifty, then a count. `width` is in columns of the terminal."""
    secrets = _secret_spans(diagnostics)
    printed = diagnostics[:SHOWN_AT_MOST]
    blocks = [_block(diagnostic, secrets, colour=colour, width=width) for diagnostic in printed]
    return "\n\n".join([*blocks, counted(diagnostics)])


def as_data(diagnostics: Sequence[Diagnostic]) -> list[dict[str, object]]:
    """Every diagnostic as JSON data; lines and columns count from 1, end_column is exclusive."""
    return [_data(diagnostic) for diagnostic in diagnostics]


def escaped(text: str) -> str:
    """Text from outside in one line, with what could move a cursor or start a command made visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _data(diagnostic: Diagnostic) -> dict[str, object]:
    data: dict[str, object] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "path": dotted(diagnostic.path),
        "help": diagnostic.help,
        "environment": diagnostic.environment,
        "related": [{**_place(related.span), "message": related.message} for related in diagnostic.related],
    }
    return data | (_place(diagnostic.span) if diagnostic.span else {})


def _place(span: Span) -> dict[str, object]:
    return {"file": span.file, "line": span.line, "column": span.column, "end_column": span.end_column}


def counted(diagnostics: Sequence[Diagnostic]) -> str:
    """How many there are, and how many of them were too many to show."""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    warnings = len(diagnostics) - errors
    parts = [
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    rest = len(diagnostics) - SHOWN_AT_MOST
    return ", ".join(parts) + (f"; {rest} more are not shown" if rest > 0 else "")


def _block(
    diagnostic: Diagnostic, secrets: dict[tuple[str, int], list[Span]], *, colour: bool, width: int
) -> str:
    def paint(text: str, style: str) -> str:
        return f"{_COLOURS[style]}{text}{_COLOURS['off']}" if colour else text

    severity = diagnostic.severity
    title = paint(f"{severity}[{diagnostic.code}]", severity)
    lines = [f"{title}: {_line(diagnostic.message)}"]
    span = diagnostic.span
    gutter = len(str(span.line)) if span else 1
    bar = paint(" " * (gutter + 1) + "|", "frame")
    if span:
        where = f"{escaped(span.file)}:{span.line}:{span.column}"
        address = _line(dotted(diagnostic.path))
        environment = f" ({_environments(diagnostic.environment)})" if diagnostic.environment else ""
        arrow = paint(" " * gutter + "-->", "frame")
        lines.append(
            f"{arrow} {where}{'  ' if address or environment else ''}{address}{environment}".rstrip()
        )
        hidden = secrets.get((span.file, span.line), [])
        named = span.column - 1 if diagnostic.code == SECRETS_NAME and not hidden else None
        excerpt = _excerpt(span, hidden, max(width - gutter - 3, _NARROWEST), named)
        if excerpt.text.strip():
            number = paint(f"{span.line} |", "frame")
            lines += [
                bar,
                f"{number} {excerpt.text}",
                f"{bar} {' ' * excerpt.offset}{paint('^' * excerpt.length, severity)}",
            ]
    edge = paint(" " * (gutter + 1) + "=", "frame")
    lines += [f"{edge} note: {_note(r.span)}: {_line(r.message)}" for r in diagnostic.related]
    if diagnostic.help:
        lines.append(f"{edge} help: {_line(diagnostic.help)}")
    return "\n".join(lines)


def _line(text: str) -> str:
    """Escaped, and not longer than anybody reads: a key may be a mebibyte long."""
    return escaped(text if len(text) <= _LONGEST else text[:_LONGEST] + _ELLIPSIS)


def _environments(names: str) -> str:
    return f"environment{'s' if ',' in names else ''} {names}"


def _note(span: Span) -> str:
    return f"{escaped(span.file)}:{span.line}:{span.column}"


@dataclass(frozen=True, slots=True)
class _Excerpt:
    """A part of a line as printed, and the columns under which the marks stand."""

    text: str
    offset: int
    length: int


def _excerpt(span: Span, secrets: Sequence[Span], width: int, named: int | None) -> _Excerpt:
    """The line masked and escaped, cut to `width` columns around the span."""
    start, end = span.column - 1, max(span.end_column - 1, span.column)
    cells: list[str] = []
    first, last = -1, 0
    masks = _masks(span.text, secrets, named)
    for index, character in enumerate(span.text):
        cell = _cell(index, character, masks)
        if start <= index < end:
            first = len(cells) if first < 0 else first
            last = len(cells) + len(cell)
        cells.extend(cell)
    if first < 0:
        first, last = len(cells), len(cells) + 1
    return _window(cells, first, max(min(last, len(cells)), first + 1), width)


def _cell(index: int, character: str, masks: Sequence[tuple[int, int]]) -> str:
    for begin, end in masks:
        if begin <= index < end:
            return _MASK if index == begin else ""
    return " " if character == "\t" else escaped(character)


def _masks(text: str, secrets: Sequence[Span], named: int | None = None) -> list[tuple[int, int]]:
    """Where secrets' values stand in a line, from left to right, without overlaps.

    `named`: where a secret's name stands, which the message tells: no value.
    """
    found = [(span.column - 1, span.end_column - 1) for span in secrets]
    beside = (match.span(1) for match in _BESIDE_SECRET_KEY.finditer(text))
    found += [span for span in beside if span[0] != named]
    found += [match.span() for match in re.finditer(SHAPES, text)]
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if joined and begin < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _window(cells: Sequence[str], first: int, last: int, width: int) -> _Excerpt:
    begin, end = 0, len(cells)
    if _columns(cells) > width:
        room = max(width - 2, 1)
        begin = max(0, min(first - room // 3, len(cells) - room))
        end = begin + room
        while _columns(cells[begin:end]) > room and end > first + 1:
            end -= 1
    before = _ELLIPSIS if begin > 0 else ""
    after = _ELLIPSIS if end < len(cells) else ""
    offset = len(before) + _columns(cells[begin:first])
    length = max(_columns(cells[first : min(last, end)]), 1)
    text = before + "".join(cells[begin:end]) + after
    return _Excerpt(text.rstrip(), offset, length)


def _columns(cells: Sequence[str]) -> int:
    """The columns that characters take on a terminal: wide ones two, combining ones none."""
    return sum(
        1
        if c.isascii()
        else 0
        if unicodedata.combining(c)
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in cells
    )


def _secret_spans(diagnostics: Sequence[Diagnostic]) -> dict[tuple[str, int], list[Span]]:
    """Where a secret's value was found, by file and line: no other report of that line may show it."""
    spans: dict[tuple[str, int], list[Span]] = {}
    for diagnostic in diagnostics:
        if diagnostic.code == SECRETS_VALUE and diagnostic.span:
            spans.setdefault((diagnostic.span.file, diagnostic.span.line), []).append(diagnostic.span)
    return spans
