"""A real MLflow tracking server on loopback, with versions of a model in its registry.

`python -m tests.engine.mlflow_registry URI` publishes them; run so, as the client warns of its own doings.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.project import multiplier
from tests.ports import free_port

NAME = "flights-delay"
FACTORS = (2.0, 5.0)  # of versions 1 and 2
EMPTY = "3"  # the version without an ONNX file
STARTS_WITHIN_S = 120
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Registry:
    """A server that answers at `uri`."""

    uri: str

    def alias(self, alias: str, version: str) -> None:
        """Moves an alias of the model, as promoting does."""
        self._call("registered-models/alias", {"name": NAME, "alias": alias, "version": version})

    def _call(self, path: str, body: dict[str, str]) -> None:
        request = urllib.request.Request(
            f"{self.uri}/api/2.0/mlflow/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200


@contextmanager
def serving(folder: Path) -> Iterator[Registry]:
    """The server with all its processes, which are its process group; versions are published."""
    port = free_port()
    words = ["server", "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mlflow",
                *words,
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                "1",
            ],
            cwd=folder,
            env={**os.environ, **_SETTINGS},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        registry = Registry(f"http://127.0.0.1:{port}")
        _until_it_answers(registry, server, folder / "server.log")
        subprocess.run(
            [sys.executable, "-m", "tests.engine.mlflow_registry", registry.uri],
            env={**os.environ, **_SETTINGS},
            check=True,
            capture_output=True,
            timeout=STARTS_WITHIN_S,
        )
        yield registry
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def _until_it_answers(registry: Registry, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{registry.uri}/health", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def publish(uri: str) -> None:
    """Two versions of the model, and one that holds no ONNX file."""
    import mlflow
    import mlflow.onnx
    import onnx

    mlflow.set_tracking_uri(uri)
    for factor in FACTORS:
        with mlflow.start_run():
            model = onnx.load_from_string(multiplier(factor))
            mlflow.onnx.log_model(model, name="model", registered_model_name=NAME)
    with mlflow.start_run() as run:
        mlflow.log_text("nothing", "model/readme.txt")
    client = mlflow.MlflowClient()
    client.create_model_version(NAME, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(NAME, "champion", "1")


if __name__ == "__main__":
    publish(sys.argv[1])
