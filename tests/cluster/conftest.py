"""One control plane for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.control_plane import Cluster, control_plane


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with control_plane(tmp_path_factory.mktemp("cluster")) as found:
        yield found
