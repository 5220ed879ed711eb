"""Running commands, and comparing them pair by pair."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A process begins with the peak of the one that it was forked from: a small one has to start it.
_PEAK = (
    "import resource, subprocess, sys\n"
    "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    "sys.exit(code)"
)


@dataclass(frozen=True)
class Cost:
    """What a run took: wall-clock seconds, and CPU seconds of it and all it started and waited for."""

    wall_s: float
    cpu_s: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __truediv__(self, parts: int) -> Cost:
        return Cost(self.wall_s / parts, self.cpu_s / parts)


@dataclass(frozen=True)
class Comparison:
    """A against B: the pairs' figures, and the limit of their median ratio: the most, or the least."""

    name: str
    a: str
    b: str
    figure: str
    limit: float
    pairs: tuple[tuple[float, float], ...]
    least: bool = False

    @property
    def ratios(self) -> list[float]:
        return sorted(a / b for a, b in self.pairs)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def held(self) -> bool:
        return self.ratio >= self.limit if self.least else self.ratio <= self.limit

    @property
    def bound(self) -> str:
        return f"at least {self.limit:g}" if self.least else f"{self.limit:g}"

    def __str__(self) -> str:
        return f"{self.name}, {self.a} beside {self.b}: {self.ratio:.2f} (limit {self.bound})"


@dataclass(frozen=True)
class Peak:
    """The most memory that a command held at once, in MB; the limit is a number, or what somebody else took."""

    name: str
    command: str
    megabytes: float
    limit: float
    limited_by: str = ""

    @property
    def held(self) -> bool:
        return self.megabytes <= self.limit

    @property
    def bound(self) -> str:
        return f"{self.limit:.0f} MB" + (f" ({self.limited_by})" if self.limited_by else "")

    def __str__(self) -> str:
        return f"{self.name}: {self.megabytes:.0f} MB (limit {self.bound})"


Run = Callable[[], Cost]


def compare(
    name: str, a: tuple[str, Run], b: tuple[str, Run], *, figure: str, limit: float, pairs: int
) -> Comparison:
    """Runs A and B in turn, once to warm up and then `pairs` times."""
    measured = []
    for number in range(pairs + 1):
        costs = getattr(a[1](), figure), getattr(b[1](), figure)
        if number:
            measured.append(costs)
    return Comparison(name, a[0], b[0], figure, limit, tuple(measured))


def cost_of(*commands: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Runs commands at once and waits for all. Raises when one fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    running = [_start(command, folder, env) for command in commands]
    texts = [process.communicate()[0] for process in running]
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command, process, text in zip(commands, running, texts, strict=True):
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{text}")
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def peak_of(command: Sequence[str], *, folder: Path) -> float:
    """The peak of a command in MB. Raises when it fails."""
    whole = [sys.executable, "-c", _PEAK, *command]
    done = subprocess.run(whole, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return int(done.stdout) * 1024 / 1e6


def _start(command: Sequence[str], folder: Path, env: Mapping[str, str] | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
