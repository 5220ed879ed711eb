"""The Python packages of a server's image, as wheels for its Python and platform, by the hashes of a lock.

They are gathered here and not while an image is built, so that building needs no network and nothing but what
the lock names gets in. What was gathered is kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bedplate._resources import resource
from bedplate.engine import long_run
from bedplate.engine.install import cache_folder
from bedplate.engine.long_run import Failed, Progress
from bedplate.errors import EngineError, UsageError
from bedplate.image import PLATFORMS, Base

GATHER_TIMEOUT_S = 1800.0
# manylinux by glibc: from what every wheel since 2014 needs to what the oldest base with Python 3.11 has.
_OLDEST, _NEWEST = 17, 28


def pythons() -> list[str]:
    """The versions of Python that there is a lock for."""
    locks = resource("requirements", "server").glob("*.lock")
    return sorted((path.stem for path in locks), key=lambda version: [*map(int, version.split("."))])


def gathered(base: Base, progress: Progress) -> list[Path]:
    """The wheels, from the cache or the package index. Raises EngineError."""
    lock = _lock(base.python)
    identity = hashlib.sha256(lock.read_bytes() + f"{base.python} {base.platform}".encode()).hexdigest()
    kept = cache_folder().parent / "wheels" / identity[:16]
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".gathering-") as scratch:
            whole = Path(scratch) / "wheels"
            _download(lock, base, whole, Path(scratch) / "output", progress)
            try:
                whole.replace(kept)
            except OSError:
                if not kept.is_dir():  # otherwise somebody else was faster
                    raise
    return sorted(kept.glob("*.whl"))


def requirements(wheels: Iterable[tuple[str, str]]) -> str:
    """What pip installs: each wheel, given by its file's name and sha256, and nothing else."""
    lines = []
    for file, sha256 in sorted(wheels):
        name, version = file.split("-")[:2]
        lines.append(f"{name}=={version} --hash=sha256:{sha256}\n")
    return "".join(lines)


def _lock(python: str) -> Path:
    lock = resource("requirements", "server", f"{python}.lock")
    if not lock.is_file():
        raise UsageError(
            f"there are no packages for Python {python}",
            hint=f"take a base with one of {', '.join(pythons())}",
        )
    return lock


def _download(lock: Path, base: Base, target: Path, output: Path, progress: Progress) -> None:
    if importlib.util.find_spec("pip") is None:
        raise EngineError(
            "gathering wheels needs pip, which is not in this environment",
            hint="python -m ensurepip, or uv pip install pip",
        )
    machine = PLATFORMS[base.platform]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST, _OLDEST - 1, -1)]
    platforms = [word for tag in (*tags, f"manylinux2014_{machine}") for word in ("--platform", tag)]
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(target)]
    command += ["--implementation", "cp", "--python-version", base.python, *platforms]
    what = f"gathering the server's packages for Python {base.python} on {base.platform}"
    try:
        run = [*command, "--requirement", str(lock)]
        long_run.run(run, target.parent, output, what, GATHER_TIMEOUT_S, progress)
    except Failed as failure:
        raise EngineError(
            str(failure),
            hint="they come from the package index that pip is configured for; look whether it answers",
        ) from failure
