"""A real Docker on this machine, for as long as a test builds with it; it listens on a socket of the test's alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bedplate.engine.install import cache_folder
from tests.images.storage import unmount

WITHIN_S = 120
_TOOL = Path(__file__).parent / "tools" / "buildx"


@dataclass(frozen=True)
class Docker:
    """One that runs. `environment`: what makes its client, and so `bedplate build`, use it."""

    environment: Mapping[str, str]

    def __call__(self, *words: str) -> str:
        ran = subprocess.run(
            ["docker", *words], env=self.environment, capture_output=True, text=True, timeout=WITHIN_S
        )
        assert ran.returncode == 0, f"docker {words}: {ran.stderr}"
        return ran.stdout.strip()

    def becomes_healthy(self, container: str) -> None:
        """Waits until the image's own health check has passed."""
        deadline = time.monotonic() + WITHIN_S
        while self("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
            assert time.monotonic() < deadline, self("logs", container)
            time.sleep(0.2)


def settings() -> Path:
    """The client's own folder, with buildx in it, as tests/images/install makes it."""
    pinned = sha256((_TOOL / "go.mod").read_bytes() + (_TOOL / "go.sum").read_bytes()).hexdigest()
    return _kept() / f"buildx-{pinned[:16]}"


@contextmanager
def docker() -> Iterator[Docker]:
    """Runs the daemon, without a network of its own; nothing of it is left."""
    programs = _kept() / "docker" / "usr"
    folder = Path(tempfile.mkdtemp(prefix="bedplate-docker-"))  # short: it holds sockets
    client = shutil.copytree(settings(), folder / "client", symlinks=True)
    environment = {
        **os.environ,
        "PATH": f"{programs / 'sbin'}:{programs / 'bin'}:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{folder / 'socket'}",
        "DOCKER_CONFIG": str(client),
    }
    words = ["dockerd", "--host", environment["DOCKER_HOST"], "--pidfile", str(folder / "pid")]
    words += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    words += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await(daemon, folder)
        yield Docker(environment)
    finally:
        daemon.terminate()
        daemon.wait(WITHIN_S)
        unmount(folder)
        shutil.rmtree(folder)


def _kept() -> Path:
    return cache_folder().parent / "images"


def _await(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not (folder / "socket").exists():
        assert daemon.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)
