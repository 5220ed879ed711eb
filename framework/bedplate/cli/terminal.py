"""Everything that a verb prints goes through here: escaped, in colour only where a person sees it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import click

from bedplate.errors import BedplateError, SpecError

STYLES = {"good": "green", "bad": "red", "change": "yellow", "quiet": "bright_black", "name": "cyan"}


def tolerate_any_stream() -> None:
    """A terminal that cannot show a character gets its escape, and a stream that is closed nothing."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before we began
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def coloured(*, error: bool = False) -> bool:
    """Whether colour may be used: on a terminal, unless NO_COLOR says otherwise."""
    stream = sys.stderr if error else sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, *, error: bool = False, bold: bool = False) -> str:
    if not coloured(error=error):
        return text
    return click.style(text, fg=STYLES[style], bold=bold)


def line(text: str = "", *, error: bool = False) -> None:
    """One line to standard output, or to standard error."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


def data(value: Any) -> None:
    """The JSON answer of a verb: one document, keys sorted."""
    line(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def escaped(text: str) -> str:
    """Text from outside with control characters made visible, so that it cannot move the cursor."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def show_error(error: BedplateError, *, as_json: bool) -> None:
    """An expected failure: what happened, and what to do."""
    if as_json:
        data({"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}})
        return
    line(f"{paint('error:', 'bad', error=True, bold=True)} {escaped(error.message)}", error=True)
    if error.hint:
        line(f"  = help: {escaped(error.hint)}", error=True)


def show_spec_error(error: SpecError, *, as_json: bool) -> None:
    """Every diagnostic of a refused spec."""
    from bedplate.report import as_data, as_text

    if as_json:
        data({"diagnostics": as_data(error.diagnostics)})
        return
    line(as_text(error.diagnostics, colour=coloured(error=True), width=width()), error=True)


def width() -> int:
    """The columns of the terminal; 80 where there is none."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def confirmed(question: str, *, yes: bool) -> bool:
    """Asks on a terminal; elsewhere only --yes is a yes."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        from bedplate.errors import UsageError

        raise UsageError(
            f"{question} Nobody can be asked here.", hint="say --yes to go on without a question"
        )
    return click.confirm(question)


def table(rows: Sequence[Sequence[str]], *, indent: str = "  ") -> None:
    """Left-aligned columns, two spaces apart; the last column is not padded."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])]
        line(indent + "  ".join([*cells, row[-1]]).rstrip())


def confirmed_or_abort(question: str, *, yes: bool) -> None:
    """As `confirmed`, but a no ends the command."""
    if not confirmed(question, yes=yes):
        raise click.Abort
