"""What the keys of well-known services look like: no text of a spec may, and no report shows one."""

from __future__ import annotations

import re

SHAPES = (
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[0-9A-Za-z]{30,}|\bxox[abprs]-[0-9A-Za-z-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|\bsk-[0-9A-Za-z_-]{20,}|\bAIza[0-9A-Za-z_-]{35}"
)
# What keys are called whose values are secrets, whatever stands before it: DB_PASSWORD, hub-token.
KEYS = (
    r"(?:(?:pg)?pass(?:word|wd|phrase)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)"
)
# The shortest text that can hold one of them: almost every text is settled by its length.
_SHORTEST = 15


def names_a_secret(key: str) -> bool:
    return re.fullmatch(rf"(.*[-_])?{KEYS}", key, re.IGNORECASE) is not None


def has_credentials(address: str) -> bool:
    """Whether an address tells who asks, as https://NAME:PASSWORD@HOST does; NAME alone may be a token."""
    return re.match(r"[^:/?#]+://[^/?#]*@", address) is not None


def looks_like_a_secret(text: str) -> bool:
    return len(text) >= _SHORTEST and re.search(SHAPES, text) is not None
