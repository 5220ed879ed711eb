"""Write-ahead segments: what has been appended is there after a kill, and after a loss of power.

A spool has a folder of segments, `journal`. The writer of a segment holds a lock on it for as long as it
writes, and the kernel lets go of it however the writer ends: a segment that can be locked is finished, or as
finished as it will ever be. It gets its name only when it is locked.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bedplate.atomic import sync_folder

SUFFIX = ".segment"
_NEW = ".new"
_SEGMENT_BYTES = 32 * 2**20
_MEASURED_EVERY_S = 1.0


class Full(OSError):
    """The spool holds as much as it may: what is in it was not brought away in time."""


class Journal:
    """One writer's segments. A segment ends with its period, so that no hour is held open by a quiet one."""

    def __init__(
        self,
        spool: Path,
        *,
        backlog_bytes: int,
        period_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._folder = spool / "journal"
        self._backlog_bytes = backlog_bytes
        self._period_s = period_s
        self._clock = clock
        self._file: int | None = None
        self._written = 0
        self._period = 0
        self._backlog = 0
        self._measured_at = -_MEASURED_EVERY_S

    def append(self, frames: Sequence[bytes]) -> None:
        """Write frames; they are durable when this returns. Raises OSError, and none of them is there."""
        self.end_period()
        size = sum(map(len, frames))
        self._bound(size)
        file = self._file if self._file is not None else self._begin()
        try:
            for frame in frames:
                _write(file, frame)
            os.fdatasync(file)
        except OSError:
            self._take_back(file)
            raise
        self._written += size
        if self._written >= _SEGMENT_BYTES:
            self.close()

    def end_period(self) -> None:
        """Finish the segment of a period that is over."""
        if self._file is not None and self._current() != self._period:
            self.close()

    def left_s(self) -> float | None:
        """Seconds until the period of the open segment is over; None if none is open."""
        if self._file is None:
            return None
        return max(0.0, (self._period + 1) * self._period_s - self._clock())

    def close(self) -> None:
        """Finish the open segment, which lets go of its lock."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _current(self) -> int:
        return int(self._clock() // self._period_s)

    def _begin(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{secrets.token_hex(12)}{SUFFIX}"
        waiting = path.with_suffix(_NEW)
        file = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            waiting.rename(path)
            sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        self._file, self._written, self._period = file, 0, self._current()
        return file

    def _take_back(self, file: int) -> None:
        """A frame that was not acknowledged must not hide those that come after it."""
        with suppress(OSError):
            os.ftruncate(file, self._written)
        self.close()

    def _bound(self, more: int) -> None:
        now = time.monotonic()
        if now - self._measured_at >= _MEASURED_EVERY_S:
            self._backlog, self._measured_at = size_of(self._spool), now
        if self._backlog + more > self._backlog_bytes:
            raise Full("the backlog is full")
        self._backlog += more


def finished(spool: Path) -> list[Path]:
    """The segments that nobody writes any more, by name; files of a beginning that was cut off go."""
    found = []
    for entry in _entries(spool / "journal"):
        path = Path(entry.path)
        if path.suffix in (SUFFIX, _NEW) and _can_be_locked(path):
            if path.suffix == SUFFIX:
                found.append(path)
            elif time.time() - entry.stat(follow_symlinks=False).st_mtime > 60:
                path.unlink(missing_ok=True)
    return sorted(found)


def size_of(spool: Path) -> int:
    """Bytes of all files in a spool."""
    total = 0
    for entry in _entries(spool):
        with suppress(OSError):  # it is just being brought away
            if entry.is_dir(follow_symlinks=False):
                total += size_of(Path(entry.path))
            else:
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return


def _can_be_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
