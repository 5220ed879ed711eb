"""Options that every test can see."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.spec.mutation import tally


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the golden files of tests/cases anew")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the mutation suite, if it was run."""
    reports = chain.from_iterable(terminalreporter.stats.values())
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    lines = list(tally.summary(chain.from_iterable(report.user_properties for report in calls)))
    if lines:
        terminalreporter.section("mutations of every field of the grammar")
    for line in lines:
        terminalreporter.line(line)
