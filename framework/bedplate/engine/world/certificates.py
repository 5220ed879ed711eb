"""A service's certificate with its key: a file that only its owner can read, named by what is in it, so that a server
which goes on as it was still has the one that it started from.

One file: OpenSSL takes the key and the certificates out of it, whichever comes first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world.files import write_bytes
from bedplate.engine.world.server import Secret, ServiceFiles
from bedplate.graph import Json

_PARTS = (
    ("certificate", re.compile(r"^-----BEGIN CERTIFICATE-----", re.MULTILINE)),
    ("private key", re.compile(r"^-----BEGIN [A-Z ]*PRIVATE KEY-----", re.MULTILINE)),
)
_HELP = "its value is PEM: the private key without a password, the certificate, then those above it"


def write(secret: Secret, files: ServiceFiles) -> Path:
    """The file of what the secret holds, once it is known that a server can show it. Raises ResourceFailed."""
    from bedplate.runtime.server import config, tls  # with OpenSSL, which most changes do not need

    text = secret.text()
    for part, begin in _PARTS:
        if not begin.search(text):
            raise ResourceFailed(f"the secret {secret.secret} holds no {part}", _HELP)
    content = (text.rstrip() + "\n").encode()
    path = files.folder / f"tls-{_digest(content)}.pem"
    write_bytes(path, content)
    try:
        tls.context(config.Tls(str(path), str(path)))
    except tls.NoTls as error:
        path.unlink()
        raise ResourceFailed(
            f"the secret {secret.secret} holds no certificate with its key: {error.reason}", _HELP
        ) from error
    return path


def intact(config: Mapping[str, Json] | None) -> bool:
    """Whether the file that a server would start from, if there is one, is as it was written."""
    path = _named(config)
    try:
        return path is None or path.name == f"tls-{_digest(path.read_bytes())}.pem"
    except OSError:
        return False


def remove_others(files: ServiceFiles) -> None:
    """Removes those that the server does not start from any more, and drafts of a process that was killed."""
    kept = _named(files.configured())
    for path in files.folder.glob("*tls-*.pem*"):
        if path != kept:
            path.unlink()


def _named(config: Mapping[str, Json] | None) -> Path | None:
    match config:
        case {"tls": {"certificate": str(path)}}:
            return Path(path)
    return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
