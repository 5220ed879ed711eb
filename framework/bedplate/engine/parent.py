"""Ending with the process that started us: a plugin that outlives its engine would go on changing the world.

The kernel's death signal is prompt but follows the parent's *thread*, so it is only a reason to look; where
it does not exist, looking every half second does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1
LOOK_EVERY_S = 0.5

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(signum: int = signal.SIGTERM) -> None:
    """Asks the kernel for `signum` when the parent ends, where it can. Safe as a `preexec_fn`."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)


def wait_for_the_end(parent: int) -> None:
    """Blocks the main thread until SIGINT or SIGTERM (the engine is done) or until `parent` is gone."""
    ended = threading.Event()

    def end(_signum: int, _frame: FrameType | None) -> None:
        ended.set()

    def look(_signum: int, _frame: FrameType | None) -> None:
        if os.getppid() != parent:
            ended.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR2, look)
    end_with_parent(signal.SIGUSR2)
    while not ended.wait(LOOK_EVERY_S):
        if os.getppid() != parent:
            return
