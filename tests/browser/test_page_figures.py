"""What the page's scripts make of figures, asked in the page itself."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from tests.browser.page import HOSTILE
from tests.browser.tab import Tab
from tests.runtime.server.served import Server


def module(tab: Tab, name: str, script: str, *given: object) -> Any:
    """What a function says of a module of the page and what it is given."""
    return tab.ask(f"async (...given) => ({script})(await import('/page/{name}.js'), ...given)", *given)


def test_counts_are_those_that_prometheus_writes(tab: Tab, server: Server) -> None:
    tab.open(server.url + "/")
    registry = CollectorRegistry()
    requests = Counter("bedplate_requests", "x", ["model", "version", "code", "outcome"], registry=registry)
    durations = Histogram(
        "bedplate_request_duration_seconds", "x", ["model", "version"], buckets=[0.1, 1], registry=registry
    )
    for code, times in (("200", 3), ("404", 2), ("503", 1)):
        requests.labels(HOSTILE, "1", code, "any").inc(times)
    durations.labels(HOSTILE, "1").observe(0.5)
    script = """(module, page, name) => {
      const found = module.counts(page).get(module.pairOf(name, "1"));
      return {...found, within: [...found.within]};
    }"""
    found = module(tab, "figures", script, generate_latest(registry).decode(), HOSTILE)
    assert found == {"all": 6, "refused": 2, "failed": 1, "within": [[0.1, 0], [1, 1], [None, 1]]}


@pytest.mark.parametrize(
    ("share", "within", "text"),
    [
        (0.5, [[0.001, 0], [0.01, 10], ["inf", 10]], "5.5 ms"),
        (0.95, [[0.001, 0], [0.01, 10], [0.1, 20], ["inf", 20]], "91 ms"),
        (0.95, [[0.001, 19], [0.01, 20], ["inf", 20]], "< 1 ms"),
        (0.95, [[0.001, 1], [10, 2], ["inf", 40]], "> 10 s"),
        (0.95, [[0.001, 0], [10, 0], ["inf", 0]], "–"),
        (0.5, [[1, 0], [2.5, 1], ["inf", 1]], "1.8 s"),
    ],
)
def test_a_quantile_lies_between_its_edges(
    tab: Tab, server: Server, share: float, within: list[list[object]], text: str
) -> None:
    script = (
        "(m, q, within) => m.quantile(q, new Map(within.map(([a, b]) => [a === 'inf' ? Infinity : a, b])))"
    )
    tab.open(server.url + "/")
    assert module(tab, "figures", script, share, within) == text


@pytest.mark.parametrize(
    ("some", "every", "text"),
    [
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (99_999, 100_000, "99.99 %"),
        (1, 3, "33 %"),
        (1, 10**6, "0.0001 %"),
        (0, 0, "–"),
    ],
)
def test_nearly_all_is_not_all(tab: Tab, server: Server, some: int, every: int, text: str) -> None:
    tab.open(server.url + "/")
    assert module(tab, "figures", "(m, some, all) => m.percent(some, all)", some, every) == text


def test_the_objective_is_met_or_missed(tab: Tab, server: Server) -> None:
    script = "(m, n) => m.objective(0.123, {within: new Map([[0.123, n], [Infinity, 100]])})"
    tab.open(server.url + "/")
    met = module(tab, "figures", script, 95)
    assert met == {"met": True, "text": "Objective: 95 % within 123 ms; 95 % since the start, met."}
    assert module(tab, "figures", script, 94)["met"] is False
