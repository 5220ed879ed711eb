"""The process that turns segments into Parquet files and brings them away, beside the workers.

It is the only one of a server that loads pyarrow, and it gives way to the workers: what is not rolled yet is
safe where it lies. One at a time works on a spool; the next waits until the one before it has ended.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.runtime.server import log
from bedplate.runtime.server.config import Config, PredictionLog, parse
from bedplate.runtime.server.lifeline import die_with
from bedplate.runtime.server.predictions import journal

if TYPE_CHECKING:
    from bedplate.runtime.server.metrics import Rolling
    from bedplate.runtime.server.predictions.places import Place

_NICE = 5
_BATCH_BYTES = 64 * 2**20
_SETTLE_S = 1.0  # workers end their segments within this time of each other
_TICK_S = 1.0
_FORGET_EVERY_S = 600.0
_SAY_AGAIN_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0


class Step:
    """A step that may fail for a while: it is tried again after a growing pause, and said once a minute."""

    def __init__(self, name: str, failed: Callable[[str], None]) -> None:
        self._name = name
        self._failed = failed
        self._pause_s = _FIRST_PAUSE_S
        self._next = 0.0
        self._said_at = -_SAY_AGAIN_S

    def run(self, work: Callable[[], object], now: float) -> bool:
        """Whether it worked; it is not tried before its pause is over."""
        if now < self._next:
            return False
        try:
            work()
        except OSError as error:
            self._failed(self._name)
            self._next, self._pause_s = now + self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
            if now - self._said_at >= _SAY_AGAIN_S:
                self._said_at = now
                log.write("error", "prediction log", step=self._name, reason=log.one_line(str(error)))
            return False
        self._pause_s, self._next = _FIRST_PAUSE_S, 0.0
        return True

    def at_once(self) -> None:
        """Try again without waiting for the pause."""
        self._next = 0.0


class Roller:
    """Works on one spool, tick by tick."""

    def __init__(self, told: PredictionLog, service: str, metrics: Rolling) -> None:
        from bedplate.runtime.server.predictions.rolling import Spool  # it loads pyarrow

        self._told = told
        self._service = service
        self._spool = Spool(Path(told.spool))
        self._metrics = metrics
        self._place: Place | None = None
        self._roll, self._deliver, self._forget = (
            Step(name, metrics.failed) for name in ("roll", "deliver", "forget")
        )
        self._free_since: float | None = None
        self._forgot_at = -_FORGET_EVERY_S

    def open(self) -> None:
        """Recover what others left; raises OSError."""
        self._spool.open()

    def tick(self, now: float, *, ending: bool = False) -> None:
        """Do what there is to do; all of it, without waiting for more, when `ending`. `now` is monotonic."""
        if ending:
            self._roll.at_once()
            self._deliver.at_once()
        while self._roll_some(now, settled=ending):
            pass
        if self._spool.batches():
            self._deliver.run(self._deliver_all, now)
        self._metrics.backlog(journal.size_of(self._spool.root))
        if not ending and now - self._forgot_at >= _FORGET_EVERY_S:
            self._forget.run(self._forget_old, now)

    def _roll_some(self, now: float, *, settled: bool) -> bool:
        from bedplate.runtime.server.predictions import rolling

        segments = rolling.finished(self._spool, _BATCH_BYTES)
        if not segments:
            self._free_since = None
            return False
        self._free_since = now if self._free_since is None else self._free_since
        settled = settled or now - self._free_since >= _SETTLE_S
        return settled and self._roll.run(lambda: rolling.roll(self._spool, segments), now)

    def _deliver_all(self) -> None:
        from bedplate.runtime.server.predictions import rolling

        for batch in self._spool.batches():
            rolling.deliver(batch, self._destination())

    def _forget_old(self) -> None:
        self._destination().forget(datetime.now(UTC) - timedelta(seconds=self._told.retention_s))
        self._forgot_at = time.monotonic()

    def _destination(self) -> Place:
        if self._place is None:
            from bedplate.runtime.server.predictions.places import place

            self._place = place(self._told.to, self._service)
        return self._place


def main(arguments: list[str]) -> int:
    """Run until the standard input ends, then finish what is there."""
    parser = argparse.ArgumentParser(prog="bedplate.runtime.server.predictions.roller")
    for name in ("--config", "--master"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args(arguments)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    threading.Thread(target=_await_end, args=(ending,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(options.master)
    with open(options.config, encoding="utf-8") as file:
        config = parse(file.read())
    if config.prediction_log is None:
        return 0
    os.umask(0o077)
    try:
        return _run(config, config.prediction_log, ending)
    except Exception as error:  # noqa: BLE001 - the process' outermost place
        log.write("error", "bug", error=repr(error))
        return 1


def _await_end(ending: threading.Event) -> None:
    """A pipe's end cannot come too early to be noticed, as a signal can."""
    while os.read(0, 1):
        pass
    ending.set()


def _run(config: Config, told: PredictionLog, ending: threading.Event) -> int:
    spool = Path(told.spool)
    try:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (spool / "lock").open("a") as lock:
            if not _locked(lock.fileno(), ending):
                return 0
            # All that is heavy, before the thread that gives way begins: a first batch is rolled in time then.
            import pyarrow
            import pyarrow.compute

            pyarrow.set_cpu_count(1)
            from bedplate.runtime.server.metrics import Rolling

            roller = Roller(told, config.service, Rolling())
            roller.open()
            _beside(lambda: _work(roller, min(_TICK_S, told.roll_s / 4), ending))
            roller.tick(time.monotonic(), ending=True)
    except (OSError, ImportError) as error:  # the master starts another one after a pause
        log.write("error", "prediction log", step="open", reason=log.one_line(str(error)))
        return 1
    return 0


def _work(roller: Roller, pause_s: float, ending: threading.Event) -> None:
    while not ending.wait(pause_s):
        roller.tick(time.monotonic())


def _beside(work: Callable[[], None]) -> None:
    """Do it in a thread that gives way to the workers; this one keeps its priority for what must be done soon."""
    failures: list[BaseException] = []

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failures.append(error)

    thread = threading.Thread(target=run, name="roll")
    thread.start()
    thread.join()
    for failure in failures:
        raise failure


def _locked(lock: int, ending: threading.Event) -> bool:
    """Wait for the spool; whether it is ours before we are to end."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if ending.wait(0.2):
                return False
        else:
            return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
