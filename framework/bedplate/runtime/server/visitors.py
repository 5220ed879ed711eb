"""Whom a server on a loopback address lets in: no web page from elsewhere that a browser of this machine has open.

A page can have its own name resolve to 127.0.0.1 (DNS rebinding): then the browser takes the server for the page's
own, and says that name as Host. Or it can post without reading the answer: then the browser says its Origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

_PAIRS = 64  # that are remembered: a client says the same in every request

_Pair = tuple[bytes | None, bytes | None]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Visitors:
    """The pairs of Host and Origin that were let in, and by what others are."""

    def __init__(self) -> None:
        self._known: set[_Pair] = set()

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request comes from no page, or from one of this server."""
        pair = headers.get(b"host"), headers.get(b"origin")
        if pair in self._known:
            return True
        good = _is_ours(*pair)
        if good and len(self._known) < _PAIRS:
            self._known.add(pair)
        return good


def _is_ours(host: bytes | None, origin: bytes | None) -> bool:
    if host is None:
        return origin is None
    name = host.decode("latin-1").lower()
    if not _is_here(name):
        return False
    return origin is None or origin.decode("latin-1").lower() in (f"http://{name}", f"https://{name}")


def _is_here(host: str) -> bool:
    """Whether it is an address, or a name that no DNS server is asked for (RFC 6761)."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name or not port.isdigit():
        name = host
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True
