"""What a request's head says: which model it is for, how its body came, by which name it is known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from bedplate.runtime.server import compression
from bedplate.runtime.server.refused import Refused, refuse

JSON_LENGTH = b"inference-header-content-length"
_LONGEST_ID = 128
_LONGEST_NUMBER = 15
_IDS = 256  # that are made at once


@dataclass(frozen=True)
class Form:
    """How a request's body came, and how its answer may go.

    `json_bytes` is how much of it is JSON, None for all of it; `encoding` and `accepted` are compressions.
    """

    json_bytes: int | None = None
    encoding: str | None = None
    accepted: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the body is JSON and nothing else."""
        return self.json_bytes is None and self.encoding is None


_PLAIN = Form()
Target = tuple[str, str | None]  # a model's name, and its version where that is said


class Head:
    """What a request is for, and what its headers say. They are often the very bytes of the one before: it is kept."""

    __slots__ = ("_form", "given_id", "headers", "target")

    def __init__(self, target: Target | None, headers: Mapping[bytes, bytes]) -> None:
        self.headers = headers
        self.target = target
        self.given_id = _given_id(headers)
        self._form: Form | None = None

    @property
    def form(self) -> Form:
        """How the body comes, and how the answer may go; raises Refused for what is not taken."""
        if self._form is None:
            self._form = _form(self.headers)
        return self._form

    @property
    def request_id(self) -> str:
        """The client's own X-Request-Id where it can be said again anywhere, else a new one each time."""
        return self.given_id or _new_id()


def target(path: bytes) -> Target | None:
    """The model and version of an inference path; split before unquoting, so %2f stays in a name."""
    if not path.endswith(b"/infer"):
        return None
    match path.split(b"/"):
        case [b"", b"v2", b"models", name, b"infer"]:
            return unquote(name), None
        case [b"", b"v2", b"models", name, b"versions", version, b"infer"]:
            return unquote(name), unquote(version)
    return None


def _form(headers: Mapping[bytes, bytes]) -> Form:
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    announced = headers.get(JSON_LENGTH)
    if kind != b"application/json" and (announced is None or kind != b"application/octet-stream"):
        binary = "application/octet-stream with the header Inference-Header-Content-Length"
        raise Refused(415, f"the content type must be application/json, or {binary}")
    encoding, accepted = compression.encoding_of(headers), compression.accepted(headers)
    if announced is None:
        return _PLAIN if encoding is None and accepted is None else Form(None, encoding, accepted)
    if not announced.isdigit() or len(announced) > _LONGEST_NUMBER:
        refuse("Inference-Header-Content-Length must be a whole number from 0")
    return Form(int(announced), encoding, accepted)


def _given_id(headers: Mapping[bytes, bytes]) -> str | None:
    given = headers.get(b"x-request-id")
    if given and len(given) <= _LONGEST_ID and given.isascii():
        text = given.decode("ascii")
        if text.isprintable():
            return text
    return None


def _new_ids() -> Iterator[str]:
    """128 random bits each, and no system call for each."""
    while True:
        many = os.urandom(_IDS * 16).hex()
        for start in range(0, len(many), 32):
            yield many[start : start + 32]


_new_id = _new_ids().__next__
