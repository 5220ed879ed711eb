"""Options that every test can see."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain
from uuid import uuid4

import pytest

from tests.s3 import Bucket, client
from tests.spec.mutation import tally


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the golden files of tests/cases anew")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server on a port of its own."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # which tells of every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """An empty bucket."""
    made = Bucket(f"states-{uuid4().hex[:12]}", s3_endpoint, client("s3", s3_endpoint))
    made.client.create_bucket(Bucket=made.name)
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the mutation suite, if it was run."""
    reports = chain.from_iterable(terminalreporter.stats.values())
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    lines = list(tally.summary(chain.from_iterable(report.user_properties for report in calls)))
    if lines:
        terminalreporter.section("mutations of every field of the grammar")
    for line in lines:
        terminalreporter.line(line)
