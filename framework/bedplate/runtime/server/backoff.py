"""How long to wait before something that ended is started again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 30.0


@dataclass
class Pause:
    """Exponential backoff: short after one that lived, longer after each that did not."""

    next_s: float = _FIRST_PAUSE_S
    since: float = field(default_factory=time.monotonic)

    def started(self) -> None:
        self.since = time.monotonic()

    def take(self) -> float:
        if time.monotonic() - self.since > _HEALTHY_S:
            self.next_s = _FIRST_PAUSE_S
        pause, self.next_s = self.next_s, min(self.next_s * 2, _LONGEST_PAUSE_S)
        return pause
