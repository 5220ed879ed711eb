"""The ports of 127.0.0.1 that the local target gives out by itself. No spec may name one of them: it could be
another service's already."""

from __future__ import annotations

from typing import Final

FIRST: Final = 20000
LAST: Final = 29999
