"""The Pulumi engine: found on PATH or in the cache, or installed into the cache in one of two ways.

Pulumi's own installer downloads from Pulumi's site. Where only package registries can be reached, the engine
is built from the Go module proxy, from the versions and checksums pinned in tools/pulumi.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bedplate._resources import resource
from bedplate.atomic import write_atomically
from bedplate.engine import long_run
from bedplate.engine.long_run import Failed, Progress
from bedplate.errors import EngineMissing

VERSION: Final = "3.259.0"
MINIMUM: Final = (3, 259, 0)
INSTALLER_TIMEOUT_S: Final = 600.0
BUILD_TIMEOUT_S: Final = 3600.0
_SCRATCH = ".installing-"
_MODULE = "github.com/pulumi/pulumi"
_INSTALLER = (
    "import sys; from pulumi.automation import PulumiCommand; PulumiCommand.install(root=sys.argv[1])"
)
_HINT = (
    "run `bedplate engine install`, with Go 1.26 or newer on PATH where Pulumi's site cannot be reached; "
    f"or put Pulumi {VERSION} or newer on PATH"
)

Source = Literal["PATH", "cache", "installer", "built"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A usable engine and where it is from."""

    path: Path
    version: str
    source: Source


def find_engine() -> Engine:
    """The engine on PATH if it is new enough, else the one in the cache. Raises EngineMissing."""
    found = shutil.which("pulumi")
    version = _known_version(Path(found).resolve()) if found else None
    if found and version and _numbers(version) >= MINIMUM:
        return Engine(Path(found).resolve(), version, "PATH")
    cached = cache_folder() / VERSION / "pulumi"
    if os.access(cached, os.X_OK):
        return Engine(cached, VERSION, "cache")
    if found:
        told = f"is {version}, older than {VERSION}" if version else "does not say its version"
        raise EngineMissing(f"there is no usable Pulumi engine: {found} {told}", hint=_HINT)
    raise EngineMissing("there is no Pulumi engine: none on PATH, none in the cache", hint=_HINT)


def install_engine(progress: Progress) -> Engine:
    """The engine that is there, or a new one in the cache. `progress` gets a line now and then."""
    try:
        return find_engine()
    except EngineMissing:
        pass
    with _alone(progress):
        try:
            return find_engine()
        except EngineMissing as missing:
            reasons = [missing.message]
        for way in (_by_installer, _by_build):
            try:
                return way(progress)
            except Failed as failure:
                reasons.append(str(failure))
                progress(str(failure))
    raise EngineMissing("; ".join(reasons), hint=_HINT)


def cache_folder() -> Path:
    """Where engines are kept, outside every project, one folder per version."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "bedplate" / "engine"


def _by_installer(progress: Progress) -> Engine:
    with _scratch() as folder:
        command = [sys.executable, "-P", "-c", _INSTALLER, str(folder)]
        what = f"downloading Pulumi {VERSION} with its own installer"
        long_run.run(command, folder, folder / "output", what, INSTALLER_TIMEOUT_S, progress)
        return _kept(folder / "bin" / "pulumi", "installer")


def _by_build(progress: Progress) -> Engine:
    go = shutil.which("go")
    if go is None:
        raise Failed("building Pulumi needs Go, which is not on PATH")
    with _scratch() as folder:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(resource("tools", "pulumi", name), folder / name)
        symbols = f"-s -w -X {_MODULE}/sdk/v3/go/common/version.Version=v{VERSION}"
        target = f"{_MODULE}/pkg/v3/cmd/pulumi"
        command = [go, "build", "-trimpath", "-ldflags", symbols, "-o", str(folder / "pulumi"), target]
        what = f"building Pulumi {VERSION} from the Go module proxy, some minutes"
        long_run.run(command, folder, folder / "output", what, BUILD_TIMEOUT_S, progress)
        return _kept(folder / "pulumi", "built")


def _kept(binary: Path, source: Source) -> Engine:
    """Moves a new engine into the cache at once and whole."""
    version = _version_of(binary)
    if version != VERSION:
        raise Failed(f"what was installed is not Pulumi {VERSION} but {version or 'does not start'}")
    target = cache_folder() / VERSION / "pulumi"
    target.parent.mkdir(parents=True, exist_ok=True)
    binary.chmod(0o755)
    os.replace(binary, target)
    return Engine(target, VERSION, source)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the cache's own file system, so that a finished engine is renamed, not copied."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=_SCRATCH) as folder:
        yield Path(folder)


@contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """One installation at a time on this machine; the kernel frees the lock of one that was killed."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another installation of the engine ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache_folder().glob(f"{_SCRATCH}*"):  # by one that was killed
            shutil.rmtree(left)
        yield


def _known_version(binary: Path) -> str | None:
    """The version of an engine, which is started for it only when it is not the file that was asked last.

    Starting it takes longer than an `up` that has nothing to do. A script, or a program of another name, may
    stand for one engine today and for another tomorrow: it is asked each time.
    """
    remembered = cache_folder() / "version.json"
    identity = _identity(binary)
    if identity is None:
        return _version_of(binary)
    with suppress(OSError, ValueError):
        match json.loads(remembered.read_bytes()):
            case {"of": of, "version": str(known)} if of == identity:
                return str(known)
    version = _version_of(binary)
    if version is not None:
        with suppress(OSError):  # then it is asked again
            write_atomically(remembered, json.dumps({"of": identity, "version": version}) + "\n")
    return version


def _identity(binary: Path) -> list[str | int] | None:
    """What changes when another engine is put in this one's place; None for what may stand for several."""
    try:
        with binary.open("rb") as file:
            is_script, seen = file.read(2) == b"#!", os.fstat(file.fileno())
    except OSError:
        return None
    if is_script or binary.name != "pulumi":
        return None
    return [str(binary), seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns]


def _version_of(binary: Path) -> str | None:
    environment: Mapping[str, str] = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        ran = subprocess.run(
            [str(binary), "version"], env=environment, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v?(\d+\.\d+\.\d+)", ran.stdout)
    return match[1] if match else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
