"""What is sent back, before it is bytes of HTTP."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from bedplate.runtime.server.head import JSON_LENGTH
from bedplate.runtime.server.infer import Answer

Headers = tuple[tuple[bytes, bytes], ...]

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")


class Reply(NamedTuple):
    """`headers` are all but the body's length."""

    status: int
    body: bytes
    headers: Headers


def answered(answer: Answer, extra: Headers) -> Reply:
    """The reply that an answer is."""
    if answer.json_bytes is None and answer.encoding is None:
        return Reply(200, answer.body, (_JSON, *extra))
    kind = _JSON
    if answer.json_bytes is not None:
        kind, extra = _BINARY, (*extra, (JSON_LENGTH, b"%d" % answer.json_bytes))
    if answer.encoding is not None:
        extra = (*extra, (b"content-encoding", answer.encoding.encode()), (b"vary", b"accept-encoding"))
    return Reply(200, answer.body, (kind, *extra))


def error(status: int, message: str, extra: Headers = ()) -> Reply:
    """An error as the protocol has it."""
    # An escaped surrogate cannot come from a request; a lone one in a library's text must not end us.
    body = orjson.dumps({"error": message.encode("utf-8", "replace").decode()})
    return Reply(status, body, (_JSON, *extra))
