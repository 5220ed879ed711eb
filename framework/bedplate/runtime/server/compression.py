"""Compressed bodies: gzip and deflate (which is zlib's form, RFC 9110), bounded by what comes out of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import lru_cache

from bedplate.runtime.server.refused import Refused, refuse

WORTH_BYTES = 4096
"""Below this an answer is sent as it is: it fits into few packets, and compressing would take longer."""
_WINDOWS = {"gzip": 31, "deflate": 15}
_FAST = 1


def encoding_of(headers: Mapping[bytes, bytes]) -> str | None:
    """How the body is compressed, None for not at all; raises Refused for a way that is not known."""
    said = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if said in ("identity", ""):
        return None
    if said not in _WINDOWS:
        raise Refused(415, "a body may be compressed with gzip or deflate")
    return said


def accepted(headers: Mapping[bytes, bytes]) -> str | None:
    """The compression that the client takes and likes best, None where it wants none."""
    said = headers.get(b"accept-encoding")
    return None if said is None else _liked(said)


@lru_cache(maxsize=64)  # clients of one kind say the same in every request
def _liked(said: bytes) -> str | None:
    weights = {}
    for part in said.decode("latin-1").lower().split(","):
        name, _, parameter = part.partition(";")
        weights[name.strip()] = _weight(parameter)
    best = max(_WINDOWS, key=lambda name: weights.get(name, 0.0))
    return best if weights.get(best, 0.0) > 0 else None


def expand(body: bytes | bytearray, encoding: str, at_most: int) -> bytes:
    """The body as it was before; raises Refused, also when it becomes longer than `at_most` bytes."""
    machine = zlib.decompressobj(_WINDOWS[encoding])
    try:
        found = machine.decompress(bytes(body), at_most + 1)
    except zlib.error:
        refuse(f"the body is not {encoding}")
    if len(found) > at_most:
        raise Refused(413, f"the body is longer than {at_most} bytes")
    if not machine.eof:
        refuse(f"the {encoding} body is cut off")
    if machine.unused_data:
        refuse(f"something follows the {encoding} body")
    return found


def compress(body: bytes, encoding: str) -> bytes:
    """The body, compressed quickly rather than well."""
    machine = zlib.compressobj(_FAST, zlib.DEFLATED, _WINDOWS[encoding])
    return machine.compress(body) + machine.flush()


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
