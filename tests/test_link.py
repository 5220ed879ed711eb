"""What one section gives another."""

from __future__ import annotations

import pytest

from bedplate.link import givers, link
from bedplate.workloads import Artifact, ModelRef, ModelVersion, ServedModel, Service, Yielded

SERVED = ServedModel("delay", "1", "ab")
YIELDED: dict[str, tuple[Yielded, ...]] = {
    "models": (Artifact("models.delay", "delay", "ab", 1), ModelVersion("delay", SERVED)),
    "serving": (
        Service("serving.delay", "delay", (ModelRef("delay"),)),
        Service("serving.done", "done", (SERVED,)),
    ),
}


def test_a_version_is_put_where_its_model_is_named() -> None:
    linked = link(YIELDED)
    (service, _) = linked["serving"]
    assert isinstance(service, Service)
    assert service.models == (SERVED,)
    assert linked["models"] == (YIELDED["models"][0],)


def test_who_gives_what_is_known_by_address() -> None:
    assert givers(YIELDED) == {"serving.delay": ("models.delay",), "serving.done": ()}


def test_a_model_that_nobody_yields_is_a_bug() -> None:
    with pytest.raises(KeyError):
        link({"serving": YIELDED["serving"]})
