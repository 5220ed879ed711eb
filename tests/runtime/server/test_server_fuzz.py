"""The whole HTTP surface under requests that nobody wrote: never a 5xx for a client's mistake, and ready after each.

The cases of a seed are the same in every run. What is sent is spoiled in its bytes, in its JSON, in its headers and
its path.
"""

from __future__ import annotations

import gzip
import json
import random
import socket
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.runtime.server.served import WITHIN_S, Server, read_answer, row, tensor

SEEDS, OF_EACH = 8, 1300
SHED = 503  # which says that the server is busy, not that it failed
HEADER = b"Inference-Header-Content-Length"
LENGTHS = {b"Content-Length", b"Transfer-Encoding", b"Upgrade", b"Connection"}

PATHS = [
    b"/v2/models/%s/infer",
    b"/v2/models/%s/versions/1/infer",
    b"/v2/models/%s",
    b"/v2/models/%s/ready",
    b"/v2/models/%s/versions/9/infer",
]
OTHERS = [
    b"/", b"/health", b"/metrics", b"/v2", b"/v2/health/ready", b"/openapi.json", b"/v2/models//infer", b"*",
    b"/v2/models/..%2f..%2fetc/infer", b"/v2/models/%00/infer", b"/v2/models/\xff/infer", b"//", b"/?a=b&a",
    b"/v2/models/classifier/infer?x=%zz", b"/v2/models/%c3%28/infer", b"http://x/v2", b"/v2/models/a b/infer",
]  # fmt: skip
PIECES = [
    b"\x00", b"\xff", b"\r\n", b"\n", b"\t", b" ", b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u0000",
    b"\\ud800", b"NaN", b"Infinity", b"-0", b"1e999", b"1e-999", b"99999999999999999999", b"null", b"true", b"[[[[",
    b'{"a":', b"binary_data_size", b"data", b"shape", b"-1", b"2147483648", b"\xef\xbb\xbf", b"%2e%2e", b"\x1b[31m",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 1.5, 1e308, "", "x", "FP32", "BYTES", "\u0000", "ÿ" * 300, [], {}, [[]],
    [None], [[1], [1, 2]], {"a": 1}, [1, "2"], [True], [-1], [2**40, 2**40],
]  # fmt: skip
HEADERS = [
    (b"Content-Type", [b"application/json", b"application/octet-stream", b"text/plain", b"", b"\xff"]),
    (b"Content-Type", [b"application/x-pickle", b"multipart/form-data; boundary=x"]),
    (b"Content-Encoding", [b"gzip", b"deflate", b"identity", b"br", b"gzip, gzip", b"\x7f"]),
    (b"Accept-Encoding", [b"gzip", b"*", b"deflate;q=x", b"gzip;q=9" * 40, b","]),
    (b"X-Request-Id", [b"a" * 200, b"ok", b"\xe9", b"", b'"><script>']),
    (b"Transfer-Encoding", [b"chunked", b"gzip, chunked", b"x"]),
    (b"Content-Length", [b"0", b"-1", b"5", b"99999999999", b"0x5", b"1, 2"]),
    (b"Expect", [b"100-continue", b"x"]),
    (b"Connection", [b"close", b"keep-alive, upgrade", b"x"]),
    (b"Upgrade", [b"websocket", b"h2c"]),
    (HEADER, [b"0", b"1", b"-1", b"9" * 30, b"1.5", b""]),
    (b"Host", [b"", b"a\x00b", b"x" * 5000]),
    (b"Authorization", [b"Bearer x", b"Basic !!"]),
    (b"X" * 300, [b"y" * 9000]),
]  # fmt: skip

Request = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def good(case: random.Random) -> Request:
    """A request that is answered with 200."""
    name, entry, array = case.choice(
        [
            ("classifier", row(), np.array([[1, 2, 3, 4]], "<f4")),
            ("double", tensor("in", "FP64", [2], [1.5, 2]), np.array([1.5, 2], "<f8")),
            ("truth", tensor("in", "BOOL", [2], [True, False]), np.array([True, False])),
            ("long", tensor("in", "UINT64", [1], [7]), np.array([7], "<u8")),
            ("text", tensor("in", "BYTES", [1], ["a"]), None),
        ]
    )
    tree: dict[str, Any] = {
        "id": "a",
        "inputs": [entry],
        "parameters": {"binary_data_output": case.random() < 0.3},
    }
    path, headers = case.choice(PATHS[:2]) % name.encode(), [(b"Content-Type", b"application/json")]
    body = json.dumps(tree).encode()
    if array is not None and case.random() < 0.5:
        del entry["data"]
        entry["parameters"] = {"binary_data_size": array.nbytes}
        text = json.dumps(tree).encode()
        headers = [(b"Content-Type", b"application/octet-stream"), (HEADER, b"%d" % len(text))]
        body = text + array.tobytes()
    if case.random() < 0.2:
        encoding = case.choice([b"gzip", b"deflate"])
        headers.append((b"Content-Encoding", encoding))
        body = gzip.compress(body, 1) if encoding == b"gzip" else zlib.compress(body)
    return b"POST", path, headers, body


