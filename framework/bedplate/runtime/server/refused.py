"""How a request is refused: an exception with the status and what the client is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NoReturn


class Refused(Exception):
    """A request that is answered with an error: the status, and what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Failed(Exception):
    """An answer that is not the client's fault: the status, what it is told, what is logged."""

    status: int
    message: str
    reason: str | None = None


def refuse(message: str) -> NoReturn:
    """Refuse a request that is wrong in itself."""
    raise Refused(400, message)


def shown(value: object) -> str:
    """A client's value in a message, as JSON has it but for a text's quotes, bounded."""
    text = repr(value) if isinstance(value, str | bytes) else json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."
