"""A worker: loads the models, answers on the inherited listening socket, ends with its master.

Everything heavy is imported here and only here. The master speaks over a socket pair, one JSON
object a line: it orders `accept` and `drain`, each of which is answered by `obeyed`; the worker
reports `ready`, or `failed` with a reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.runtime.server import log
from bedplate.runtime.server.config import Config, parse
from bedplate.runtime.server.lifeline import die_with

if TYPE_CHECKING:
    from bedplate.runtime.server.life import Life

_LONGEST_ORDER = 16 * 2**20


def main(arguments: list[str]) -> int:
    """Run one worker until it is drained; the exit code is 0 then."""
    options = _options(arguments)
    die_with(options.master)
    with open(options.config, encoding="utf-8") as file:
        config = parse(file.read())
    _limit(config)
    # A terminal's Ctrl-C reaches the whole process group; the master decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    library = logging.getLogger("uvicorn.error")
    library.setLevel(logging.ERROR)
    library.propagate = False
    library.addHandler(log.JsonLines())
    import uvloop  # after the limits, like everything heavy

    listener = socket.socket(fileno=options.listener)
    listener.setblocking(False)
    master = socket.socket(fileno=options.status)
    return uvloop.run(_serve(config, listener, master))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bedplate.runtime.server.worker")
    for name in ("--listener", "--status", "--config", "--master"):
        parser.add_argument(name, type=int, required=True)
    return parser.parse_args(arguments)


def _limit(config: Config) -> None:
    if config.memory_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        bounded = config.memory_bytes if hard == resource.RLIM_INFINITY else min(config.memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (bounded, bounded))
    hard_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_files, hard_files))


async def _serve(config: Config, listener: socket.socket, master: socket.socket) -> int:
    from bedplate.runtime.server.life import Life  # after the limits, like everything heavy

    reader, writer = await asyncio.open_connection(sock=master, limit=_LONGEST_ORDER)

    def report(event: str, **fields: str) -> None:
        writer.write(json.dumps({"event": event, **fields}).encode() + b"\n")

    life = Life(config, listener, Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), report)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, life.drain, False, 0.0)
    orders = loop.create_task(_obey(reader, life, report))
    await life.ended.wait()
    orders.cancel()
    await writer.drain()
    # Threads may still compute for clients that are gone; nothing of them is worth waiting for.
    sys.stderr.flush()
    os._exit(0)


async def _obey(reader: asyncio.StreamReader, life: Life, report: Callable[[str], None]) -> None:
    while line := await reader.readline():
        order = json.loads(line)
        if order["order"] == "accept":
            life.accept()
        elif order["order"] == "route":
            life.route(order["routes"])
        elif order["order"] == "drain":
            life.drain(order["ending"], order["accept_s"])
        report("obeyed")
    os._exit(1)  # the master is gone


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
