"""One control plane for all tests of a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.cluster.control_plane import Cluster, control_plane, programs


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if shutil.which("go") is None and not programs().exists():
        pytest.skip("there is no Go here to build a control plane with")
    with control_plane(tmp_path_factory.mktemp("cluster")) as found:
        yield found
