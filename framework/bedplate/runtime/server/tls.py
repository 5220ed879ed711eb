"""TLS by files: what every worker shows to clients, from 1.2 on."""

from __future__ import annotations

import ssl

from bedplate.runtime.server.config import Tls

_WORDS = {
    "KEY_VALUES_MISMATCH": "the key is not that of the first certificate",
    "KEY_TYPE_MISMATCH": "the key is not that of the first certificate",
}


class NoTls(ValueError):
    """The files are no certificate with its key; `reason` says why."""

    def __init__(self, files: Tls, reason: str) -> None:
        super().__init__(f"the certificate {files.certificate} with the key {files.key}: {reason}")
        self.reason = reason


def context(files: Tls) -> ssl.SSLContext:
    """Raises NoTls."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(files.certificate, files.key, password=_no_password)
    except OSError as error:  # which SSLError is one of
        reason = str(getattr(error, "reason", None) or error.strerror)
        raise NoTls(files, _WORDS.get(reason, reason)) from error
    return made


def _no_password() -> str:
    """Else openssl would ask for it on the terminal."""
    raise ssl.SSLError(0, "the key has a password")
