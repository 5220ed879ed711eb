from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from tests.runtime.server import served_models as models
from tests.runtime.server.served import Server, config, entry


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, models.Written]:
    """Every model of the tests, on disk."""
    folder = tmp_path_factory.mktemp("zoo")
    made = {
        "classifier": models.classifier(),
        "classifier2": models.classifier(bias=1000.0),
        "pair": models.pair(),
        "text": models.echo(TensorProto.STRING),
        "double": models.echo(TensorProto.DOUBLE),
        "truth": models.echo(TensorProto.BOOL),
        "byte": models.echo(TensorProto.INT8),
        "long": models.echo(TensorProto.UINT64),
        "half": models.echo(TensorProto.FLOAT16),
        "halved": models.cast(TensorProto.FLOAT, TensorProto.FLOAT16),
        "reciprocal": models.reciprocal(),
        "lookup": models.lookup(),
        "positions": models.positions(),
        "slow": models.slow(),
        "counting": models.counting(),
        "grid": models.grid(),
    }
    return {name: models.write(folder / f"{name}.onnx", made[name]) for name in made}


@pytest.fixture
def serve(tmp_path: Path, zoo: dict[str, models.Written]) -> Iterator[Callable[..., Server]]:
    """Makes servers (not started yet) and ends them after the test."""
    made: list[Server] = []

    def make(*names: str, **changes: Any) -> Server:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        entries = changes.pop("models", None) or [entry(name, zoo[name]) for name in names or ("classifier",)]
        made.append(Server(folder, config(entries, **changes)))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, zoo: dict[str, models.Written]) -> Iterator[Server]:
    """One server of all models, for tests that only ask."""
    entries = [entry(name, written) for name, written in zoo.items() if name != "classifier2"]
    entries.append(entry("classifier", zoo["classifier2"], version="2"))
    server = Server(tmp_path_factory.mktemp("shared"), config(entries, slo_p95_s=0.123))
    try:
        yield server.started()
        assert server.status()["restarts"] == 0, "a request ended a worker"
    finally:
        server.stop()
