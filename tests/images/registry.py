"""A real registry on this machine, for as long as a test pushes to it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bedplate.engine.install import cache_folder
from tests.ports import free_port

WITHIN_S = 30
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Its host and port."""
    unpacked = cache_folder().parent / "images" / "registry" / "usr" / "bin" / "docker-registry"
    program = shutil.which("docker-registry") or unpacked
    assert Path(program).exists(), "there is no registry here: run tests/images/install"
    host = f"127.0.0.1:{free_port()}"
    told = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": host},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registry.yml").write_text(json.dumps(told))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", folder / "registry.yml"], stdout=log, stderr=log)
    try:
        _await(f"http://{host}/v2/")
        yield host
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def manifest(host: str, name: str, reference: str) -> dict[str, Any]:
    """What the registry has under a tag or digest."""
    request = urllib.request.Request(
        f"http://{host}/v2/{name}/manifests/{reference}", headers={"Accept": MANIFEST}
    )
    with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _await(url: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=WITHIN_S).close()
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"nobody answers at {url}"
            time.sleep(0.05)
        else:
            return
