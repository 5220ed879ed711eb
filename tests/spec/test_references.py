"""The entries that a text names."""

from __future__ import annotations

import pytest

from bedplate.spec.references import named_entries


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("plain", []),
        ("${models.delay.version}", [("models", "delay")]),
        ("a${models.delay.slo.p95}b${serving.x.port}", [("models", "delay"), ("serving", "x")]),
        ("$${models.delay.version}", []),
        ("$$${models.delay.version}", []),
        ("${var.x} ${environment.name}", []),
        ("${models.delay.version", []),
        ("${}", []),
    ],
)
def test_named_entries(text: str, named: list[tuple[str, str]]) -> None:
    assert [*named_entries(text)] == named
