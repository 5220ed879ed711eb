"""The process that turns segments into Parquet files and brings them away: started when there are some.

It is the only one of a server that loads pyarrow, ends when nothing is left to do, and gives way to the workers:
what is not rolled yet is safe where it lies. One at a time works on a spool; the next waits for it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.runtime.server import log
from bedplate.runtime.server.config import Config, PredictionLog, parse
from bedplate.runtime.server.lifeline import die_with

if TYPE_CHECKING:
    from bedplate.runtime.server.predictions.places import Place

_NICE = 10
_BATCH_BYTES = 64 * 2**20


class Roller:
    """Works on one spool. `failed` is told the steps that did not work: roll, deliver, forget."""

    def __init__(self, told: PredictionLog, service: str, failed: Callable[[str], None]) -> None:
        from bedplate.runtime.server.predictions.rolling import Spool  # it loads pyarrow

        self._told = told
        self._service = service
        self._spool = Spool(Path(told.spool))
        self._failed = failed
        self._place: Place | None = None

    def run(self, *, forget: bool = False) -> bool:
        """Recover what others left, and do what there is to do; whether all of it worked. Raises OSError."""
        self._spool.open()
        worked = self._step("roll", self._roll)
        if self._spool.batches():
            worked &= self._step("deliver", self._deliver)
        if forget:
            worked &= self._step("forget", self._forget)
        return worked

    def _step(self, name: str, work: Callable[[], object]) -> bool:
        try:
            work()
        except OSError as error:
            self._failed(name)
            log.write("error", "prediction log", step=name, reason=log.one_line(str(error)))
            return False
        return True

    def _roll(self) -> None:
        from bedplate.runtime.server.predictions import rolling

        while segments := rolling.finished(self._spool, _BATCH_BYTES):
            rolling.roll(self._spool, segments)

    def _deliver(self) -> None:
        from bedplate.runtime.server.predictions import rolling

        for batch in self._spool.batches():
            rolling.deliver(batch, self._destination())

    def _forget(self) -> None:
        self._destination().forget(datetime.now(UTC) - timedelta(seconds=self._told.retention_s))

    def _destination(self) -> Place:
        if self._place is None:
            from bedplate.runtime.server.predictions.places import place

            self._place = place(self._told.to, self._service)
        return self._place


def main(arguments: list[str]) -> int:
    """Do what there is to do; the exit code is 1 where some of it has to be tried again."""
    parser = argparse.ArgumentParser(prog="bedplate.runtime.server.predictions.roller")
    for name in ("--config", "--master"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--forget", action="store_true", help="remove what is too old")
    parser.add_argument("--soon", action="store_true", help="do not give way to the workers")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(options.master)
    with open(options.config, encoding="utf-8") as file:
        config = parse(file.read())
    if config.prediction_log is None:
        return 0
    os.umask(0o077)
    if not options.soon:
        os.nice(_NICE)
    try:
        return _run(config, config.prediction_log, forget=options.forget)
    except Exception as error:  # noqa: BLE001 - the process' outermost place
        log.write("error", "bug", error=repr(error))
        return 1


def _run(config: Config, told: PredictionLog, *, forget: bool) -> int:
    spool = Path(told.spool)
    try:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (spool / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            import pyarrow

            pyarrow.set_cpu_count(1)
            from bedplate.runtime.server.metrics import Rolling

            rolling = Rolling(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
            return 0 if Roller(told, config.service, rolling.failed).run(forget=forget) else 1
    except (OSError, ImportError) as error:  # the master starts another one after a pause
        log.write("error", "prediction log", step="open", reason=log.one_line(str(error)))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
