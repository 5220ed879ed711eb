"""One run of the Pulumi CLI: its arguments, its events as they come, its end.

The CLI's event log is the source of what happened; its printed text is used only for what happens before
the first event (a lock, a damaged state, a wrong passphrase), see classify.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from bedplate.engine.parent import end_with_parent

POLL_S = 0.05
INSIST_EVERY_S = 0.5
Event = Mapping[str, Any]
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `text` is all that the CLI printed."""

    code: int
    text: str
    events: tuple[Event, ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == 0

    def step_failures(self) -> Iterator[Mapping[str, Any]]:
        """The metadata of every resource operation that failed."""
        for event in self.events:
            if "resOpFailedEvent" in event:
                yield event["resOpFailedEvent"]["metadata"]

    def complaints(self) -> Iterator[tuple[str, str]]:
        """(URN or "", message) of every error that the engine or a plugin reported, in order."""
        for event in self.events:
            diagnostic = event.get("diagnosticEvent")
            if diagnostic and diagnostic["severity"] == "error":
                yield diagnostic.get("urn", ""), diagnostic["message"]
            if "errorEvent" in event:
                yield "", event["errorEvent"]["error"]


@dataclass(slots=True)
class Interruption:
    """Ctrl-C, passed on to every engine that runs: once to finish what is under way, twice to stop."""

    requested: int = 0
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def request(self) -> None:
        """Called from the signal handler, which may interrupt a holder of the guard: takes no lock."""
        self.requested += 1
        for process in tuple(self._running):
            _interrupt(process)

    def watch(self, process: subprocess.Popen[str]) -> None:
        with self._guard:
            self._running.add(process)
        if self.requested:
            _interrupt(process)

    def insist(self, process: subprocess.Popen[str]) -> None:
        """Tells an engine again that it shall stop at once: of two signals in a row it may see only one."""
        if self.requested > 1:
            _interrupt(process)

    def forget(self, process: subprocess.Popen[str]) -> None:
        with self._guard:
            self._running.discard(process)


@dataclass(frozen=True, slots=True)
class Pulumi:
    """The CLI at `path`, called with `environment` added to nothing: it is the whole environment.

    In `runs` each engine that works is noted by its process id. What is left there was killed, and by that it
    is known that a lock in a far place was its: the name of a host is shared by many machines.
    """

    path: Path
    environment: Mapping[str, str]
    interruption: Interruption = field(default_factory=Interruption)
    runs: Path | None = None

    def call(self, folder: Path, *arguments: str) -> Outcome:
        """A short command without events, such as `stack init`."""
        with self._started(folder, arguments) as process:
            text, _ = process.communicate()
            self._ended(process)
        return Outcome(process.returncode, text)

    def operate(self, folder: Path, *arguments: str, on_event: OnEvent | None = None) -> Outcome:
        """A command that works on resources: up, preview, refresh, destroy."""
        with tempfile.TemporaryDirectory(prefix="bedplate-") as scratch:
            log = Path(scratch) / "events"
            log.touch()
            printed = Path(scratch) / "printed"
            common = ("--event-log", str(log), "--suppress-outputs", "--suppress-progress")
            with (
                printed.open("w") as sink,
                log.open(encoding="utf-8") as source,
                self._started(folder, (*arguments, *common), sink) as process,
            ):
                events = tuple(_follow(source, process, on_event, self.interruption))
                self._ended(process)
            return Outcome(process.returncode, printed.read_text(errors="replace"), events)

    def _started(
        self, folder: Path, arguments: tuple[str, ...], sink: IO[str] | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(self.path), *arguments, "--non-interactive", "--color", "never"],
            cwd=folder,
            env={**self.environment, "PULUMI_DEBUG_COMMANDS": "true"},  # or there is no --event-log
            stdin=subprocess.DEVNULL,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
            preexec_fn=partial(_finish_with_parent, os.getpid()),
        )
        self.interruption.watch(process)
        if self.runs:
            self.runs.mkdir(parents=True, exist_ok=True)
            (self.runs / str(process.pid)).touch()
        return process

    def _ended(self, process: subprocess.Popen[str]) -> None:
        self.interruption.forget(process)
        if process.wait() >= 0:
            self.forget_run(process.pid)

    def has_run(self, pid: int) -> bool:
        """Whether this clone ran an engine of that id that was not seen to end."""
        return self.runs is not None and (self.runs / str(pid)).exists()

    def forget_run(self, pid: int) -> None:
        if self.runs:
            (self.runs / str(pid)).unlink(missing_ok=True)


def _follow(
    source: IO[str], process: subprocess.Popen[str], on_event: OnEvent | None, interruption: Interruption
) -> Iterator[Event]:
    """Events as they are written, until the process has ended and everything is read."""
    rest, insisted = "", time.monotonic()
    while True:
        ended = process.poll() is not None
        rest += source.read()
        *lines, rest = rest.split("\n")
        for line in lines:
            event: Event = json.loads(line)
            if on_event:
                on_event(event)
            yield event
        if ended and not lines:
            return
        if not lines:
            time.sleep(POLL_S)
        if time.monotonic() - insisted > INSIST_EVERY_S:
            interruption.insist(process)
            insisted = time.monotonic()


def _finish_with_parent(parent: int) -> None:
    """In the child: when the command is killed, the engine finishes what is under way and ends."""
    end_with_parent(signal.SIGINT)
    if os.getppid() != parent:  # killed just before, so the signal will never come
        os._exit(1)


def _interrupt(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
