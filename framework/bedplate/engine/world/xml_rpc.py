"""XML-RPC over a Unix socket, which is what supervisord speaks."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

__all__ = ["Fault", "Unreachable", "call"]


class Unreachable(Exception):
    """Nobody answers on the socket."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(path: Path, method: str, arguments: Sequence[str | bool], timeout_s: float) -> object:
    """Calls a method. Raises Unreachable, or Fault when the answer is no."""
    body = xmlrpc.client.dumps(tuple(arguments), method)
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request("POST", "/RPC2", body.encode(), {"Content-Type": "text/xml"})
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(str(error)) from error
    finally:
        connection.close()
    if response.status != 200:
        raise Unreachable(f"HTTP status {response.status}")
    values: Any
    values, _ = xmlrpc.client.loads(content.decode())
    return values[0]
