"""A Debian of debootstrap as a base image, and storage for buildah that is a test's own.

The base is made once and kept in the user's cache, in a store that every test's storage reads and none writes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.engine.install import cache_folder

PROGRAMS = ("buildah", "debootstrap", "podman", "runc")
SUITE, PYTHON = "bookworm", "3.11"
BASE = f"localhost/bedplate-tests/{SUITE}:1"
DEBOOTSTRAP_S, BUILDAH_S = 500, 120
_LEFT_OUT = ("./dev/*", "./proc/*", "./sys/*", "./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*")
_DOCKERFILE = "FROM scratch\nADD base.tar /\n"


@dataclass(frozen=True)
class Storage:
    """Where one test's images and containers are."""

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes buildah use it, and build without privileges that a virtual machine's root may not have."""
        return {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }

    def buildah(self, *words: str) -> str:
        ran = subprocess.run(
            ("buildah", *words), env=self.environment, capture_output=True, text=True, timeout=BUILDAH_S
        )
        assert ran.returncode == 0, f"buildah {words}: {ran.stderr}"
        return ran.stdout.strip()

    def config(self, image: str) -> dict[str, Any]:
        """What an image says of itself, in Docker's words."""
        told: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", image))["Docker"][
            "config"
        ]
        return told

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The file system of a container of the image."""
        container = self.buildah("from", "--pull-never", image)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


@contextmanager
def storage(folder: Path) -> Iterator[Storage]:
    """A new storage that has the base image; what it mounted is unmounted at the end, and it goes: it is large."""
    kept = cache_folder().parent / "images"
    with _alone(kept):
        store = _store_with_base(kept)
    found = Storage(folder)
    _configure(folder, [store])
    try:
        yield found
    finally:
        found.buildah("rm", "--all")
        unmount(folder)
        shutil.rmtree(folder)


def _store_with_base(kept: Path) -> Path:
    store = kept / f"store-{SUITE}"
    if not store.exists():
        with tempfile.TemporaryDirectory(dir=kept, prefix="making-") as scratch:
            making = Path(scratch)
            _debootstrap(making)
            (making / "Dockerfile").write_text(_DOCKERFILE)
            found = Storage(making / "storage")
            _configure(found.folder, [])
            found.buildah("bud", "--timestamp", "0", "--tag", BASE, str(making))
            unmount(found.folder)
            (found.folder / "root").rename(store)
    return store


def _debootstrap(folder: Path) -> None:
    """A tar of the smallest Debian with Python, without what is this machine's."""
    root = folder / "root"
    words = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(root)]
    subprocess.run(words, check=True, timeout=DEBOOTSTRAP_S, stdout=subprocess.DEVNULL)
    pack = [
        "tar",
        "-C",
        str(root),
        *(f"--exclude={name}" for name in _LEFT_OUT),
        "-cf",
        str(folder / "base.tar"),
        ".",
    ]
    subprocess.run(pack, check=True, timeout=BUILDAH_S)
    shutil.rmtree(root)


def _configure(folder: Path, others: list[Path]) -> None:
    folder.mkdir(parents=True)
    # An overlay cannot lie on an overlay, which is what a container's own files are.
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True
    ).stdout
    driver = "vfs" if kind.strip() == "overlayfs" else "overlay"
    lines = ["[storage]", f'driver = "{driver}"', f'graphroot = "{folder}/root"', f'runroot = "{folder}/run"']
    lines += ["[storage.options]", f"additionalimagestores = {json.dumps([str(other) for other in others])}"]
    (folder / "storage.conf").write_text("\n".join(lines) + "\n")


def unmount(folder: Path) -> None:
    """Ends all mounts within a folder, deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((m for m in mounts if Path(m).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", place], check=True, timeout=BUILDAH_S)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
