"""An engine that is done sends SIGINT, also to a plugin that is still starting.

Python would print a traceback into the user's diagnostics. So the launcher has it ignored from the first
instruction on, and this, imported before anything that takes time, ends the process without a word.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def end_quietly() -> None:
    """Until the plugin serves, SIGINT ends it at once: it has done nothing yet."""
    signal.signal(signal.SIGINT, _end)


def _end(_signum: int, _frame: FrameType | None) -> None:
    os._exit(0)
