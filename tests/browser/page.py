"""A server whose page is looked at, and names and a key that do harm where they are taken for more than text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.runtime.server.served import Server, config

HOSTILE = '<img src=x onerror="hacked=1">\'; \\ {"}\n\u2028ü/..%2f</script>'
KEY = "sésame $(id) '\""


@contextmanager
def running(folder: Path, entries: list[dict[str, str]], **changes: Any) -> Iterator[Server]:
    server = Server(folder, config(entries, slo_p95_s=0.123, **changes))
    try:
        yield server.started()
    finally:
        server.stop()
