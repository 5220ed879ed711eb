"""The page at `/` and what it is made of: files that hold no data, read once, answered without a key.

All that the page shows it asks for by itself. It loads nothing from elsewhere, and no text can become markup or
script in it: the policy that comes with it lets the browser run its one script and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILES: Mapping[str, tuple[str, str]] = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page/page.css": ("page.css", "text/css; charset=utf-8"),
    **{
        f"/page/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("page", "figures", "texts")
    },
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""The paths, each with its file and content type."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "cache-control": "no-cache",  # keep it, and ask each time whether it is still the same
    "content-security-policy": POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def routes() -> Iterator[Route]:
    """The routes of the files."""
    for path, (name, kind) in FILES.items():
        body = (files("bedplate.runtime.server") / "page" / name).read_bytes()
        yield Route(path, _File(body, kind).answer)


class _File:
    def __init__(self, body: bytes, kind: str) -> None:
        self._body = body
        self._kind = kind
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._headers = {**_HEADERS, "etag": self._etag}

    async def answer(self, request: Request) -> Response:
        if _held(request.headers.get("if-none-match", ""), self._etag):
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, media_type=self._kind, headers=self._headers)


def _held(said: str, etag: str) -> bool:
    """Whether the client already has it (RFC 9110, 13.1.2: the weak comparison)."""
    return said.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in said.split(","))
