"""The provider dies at every step of creating, changing and removing; running again always converges.

A step is whatever touches the machine, or puts a file in its place or takes one away.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fake_world import FakeMachine, ProviderDied
from tests.engine.world.lab import Lab


def machine(lab: Lab) -> FakeMachine:
    assert isinstance(lab.machine, FakeMachine)
    return lab.machine


@contextmanager
def dying_at(lab: Lab, step: int, *, after: bool) -> Iterator[None]:
    """Ends the provider just before, or just after, its n-th step."""
    fake = machine(lab)
    fake.acts, fake.dies_at, fake.dies_after = 0, step, after

    def stepping(original: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            fake.acts += 1
            if fake.acts == step and not after:
                raise ProviderDied
            result = original(*arguments, **options)
            if fake.acts == step:
                raise ProviderDied
            return result

        return act

    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((os, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            patch.setattr(place, name, stepping(getattr(place, name)))
        yield
    fake.dies_at = None


def every_step(lab: Lab, do: Callable[[], object], check: Callable[[], None]) -> int:
    """Runs `do` dying at step 1, 2, ... each time followed by a whole run; gives how many steps there are."""
    step = 0
    while True:
        step += 1
        for after in (False, True):
            try:
                with dying_at(lab, step, after=after):
                    do()
            except ProviderDied:
                do()
                check()
            else:
                check()
                return step - 1


def test_creating(fake_lab: Lab) -> None:
    fake_lab.start()
    inputs = fake_lab.inputs(fake_lab.store(b"one"))

    def create() -> None:
        if "delay" in fake_lab.ids:
            fake_lab.remove()
            del fake_lab.ids["delay"]
        fake_lab.serve(inputs)

    def check() -> None:
        observed = fake_lab.read(inputs)
        assert observed is not None
        assert observed.inputs == inputs
        assert len(machine(fake_lab).servers) == 1
        assert len(fake_lab.machine.programs(fake_lab.world)) == 1

    assert every_step(fake_lab, create, check) > 8


def test_changing(fake_lab: Lab) -> None:
    fake_lab.start()
    models = [fake_lab.store(b"one", "one"), fake_lab.store(b"two", "two")]
    wanted = [fake_lab.inputs(models[0]), fake_lab.inputs(models[1], replicas=2)]
    fake_lab.serve(wanted[0])
    turn = 0

    def change() -> None:
        fake_lab.change(wanted[turn])

    def check() -> None:
        nonlocal turn
        observed = fake_lab.read(wanted[turn])
        assert observed is not None
        assert observed.inputs == wanted[turn]
        assert {path.name for path in fake_lab.world.service("delay").iterdir()} == {
            "server.json",
            "token.json",
        }
        turn = 1 - turn

    assert every_step(fake_lab, change, check) > 4


def test_removing(fake_lab: Lab) -> None:
    fake_lab.start()
    inputs = fake_lab.inputs(fake_lab.store(b"one"))
    fake_lab.serve(inputs)

    def check() -> None:
        assert fake_lab.read(inputs) is None
        assert machine(fake_lab).servers == {}
        assert not fake_lab.world.service("delay").exists()
        fake_lab.serve(inputs)

    assert every_step(fake_lab, fake_lab.remove, check) > 4


def test_the_supervisor(fake_lab: Lab) -> None:
    def again() -> None:
        if "supervisor" in fake_lab.ids:
            fake_lab.stop()
        fake_lab.start()

    def check() -> None:
        observed = fake_lab.read_supervisor()
        assert observed is not None
        assert fake_lab.machine.supervisor(fake_lab.world) == fake_lab.ids["supervisor"]

    assert every_step(fake_lab, again, check) > 4


def test_storing(fake_lab: Lab) -> None:
    contents = [b"one", b"two"]
    turn = 0

    def check() -> None:
        nonlocal turn
        found = list(fake_lab.world.artifacts.iterdir())
        assert {path.name for path in found} >= {"delay.json"}
        assert [path.read_bytes() for path in found if path.name.startswith("sha256-")] == [contents[turn]]
        turn = 1 - turn

    assert every_step(fake_lab, lambda: fake_lab.store(contents[turn]), check) > 3


def test_a_change_that_the_engine_never_heard_of_is_seen(fake_lab: Lab) -> None:
    """Killed before the engine wrote it down: what a refresh reports is the old, the new, or not clean."""
    fake_lab.start()
    sha256 = fake_lab.store(b"one")
    old, new = fake_lab.inputs(sha256, threads=1), fake_lab.inputs(sha256, threads=2)
    fake_lab.serve(old)
    seen = []
    for step in range(1, 100):
        try:
            with dying_at(fake_lab, step, after=True):
                fake_lab.change(new)
        except ProviderDied:
            observed = fake_lab.read(old)
            assert observed is not None
            threads = fake_lab.config()["threads"]
            if observed.inputs["state"] == "running":
                assert observed.inputs == (old if threads == 1 else new)
            seen.append((observed.inputs["state"], threads))
            fake_lab.change(old)
        else:
            break
    assert {("running", 1), ("inconsistent", 1), ("inconsistent", 2), ("running", 2)} == set(seen)
