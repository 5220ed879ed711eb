"""A client of a model server's control socket: one JSON line to it, JSON lines back until one says done."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from bedplate.engine.world import typed
from bedplate.engine.world.machine import Master

STATUS_TIMEOUT_S = 1.0
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid


class NoAnswer(Exception):
    """Nobody answers on the socket, or not in time, or not in our protocol."""


def status(path: Path) -> Master | None:
    """What the server says of itself, None if none answers within a second."""
    try:
        # A server of a later bedplate may say more.
        return typed.read(Master, _last(path, {"command": "status"}, STATUS_TIMEOUT_S), more=True)
    except (NoAnswer, typed.Misfit):
        return None


def change(path: Path, config: Path, timeout_s: float, progress: Callable[[str], None]) -> str | None:
    """Has the server go over to `config`. The reason when it stays with what it has."""
    try:
        for line in _conversation(path, {"command": "change", "config": str(config)}, timeout_s):
            if line.get("done") is True:
                return None if line.get("ok") is True else str(line.get("error") or "no reason given")
            progress(str(line.get("progress", "")))
    except NoAnswer as error:
        return f"the server did not answer: {error}"
    return "the server ended the conversation"


def retire(path: Path) -> None:
    """Tells the server to drain and end, if there is one."""
    with contextlib.suppress(NoAnswer):
        _last(path, {"command": "retire"}, STATUS_TIMEOUT_S)


def kill(path: Path) -> None:
    """Ends the process that listens on the socket at once, if there is one of ours."""
    with contextlib.suppress(OSError), _connected(path, STATUS_TIMEOUT_S) as connection:
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        pid, uid, _ = _PEER.unpack(peer)
        if uid == os.geteuid() and pid > 1:
            os.kill(pid, signal.SIGKILL)


def _last(path: Path, request: dict[str, str], timeout_s: float) -> dict[str, object]:
    for line in _conversation(path, request, timeout_s):
        if line.get("done") is True:
            return line
    raise NoAnswer("the server ended the conversation")


def _conversation(path: Path, request: dict[str, str], timeout_s: float) -> Iterator[dict[str, object]]:
    try:
        with _connected(path, timeout_s) as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            for line in stream:
                answer = json.loads(line)
                if not isinstance(answer, dict):
                    raise NoAnswer("not an answer")
                yield answer
    except (OSError, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


def _connected(path: Path, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection
