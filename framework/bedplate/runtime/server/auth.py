"""The optional API key. The server knows only a salted digest of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from bedplate.runtime.server import page_files
from bedplate.runtime.server.config import ApiKey

# Probes, scrapers and a browser's first look carry no key; these answers say nothing about a model's inputs or
# outputs, and the page's files nothing about the service.
OPEN_PATHS = frozenset({"/health", "/metrics", "/v2/health/live", "/v2/health/ready", *page_files.FILES})


def digest(salt: str, key: str) -> str:
    """What a configuration holds for a key: SHA-256 over the salt's bytes (given in hex) and the key."""
    return hashlib.sha256(bytes.fromhex(salt) + key.encode()).hexdigest()


def allowed(expected: ApiKey, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the headers carry the key, as `Authorization: Bearer` or as `X-API-Key`."""
    key = headers.get(b"x-api-key")
    if key is None:
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return False
    found = hashlib.sha256(bytes.fromhex(expected.salt) + key.strip()).digest()
    return hmac.compare_digest(found, bytes.fromhex(expected.sha256))
