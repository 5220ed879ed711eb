"""A server's tests, as its configuration has them on every target."""

from __future__ import annotations

from bedplate.workloads import GoldenTest, ServedModel


def golden(test: GoldenTest) -> dict[str, str | float]:
    """One test. The model is named as requests name it."""
    name = test.model.name if isinstance(test.model, ServedModel) else test.model.key
    return {
        "model": name,
        "source": test.source,
        "request": test.request,
        "expect": test.expect,
        "tolerance": test.tolerance,
    }
