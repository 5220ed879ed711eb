"""The real engine, and a project of toys for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.engine.install import find_engine
from tests.engine.project import ToyProject, await_


@pytest.fixture(scope="session")
def engine() -> Path:
    return find_engine().path


@pytest.fixture
def project(engine: Path, tmp_path: Path) -> Iterator[ToyProject]:
    made = ToyProject(engine, tmp_path)
    yield made
    await_(lambda: not made.plugins(), "the plugins have ended")
