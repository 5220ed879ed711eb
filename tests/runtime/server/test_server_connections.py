"""Clients that are slow on purpose, against the connections alone and with short patience."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from bedplate.runtime.server import connection, connections
from bedplate.runtime.server.arrival import Receive, Scope, Send
from bedplate.runtime.server.connections import Connections
from bedplate.runtime.server.head import Head

TOO_LONG_S = 5.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_HEAD_S", "_BODY_S", "_TAKEN_S"):
        monkeypatch.setattr(connection, name, 0.2)
    monkeypatch.setattr(connections, "_TICK_S", 0.05)


class Listener:
    """An application that hears its clients out and says nothing."""

    most_bytes_at_once = 1000

    def at_once(self, its: Head, body: bytes) -> None:
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            continue


async def trickle(data: bytes, more: bytes) -> tuple[bytes, float]:
    """Send the data, then more of it byte by byte; what came back until the end, and when that was."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        serving = Connections(listener, Listener())
        serving.accept()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        began = time.monotonic()
        writer.write(data)
        answer = asyncio.ensure_future(reader.read())
        while not answer.done() and time.monotonic() - began < TOO_LONG_S:
            if not writer.is_closing():
                writer.write(more)
            await asyncio.sleep(0.02)
        writer.close()
        serving.refuse()
        return await answer, time.monotonic() - began


def test_a_head_must_arrive_in_time() -> None:
    began = time.monotonic()
    with suppress(ConnectionResetError):  # a byte was on its way when the server closed
        answer, _ = asyncio.run(trickle(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ", b"a"))
        assert answer == b""
    assert time.monotonic() - began < TOO_LONG_S


def test_a_connection_without_a_word_is_closed() -> None:
    answer, took_s = asyncio.run(trickle(b"", b""))
    assert answer == b""
    assert took_s < TOO_LONG_S


@pytest.mark.parametrize(
    "head", ["/ HTTP/1.1\r\nContent-Length: 9999", "/v2/models/a/infer HTTP/1.1\r\nContent-Length: 999"]
)
def test_a_body_must_arrive_in_time(head: str) -> None:
    answer, took_s = asyncio.run(trickle(f"POST {head}\r\nHost: a\r\n\r\n".encode(), b"a"))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"content-type: application/json" in answer
    assert took_s < TOO_LONG_S


def test_who_goes_on_sending_reads_why_that_is_refused() -> None:
    answer, took_s = asyncio.run(trickle(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70_000, b"a"))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert took_s < TOO_LONG_S


class Talker(Listener):
    """An application that answers with more than any buffer holds, and closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(32 * 2**20)
        headers = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("reads", [True, False])
def test_an_answer_that_nobody_takes_is_not_kept(reads: bool) -> None:
    async def asked() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            serving = Connections(listener, Talker())
            serving.accept()
            client.setblocking(False)
            loop, got = asyncio.get_running_loop(), 0
            await loop.sock_connect(client, listener.getsockname())
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if not reads:
                while not serving._state.connections:
                    await asyncio.sleep(0.02)
                until = time.monotonic() + TOO_LONG_S
                while serving._state.connections and time.monotonic() < until:
                    await asyncio.sleep(0.02)
            with suppress(ConnectionResetError):
                while data := await loop.sock_recv(client, 2**20):
                    got += len(data)
                    await asyncio.sleep(0.01)  # slower than it could be, and longer than it may stand still
            serving.refuse()
            return got

    got = asyncio.run(asked())
    assert (got > 32 * 2**20) is reads


class Echo(Listener):
    """An application that answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def test_no_timer_but_ours_closes_a_quiet_connection() -> None:
    """Uvicorn's would close one that is busy past Uvicorn, and keep one that was reset."""

    async def asked() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            serving = Connections(listener, Echo())
            serving.accept()
            serving.loaded()
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
                (one,) = serving._state.connections
                assert isinstance(one, connection.Connection)
                assert one.timeout_keep_alive_task is None
            writer.close()
            serving.refuse()

    asyncio.run(asked())
