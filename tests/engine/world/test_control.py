"""The control socket's client against servers that answer nonsense, nothing, or too late."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bedplate.engine.world import control


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """A server that gives one answer to whatever it is asked, then hangs up; an empty answer: it hangs."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)
                if not answer:
                    connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


NONSENSE = [b"nonsense\n", b"[]\n", b'{"done": true}\n', b'{"done": true, "pid": "x"}\n', b"\xff\n", b"{}\n"]


@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_no_status(path: Path, answer: bytes) -> None:
    with answering(path, answer):
        assert control.status(path) is None


def test_silence_costs_a_second(path: Path) -> None:
    started = time.monotonic()
    with answering(path, b""):
        assert control.status(path) is None
    assert time.monotonic() - started < 3


def test_nobody_there(path: Path) -> None:
    assert control.status(path) is None
    control.retire(path)
    control.kill(path)
    reason = control.change(path, path, 1, print)
    assert reason is not None
    assert "did not answer" in reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"progress": "worker 1/1 ready"}\n{"done": true, "ok": true}\n', None),
        (b'{"done": true, "ok": false, "error": "bad model"}\n', "bad model"),
        (b'{"done": true}\n', "no reason given"),
        (b'{"progress": "worker 1/1 ready"}\n', "the server ended the conversation"),
        (b"nonsense\n", "the server did not answer"),
    ],
)
def test_only_an_outspoken_yes_is_a_yes(path: Path, answer: bytes, reason: str | None) -> None:
    said: list[str] = []
    with answering(path, answer):
        given = control.change(path, path, 5, said.append)
    assert (given or "").startswith(reason or "")
    assert (given is None) == (reason is None)
    assert said == (["worker 1/1 ready"] if b"progress" in answer else [])
