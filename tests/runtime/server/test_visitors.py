"""A server on this machine, and the web pages of others that its browsers have open."""

from __future__ import annotations

import json

import pytest

from bedplate.runtime.server import auth
from bedplate.runtime.server.visitors import Visitors, is_loopback
from tests.runtime.server.served import Server, raw, row

PATH = "/v2/models/classifier/infer"
OURS = [
    ("127.0.0.1:8080", None),
    ("127.0.0.1", None),
    ("[::1]:8080", None),
    ("[::1]", None),
    ("10.1.2.3:8080", None),
    ("localhost:8080", None),
    ("LocalHost", None),
    ("delay.localhost:8080", None),
    ("127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("localhost:8080", "https://localhost:8080"),
    (None, None),
]
OTHERS = [
    ("evil.example", None),
    ("evil.example:8080", "http://evil.example:8080"),
    ("127.0.0.1.evil.example:8080", None),
    ("localhost.evil.example", None),
    ("evillocalhost", None),
    ("", None),
    (":8080", None),
    ("[evil.example]", None),
    ("127.0.0.1:8080", "http://evil.example"),
    ("127.0.0.1:8080", "http://127.0.0.1:8081"),
    ("127.0.0.1:8080", "http://localhost:8080"),
    ("127.0.0.1:8080", "null"),
    ("127.0.0.1:8080", ""),
    (None, "http://evil.example"),
]


def told(host: str | None, origin: str | None) -> dict[bytes, bytes]:
    pairs = ((b"host", host), (b"origin", origin))
    return {name: value.encode() for name, value in pairs if value is not None}


@pytest.mark.parametrize(("host", "origin"), OURS)
def test_what_is_of_this_machine_is_admitted(host: str | None, origin: str | None) -> None:
    visitors = Visitors()
    assert [visitors.admits(told(host, origin)) for _ in range(2)] == [True, True]


@pytest.mark.parametrize(("host", "origin"), OTHERS)
def test_what_may_be_a_page_from_elsewhere_is_not(host: str | None, origin: str | None) -> None:
    visitors = Visitors()
    assert [visitors.admits(told(host, origin)) for _ in range(2)] == [False, False]


def test_any_number_of_names_is_admitted_and_few_are_remembered() -> None:
    visitors = Visitors()
    assert all(visitors.admits(told(f"127.0.0.1:{port}", None)) for port in range(1, 1000))
    assert len(vars(visitors)["_known"]) < 100


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_only_what_this_machine_alone_reaches_is_guarded(host: str, found: bool) -> None:
    assert is_loopback(host) is found


def asked(method: str, path: str, *headers: str) -> bytes:
    body = json.dumps({"inputs": [row()]}).encode() if method == "POST" else b""
    lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("also", ["X-A: 1", "Transfer-Encoding: chunked"])
def test_neither_way_answers_a_page_from_elsewhere(shared: Server, also: str) -> None:
    for headers in (["Host: evil.example"], ["Host: 127.0.0.1", "Origin: http://evil.example"]):
        if "chunked" in also:  # goes past what is answered at once
            body = json.dumps({"inputs": [row()]}).encode()
            lines = [f"POST {PATH} HTTP/1.1", also, *headers]
            data = "\r\n".join(lines).encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            data = asked("POST", PATH, also, *headers)
        status, found, text = raw(shared, data)
        assert (status, found["content-type"]) == (403, "application/json")
        assert "error" in json.loads(text)
    for path in ("/v2", "/v2/models/classifier", "/page/service.json", "/openapi.json"):
        assert raw(shared, asked("GET", path, "Host: evil.example"))[0] == 403


def test_probes_may_call_it_what_they_like_and_the_page_may_ask(shared: Server) -> None:
    for path in auth.OPEN_PATHS:
        assert raw(shared, asked("GET", path, "Host: probe.example"))[0] == 200
    own = f"127.0.0.1:{shared.tree['port']}"
    headers = (f"Host: {own}", f"Origin: http://{own}")
    assert raw(shared, asked("GET", "/page/service.json", *headers))[0] == 200
    assert raw(shared, asked("POST", PATH, *headers))[0] == 200
