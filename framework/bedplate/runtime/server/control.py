"""The control socket: one JSON line asks, JSON lines answer, the last of them says "done".

It is a Unix socket that only its owner can open; there is no management over TCP. `ask` and
`take_over` are the client's side, blocking; `Control` is the master's.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

Json = dict[str, object]
Answer = Callable[[Json], None]
Obey = Callable[[Json, Answer], Awaitable["Final"]]

_LONGEST_LINE = 64 * 2**10


class Final:
    """The last answer to a command, and a descriptor that goes with it if any."""

    def __init__(self, answer: Mapping[str, object], send: socket.socket | None = None) -> None:
        self.answer = {"done": True, **answer}
        self.send = send


def ask(path: Path, command: Mapping[str, object], timeout_s: float) -> Iterator[Json]:
    """Send a command and yield its answers; raises OSError when nobody answers (in time)."""
    with _connected(path, timeout_s) as connection:
        yield from _exchange(connection, command)


def take_over(connection: socket.socket) -> tuple[Json, socket.socket]:
    """Ask a live master for its listening socket; raises OSError."""
    connection.sendall(_line({"command": "takeover"}))
    data, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_LINE, 1)
    answer: Json = json.loads(data or b"{}")
    if not answer.get("ok") or not descriptors:
        for descriptor in descriptors:
            os.close(descriptor)
        raise ConnectionError(f"the running server does not hand over its socket: {answer.get('error')}")
    os.set_inheritable(descriptors[0], False)
    return answer, socket.socket(fileno=descriptors[0])


def connect(path: Path, timeout_s: float) -> socket.socket | None:
    """A connection to the live master at the path, None if there is none."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def _connected(path: Path, timeout_s: float) -> Iterator[socket.socket]:
    connection = connect(path, timeout_s)
    if connection is None:
        raise ConnectionRefusedError(f"no server answers at {path}")
    with connection:
        yield connection


def _exchange(connection: socket.socket, command: Mapping[str, object]) -> Iterator[Json]:
    connection.sendall(_line(command))
    with connection.makefile("rb") as lines:
        for line in lines:
            answer: Json = json.loads(line)
            yield answer
            if answer.get("done"):
                return
    raise ConnectionError("the server ended before it answered")


def _line(tree: Mapping[str, object]) -> bytes:
    return json.dumps(tree).encode() + b"\n"


class Control:
    """The listening side. It takes connections from the start, but its path only when placed."""

    def __init__(self, path: Path, obey: Obey) -> None:
        self._path = path
        self._obey = obey
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        self._own: tuple[int, int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def place(self) -> None:
        """Appear at the path in one step, in the place of whoever was there."""
        waiting = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        waiting.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(waiting))
        finally:
            os.umask(mask)
        self._socket.listen(16)
        status = waiting.stat()
        self._own = (status.st_dev, status.st_ino)
        waiting.rename(self._path)
        self._spawn(self._accept())

    def close(self) -> None:
        """Disappear; the path too, unless a successor has it by now."""
        for task in self._tasks:
            task.cancel()
        self._socket.close()
        with suppress(FileNotFoundError):
            status = self._path.stat()
            if (status.st_dev, status.st_ino) == self._own:
                self._path.unlink()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._socket)
            connection.setblocking(False)
            self._spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            pending = b""
            while len(pending) <= _LONGEST_LINE:
                line, found, rest = pending.partition(b"\n")
                if found:
                    pending = rest
                    await self._command(connection, line)
                    continue
                received = await asyncio.get_running_loop().sock_recv(connection, _LONGEST_LINE)
                if not received:
                    return
                pending += received

    async def _command(self, connection: socket.socket, line: bytes) -> None:
        def progress(answer: Json) -> None:
            with suppress(OSError):  # who asked may be gone; what was asked goes on
                connection.send(_line(answer))

        try:
            command = json.loads(line)
        except ValueError:
            command = None
        if isinstance(command, dict):
            final = await self._obey(command, progress)
        else:
            final = Final({"ok": False, "error": "expected one JSON object on a line"})
        if final.send is not None:
            socket.send_fds(connection, [_line(final.answer)], [final.send.fileno()])
        else:
            await asyncio.get_running_loop().sock_sendall(connection, _line(final.answer))
