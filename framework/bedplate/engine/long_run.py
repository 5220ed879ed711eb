"""Programs that take minutes: told of while they run, ended with us, their last words kept for the error."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bedplate.engine.parent import end_with_parent

TICK_S: Final = 10.0

Progress = Callable[[str], None]


class Failed(Exception):
    """It did not end well, or not in time; the text says why."""


def run(
    command: Sequence[str],
    folder: Path,
    output: Path,
    what: str,
    timeout_s: float,
    progress: Progress,
    *,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a command in `folder` to its end, what it prints going to the file `output`. Raises Failed.

    `progress` gets `what` at the start and now and then; an error ends with the last line that was printed.
    """
    progress(f"{what} ...")
    began = time.monotonic()
    with output.open("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
        )
        try:
            while (code := _ended(process)) is None:
                elapsed_s = int(time.monotonic() - began)
                progress(f"{what} ... {elapsed_s // 60}:{elapsed_s % 60:02}")
                if elapsed_s > timeout_s:
                    raise Failed(f"{what}: not done within {timeout_s:.0f} s")
        finally:
            process.kill()
            process.wait()
        printed.seek(0)
        if code != 0:
            lines = [line for line in printed.read().splitlines() if line.strip()]
            raise Failed(f"{what}: failed: {lines[-1] if lines else f'exit {code}'}")


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(TICK_S)
    except subprocess.TimeoutExpired:
        return None
