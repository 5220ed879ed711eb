"""A container as a cluster would run it: nobody's user, no capability, nothing to write to but /tmp, no network."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

WITHIN_S = 120
NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
_PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
_DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}
_TMP = {
    "destination": "/tmp",
    "type": "tmpfs",
    "source": "tmpfs",
    "options": ["nosuid", "nodev", "mode=1777"],
}


@dataclass(frozen=True)
class Container:
    """A running one. `log`: where what it says goes."""

    name: str
    state: Path
    process: subprocess.Popen[bytes]
    log: Path

    def runs(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command beside its process, as the same nobody."""
        words = ["runc", "--root", str(self.state), "exec", self.name, *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, check=False)

    def asked(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of this machine in its network."""
        state = subprocess.run(
            ["runc", "--root", str(self.state), "state", self.name], capture_output=True, check=True
        )
        words = ["nsenter", "--net", "--target", str(json.loads(state.stdout)["pid"]), *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, check=False)

    def becomes_healthy(self, check: list[str]) -> None:
        """Runs the image's health check until it passes."""
        deadline = time.monotonic() + WITHIN_S
        while (ran := self.runs(*check)).returncode != 0:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, ran.stderr + self.log.read_text()
            time.sleep(0.2)

    def stopped(self) -> int:
        """Its exit code after a SIGTERM."""
        subprocess.run(
            ["runc", "--root", str(self.state), "kill", self.name, "TERM"], check=True, timeout=WITHIN_S
        )
        return self.process.wait(WITHIN_S)


@contextmanager
def running(
    root: Path,
    config: Mapping[str, Any],
    folder: Path,
    *,
    command: list[str],
    variables: Mapping[str, str] = MappingProxyType({}),
    mounts: Mapping[str, Path] = MappingProxyType({}),
) -> Iterator[Container]:
    """Runs `command` in an image's file system, mounted read-only at `root`, with the image's own environment.

    `mounts`: folders of this machine, read-only, by where they are in the container.
    """
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    environment = [*config["Env"], *(f"{name}={value}" for name, value in variables.items())]
    told = _bundle(root, config["User"], command, environment)
    told["mounts"] += [
        {"destination": place, "type": "bind", "source": str(folder), "options": ["rbind", "ro"]}
        for place, folder in mounts.items()
    ]
    (bundle / "config.json").write_text(json.dumps(told))
    name, state, log = f"bedplate-{folder.name}", folder / "state", folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["runc", "--root", str(state), "run", "--bundle", str(bundle), name],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Container(name, state, process, log)
    finally:
        subprocess.run(
            ["runc", "--root", str(state), "delete", "--force", name], check=False, timeout=WITHIN_S
        )
        process.wait(WITHIN_S)


def _bundle(root: Path, user: str, command: list[str], environment: list[str]) -> dict[str, Any]:
    """https://github.com/opencontainers/runtime-spec/blob/main/config.md"""
    uid, gid = map(int, user.split(":"))
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": gid},
            "args": command,
            "env": environment,
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "root": {"path": str(root), "readonly": True},
        "mounts": [_PROC, _DEV, _TMP],
        "linux": {"namespaces": [{"type": kind} for kind in NAMESPACES]},
    }
