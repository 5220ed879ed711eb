"""Environments of their own for servers whose packages do not go with ours, made once, in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def python(name: str) -> Path:
    """The interpreter of a peer's environment, which has what NAME.lock lists."""
    lock = HERE / f"{name}.lock"
    known = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "bedplate" / "benchmarks" / f"{name}-{known}"
    if not folder.exists():
        print(f"gathering what {name} needs ...", flush=True)
        made = folder.with_name(f"{folder.name}.{os.getpid()}")
        uv = [sys.executable, "-m", "uv"]
        try:
            subprocess.run(
                [*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(made)], check=True
            )
            install = ["pip", "install", "--quiet", "--python", str(made / "bin" / "python")]
            subprocess.run([*uv, *install, "--require-hashes", "-r", str(lock)], check=True)
            _become(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder / "bin" / "python"


def _become(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not folder.exists():  # else another process made it at the same time
            raise
