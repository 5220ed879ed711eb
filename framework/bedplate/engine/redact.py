"""The one boundary that keeps the values of secrets out of every text that leaves a process of ours.

Whoever reads a secret's value tells `remember`; whatever is shown, logged or sent goes through `redact`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[secret]"

_forms: set[str] = set()


def remember(value: str) -> None:
    """From now on `value`, also quoted or encoded as texts commonly carry it, is masked."""
    if value:
        _forms.update(_written(value))


def remember_all(values: Iterable[str]) -> None:
    """`remember` for several."""
    for value in values:
        remember(value)


def redact(text: str) -> str:
    """`text` with every known value masked, the longest first so that no rest of one stays."""
    for form in sorted(_forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def reveals(text: str) -> bool:
    """Whether a known value stands in `text`."""
    return any(form in text for form in _forms)


def _written(value: str) -> set[str]:
    lines = {line for line in value.splitlines() if line.strip()}
    return {
        value,
        *lines,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        base64.b64encode(value.encode()).decode(),
    }
