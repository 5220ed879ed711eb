"""One line of JSON per event on stderr: what a client sent can break no line and forge no entry."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime


def write(level: str, event: str, **fields: str | int | float | None) -> None:
    """Write one event; every value is escaped to ASCII JSON, so it stays on its line."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"at": moment, "level": level, "event": event, **fields})
    with suppress(OSError):  # whoever supervised this server may be gone with the pipe; serving goes on
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def one_line(text: str, longest: int = 500) -> str:
    """The text as one bounded line, for reasons that travel in answers and statuses."""
    return " ".join(text.split())[:longest]


class JsonLines(logging.Handler):
    """Sends what libraries log through `write`, tracebacks as one escaped field."""

    def emit(self, record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        extra = {"traceback": trace} if trace else {}
        write(record.levelname.lower(), record.getMessage().strip(), logger=record.name, **extra)
