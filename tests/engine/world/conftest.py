"""Labs over the real machine and over the fake one; whatever a test leaves running is ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate.engine.world.local import LocalMachine
from tests.engine.fake_world import FakeMachine, as_machine
from tests.engine.world.lab import Lab


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[[str], Lab]]:
    """Makes labs over the real machine, in folders of the given names."""
    made: list[Lab] = []

    def make(folder: str = "flights") -> Lab:
        lab = Lab(tmp_path / folder, LocalMachine())
        made.append(lab)
        return lab

    yield make
    for lab in made:
        lab.end()
        shutil.rmtree(lab.world.runtime, ignore_errors=True)


@pytest.fixture
def lab(make_lab: Callable[[str], Lab]) -> Lab:
    return make_lab("flights")


@pytest.fixture
def fake_lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "fake", as_machine(FakeMachine()))
    yield lab
    shutil.rmtree(lab.world.runtime, ignore_errors=True)


@pytest.fixture(params=["fake", "real"])
def any_lab(request: pytest.FixtureRequest) -> Lab:
    """The same test over both machines: what the fake says must be what the real one does."""
    chosen: Lab = request.getfixturevalue("lab" if request.param == "real" else "fake_lab")
    return chosen
