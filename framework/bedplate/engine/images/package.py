"""bedplate itself as a wheel, made of the package that runs: from a checkout, an editable install or a wheel alike.

A build of its own would need its build tools and their network; and what an image serves with would not be what was
tested here. The data of compiler and commands is left out, as a server reads none of it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bedplate.errors import EngineError
from bedplate.version import __version__

NAME = "bedplate"
_ROOT = Path(__file__).parents[2]
_LEFT_OUT = ("__pycache__", "_data")
_WHEEL = "Wheel-Version: 1.0\nGenerator: bedplate\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(epoch: int) -> tuple[str, bytes]:
    """Its file name and its bytes, every file of it from `epoch`. Raises EngineError."""
    info = f"{NAME}-{__version__}.dist-info"
    contents = dict(_package())
    contents[f"{info}/METADATA"] = _metadata().encode()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return f"{NAME}-{__version__}-py3-none-any.whl", _zipped(contents, epoch)


def _package() -> Iterator[tuple[str, bytes]]:
    for path in sorted(_ROOT.rglob("*")):
        parts = path.relative_to(_ROOT).parts
        if path.is_file() and not any(part in _LEFT_OUT or part.startswith(".") for part in parts):
            yield "/".join((NAME, *parts)), path.read_bytes()


def _metadata() -> str:
    """What it is and needs, as its installation says; the rest of that is its build tools' and would vary."""
    try:
        found = distribution(NAME).metadata
    except PackageNotFoundError as error:
        raise EngineError(
            "bedplate is not installed, but only lies on Python's path", hint="pip install ."
        ) from error
    if found["Version"] != __version__:
        raise EngineError(
            f"bedplate {found['Version']} is installed, and {__version__} runs",
            hint="install the one that runs",
        )
    lines = ["Metadata-Version: 2.1", f"Name: {NAME}", f"Version: {__version__}"]
    for key in ("Requires-Python", "Provides-Extra", "Requires-Dist"):
        lines += sorted(f"{key}: {value}" for value in found.get_all(key, ()))
    return "\n".join(lines) + "\n"


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zipped(contents: dict[str, bytes], epoch: int) -> bytes:
    """Stored, not deflated: another zlib would give other bytes."""
    moment = time.gmtime(max(epoch, 315_532_800))[:6]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, moment)
            entry.external_attr = 0o100644 << 16
            file.writestr(entry, data)
    return archive.getvalue()