def spoiled_bytes(case: random.Random, data: bytes) -> bytes:
    at = case.randrange(len(data) + 1)
    end = min(len(data), at + case.choice([0, 0, 1, 4, 40]))
    return data[:at] + case.choice([*PIECES, b"", bytes([case.randrange(256)])]) + data[end:]


def spoiled_json(case: random.Random, data: bytes) -> bytes:
    """One value of the tree is another one, or gone, or there twice."""
    try:
        tree = json.loads(data)
    except ValueError:
        return spoiled_bytes(case, data)
    owner: Any = tree
    while isinstance(owner, dict | list) and owner:
        key = case.choice([*owner] if isinstance(owner, dict) else range(len(owner)))
        if not isinstance(owner[key], dict | list) or not owner[key] or case.random() < 0.3:
            if case.random() < 0.2:
                del owner[key]
            else:
                owner[key] = case.choice(VALUES)
            break
        owner = owner[key]
    return json.dumps(tree).encode()


def another_body(case: random.Random, request: Request) -> Request:
    method, path, headers, body = request
    spoil = case.choice([spoiled_bytes, spoiled_json])
    for _ in range(case.choice([1, 1, 2, 5])):
        body = spoil(case, body)
    return method, path, headers, body


def another_head(case: random.Random, request: Request) -> Request:
    method, path, headers, body = request
    name, values = case.choice(HEADERS)
    return method, path, [*headers, (name, case.choice(values))], body


def another_target(case: random.Random, request: Request) -> Request:
    method, path, headers, body = request
    path = case.choice([*OTHERS, *(known % b"classifier" for known in PATHS), spoiled_bytes(case, path)])
    method = case.choice(
        [b"POST", b"GET", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"BREW", b"post", b""]
    )
    return method, path, headers, body


CHANGES: list[Callable[[random.Random, Request], Request]] = [
    another_body,
    another_body,
    another_head,
    another_target,
]


def wire(request: Request, *, length: bool = True) -> bytes:
    method, path, headers, body = request
    head = [method + b" " + path + b" HTTP/1.1", b"Host: localhost"]
    head += [name + b": " + value for name, value in headers]
    if length and not any(name == b"Content-Length" for name, _ in headers):
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def ask(connection: socket.socket, data: bytes, *, whole: bool) -> tuple[int, dict[str, str], bytes]:
    """The answer, or status 0 where the connection ended without one.

    `whole` False: the lengths that were told may be wrong, so the end of what comes is told.
    """
    try:
        connection.sendall(data)
        if not whole:
            connection.shutdown(socket.SHUT_WR)
        return read_answer(connection, body=not data.startswith(b"HEAD"))
    except (ConnectionError, IndexError):
        return 0, {}, b""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_comes_is_answered_as_the_clients_mistake(shared: Server, seed: int) -> None:
    case = random.Random(seed)
    address = ("127.0.0.1", shared.tree["port"])
    workers, answered, refused = shared.workers(), 0, 0
    for number in range(OF_EACH):
        request = good(case)
        for _ in range(case.choice([1, 1, 1, 2, 3])):
            request = case.choice(CHANGES)(case, request)
        data, whole = wire(request), not any(name in LENGTHS for name, _ in request[2])
        if case.random() < 0.1:
            data, whole = spoiled_bytes(case, data), False
        with socket.create_connection(address, timeout=WITHIN_S) as connection:
            status, headers, body = ask(connection, data, whole=whole)
        told = f"seed {seed}, case {number}: {data[:2000]!r} -> {status} {body[:500]!r}"
        assert not whole or status, told
        assert status in (0, SHED) or 200 <= status < 500, told
        if status >= 400 and not data.startswith(b"HEAD"):
            assert headers["content-type"] == "application/json", told
            assert list(json.loads(body)) == ["error"], told
        answered += status > 0
        refused += status >= 400
        if number % 25 == 0:
            assert shared.client.get("/v2/health/ready").status_code == 200, told
            assert shared.infer("classifier", row()).status_code == 200, told
    assert answered > OF_EACH * 0.8
    assert refused > OF_EACH * 0.5
    assert shared.workers() == workers, "a request ended a worker"


def test_a_good_request_is_answered(shared: Server) -> None:
    """What is spoiled above is good before."""
    case = random.Random(1)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", shared.tree["port"]), timeout=WITHIN_S) as connection:
            status, _, body = ask(connection, wire(good(case)), whole=True)
        assert status == 200, body
