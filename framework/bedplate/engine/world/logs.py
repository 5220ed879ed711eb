"""What `logs` shows: the end of a service's log, and what is added to it, across rotations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bedplate.workspace import Workspace

_TAIL_BYTES = 256 * 2**10
_POLL_S = 0.2


def follow_log(
    workspace: Workspace,
    environment: str,
    address: str,
    *,
    follow: bool,
    lines: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """The last `lines` lines of a service's log; with `follow`, then every line as it comes."""
    path = workspace.world(environment).log(address)
    yield from _earlier(path, lines) if lines > 0 else ()
    if follow:
        yield from _coming(path, stopped)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of one file; none if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return []
    return tail.decode(errors="replace").splitlines()[-count:] if count > 0 else []


def _earlier(path: Path, count: int) -> list[str]:
    found = last_lines(path, count)
    if len(found) < count:
        found = last_lines(path.with_name(f"{path.name}.1"), count - len(found)) + found
    return found


def _coming(path: Path, stopped: Callable[[], bool]) -> Iterator[str]:
    """Lines from now on. A log that was rotated away is read to its end before the new one is opened."""
    at_end = True
    while not stopped():
        try:
            file = path.open("rb")
        except FileNotFoundError:
            at_end = False  # whatever appears here is new
            time.sleep(_POLL_S)
            continue
        with file:
            if at_end:
                file.seek(0, os.SEEK_END)
            yield from _until_rotated(file, path, stopped)
        at_end = False


def _until_rotated(file: BinaryIO, path: Path, stopped: Callable[[], bool]) -> Iterator[str]:
    rest = b""
    while not stopped():
        rotated = not _is_still(file, path)
        while line := file.readline():
            rest += line
            if rest.endswith(b"\n"):
                yield rest.rstrip(b"\r\n").decode(errors="replace")
                rest = b""
        if rotated:
            break
        time.sleep(_POLL_S)
    if rest:
        yield rest.decode(errors="replace")


def _is_still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat()) and path.stat().st_size >= file.tell()
    except FileNotFoundError:
        return False
