"""`python -m bedplate.runtime.health`: whether a server here is ready; what an image's HEALTHCHECK runs.

Exit 0: it answered 200. Exit 1: it did not, and standard error says what it did.
"""

from __future__ import annotations

import argparse
import http.client
import ssl
import sys


def main(arguments: list[str]) -> int:
    """Ask once."""
    parser = argparse.ArgumentParser(prog="python -m bedplate.runtime.health")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/health")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="SECONDS")
    options = parser.parse_args(arguments)
    wrong = reason(options.port, options.path, options.timeout)
    if wrong is not None:
        sys.stderr.write(f"{wrong}\n")
    return 0 if wrong is None else 1


def reason(port: int, path: str, timeout_s: float) -> str | None:
    """Why the server on this port of the loopback is not ready, None if it is.

    One that hangs up on plain HTTP is asked by TLS, and believed whatever its certificate: it is this machine's.
    """
    try:
        try:
            status = _status(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s), path)
        except (ConnectionResetError, BrokenPipeError, http.client.BadStatusLine):
            status = _status(
                http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=_believing()), path
            )
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {port}: {error}"
    return None if status == http.client.OK else f"{path} answers {status}"


def _status(connection: http.client.HTTPConnection, path: str) -> int:
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _believing() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
