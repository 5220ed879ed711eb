"""Merges what one section gives another, so that each fact has one home."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bedplate.workloads import ModelRef, ModelVersion, ServedModel, Service, Workload, Yielded


def link(yielded: Mapping[str, Iterable[Yielded]]) -> dict[str, tuple[Workload, ...]]:
    """Each section's workloads, with every contribution put where it belongs.

    Raises KeyError for a reference that `check` should have refused: a bug, not an input error.
    """
    everything = {section: tuple(items) for section, items in yielded.items()}
    versions = {
        item.key: item.served
        for items in everything.values()
        for item in items
        if isinstance(item, ModelVersion)
    }
    return {
        section: tuple(_linked(item, versions) for item in items if not isinstance(item, ModelVersion))
        for section, items in everything.items()
    }


def givers(yielded: Mapping[str, Iterable[Yielded]]) -> dict[str, tuple[str, ...]]:
    """For the address of each workload, those of the entries whose contributions `link` gives it."""
    everything = {section: tuple(items) for section, items in yielded.items()}
    homes = {
        item.key: f"{section}.{item.key}"
        for section, items in everything.items()
        for item in items
        if isinstance(item, ModelVersion)
    }
    return {
        item.address: tuple(homes[m.key] for m in item.models if isinstance(m, ModelRef))
        for items in everything.values()
        for item in items
        if isinstance(item, Service)
    }


def _linked(workload: Workload, versions: Mapping[str, ServedModel]) -> Workload:
    if not isinstance(workload, Service):
        return workload
    models = tuple(versions[m.key] if isinstance(m, ModelRef) else m for m in workload.models)
    tests = tuple(
        replace(test, model=versions[test.model.key]) if isinstance(test.model, ModelRef) else test
        for test in workload.tests
    )
    return replace(workload, models=models, tests=tests)
