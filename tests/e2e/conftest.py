"""Projects for tests that go the whole way: command line, real engine, real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.project import UserProject

pytest.register_assert_rewrite("tests.e2e.faults")


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[Callable[..., UserProject]]:
    """Makes projects with a spec and a model; whatever still runs at the end of the test is ended."""
    made: list[UserProject] = []

    def make(folder: str = "flights", spec: str | None = None) -> UserProject:
        project = UserProject(tmp_path / folder)
        made.append(project)
        project.write(*([spec] if spec else []))
        project.model()
        return project

    yield make
    for project in made:
        project.end()


@pytest.fixture
def project(make_project: Callable[..., UserProject]) -> UserProject:
    return make_project()
