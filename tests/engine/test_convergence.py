"""From any spec to any other, with the world failing or the provider dying at any operation: what the state
holds stays within the two, and the next `up` makes the world exactly as the second spec says.

Thousands of cases over a machine in memory; the loader, compiler, servicer and kinds are the real ones.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedplate.cli.project import valid_projects
from bedplate.compiler import compile_project
from bedplate.engine.provider.kind import Kind
from bedplate.engine.provider.kinds.artifact import Artifact
from bedplate.engine.provider.kinds.service import Service
from bedplate.engine.provider.kinds.supervisor import Supervisor
from bedplate.graph import Graph
from bedplate.workspace import Workspace
from tests.e2e.project import multiplier
from tests.engine.fake_world import FakeMachine, ProviderDied
from tests.engine.small_engine import Broken, SmallEngine

CASES = 2_500  # in each of the four tests
MODELS, SERVICES = ("a", "b", "c"), ("s", "t", "u")
CONTENTS = [multiplier(factor) for factor in (1.0, 2.0, 3.0)]

models = st.dictionaries(st.sampled_from(MODELS), st.integers(0, 2), min_size=1)
service = st.fixed_dictionaries(
    {"replicas": st.integers(1, 3)},
    optional={"expose": st.just({"port": 10001}), "slo": st.just({"p95": "1s"})},
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A spec, and in `content` what each model file holds."""
    content = draw(models)
    names = draw(st.sets(st.sampled_from(SERVICES)))
    serving = {}
    ported = False
    for name in sorted(names):
        entry = dict(draw(service), model=draw(st.sampled_from(sorted(content))))
        if "expose" in entry and ported:
            del entry["expose"]  # one port for one service
        ported = ported or "expose" in entry
        serving[name] = entry
    return {"content": content, "serving": serving}


@dataclass
class Fleet:
    """A project over a machine in memory, with an engine for each of its stacks."""

    root: Path
    machine: FakeMachine = field(default_factory=FakeMachine)
    engines: dict[str, SmallEngine] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    def kinds(self) -> Mapping[str, Kind]:
        return {
            "bedplate:local:Supervisor": Supervisor(self.machine),
            "bedplate:local:Artifact": Artifact(),
            "bedplate:local:Service": Service(self.machine),
        }

    def compile(self, spec: Mapping[str, Any]) -> Mapping[str, Graph]:
        (self.root / "models").mkdir(exist_ok=True)
        for name, content in spec["content"].items():
            (self.root / "models" / f"{name}.onnx").write_bytes(CONTENTS[content])
        document = {
            "version": 1,
            "project": "fleet",
            "models": {name: {"path": f"models/{name}.onnx"} for name in spec["content"]},
            "serving": spec["serving"],
        }
        (self.root / "bedplate.yaml").write_text(json.dumps(document))  # which is YAML
        return compile_project(valid_projects(self.workspace)["local"]).graphs

    def up(self, graphs: Mapping[str, Graph], *, fails_at: tuple[str, int] | None = None) -> int:
        """Applies every stack in order; answers how many operations there were."""
        done = 0
        for section, graph in graphs.items():
            engine = self.engines.setdefault(section, SmallEngine(self.kinds(), self.workspace))
            engine.fails_at = fails_at[1] if fails_at and fails_at[0] == section else None
            engine.up(graph)
            done += len(engine.operations)
        return done

    def recover(self) -> None:
        self.machine.dies_at = None
        for engine in self.engines.values():
            engine.recover()

    def names(self) -> dict[str, set[str]]:
        return {
            section: {urn.rpartition("::")[2] for urn in engine.state}
            for section, engine in self.engines.items()
        }

    def world(self) -> dict[str, Any]:
        """What is really there: services with their models and workers, supervised programs, stored files."""
        world = self.workspace.world("local")
        folder = world.root / "services"
        services = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        masters = {name: self.machine.master(world, name) for name in services}
        store = {p.name for p in world.artifacts.glob("sha256-*")} if world.artifacts.is_dir() else set()
        return {
            "services": {
                name: (master.ready, master.workers_wanted, tuple(m.sha256 for m in master.models))
                for name, master in masters.items()
                if master
            },
            "dead": sorted(name for name, master in masters.items() if master is None),
            "programs": sorted(self.machine.programs(world)),
            "servers": len(self.machine.servers),
            "store": store,
        }


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """In memory where the system has such a folder: a case writes a dozen files."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="bedplate-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def expected(graphs: Mapping[str, Graph]) -> dict[str, Any]:
    services = {r.name: _served(r.properties) for r in graphs["serving"].resources}
    return {
        "services": services,
        "dead": [],
        "programs": sorted(services),
        "servers": len(services),
        "store": {f"sha256-{r.properties['sha256']}.onnx" for r in graphs["models"].resources},
    }


def _served(properties: Any) -> tuple[bool, int, tuple[str, ...]]:
    return True, properties["replicas"], tuple(model["sha256"] for model in properties["models"])


def within(fleet: Fleet, first: Mapping[str, Graph], second: Mapping[str, Graph]) -> None:
    for section, names in fleet.names().items():
        allowed = {r.name for graphs in (first, second) for r in graphs[section].resources}
        assert names <= allowed


def converges(fleet: Fleet, graphs: Mapping[str, Graph]) -> None:
    fleet.up(graphs)
    assert fleet.world() == expected(graphs)
    assert {s: n for s, n in fleet.names().items() if n} == {
        section: {r.name for r in graph.resources} for section, graph in graphs.items() if graph.resources
    }
    assert fleet.up(graphs) == 0


def fleet_in(scratch: Path) -> Fleet:
    return Fleet(Path(tempfile.mkdtemp(dir=scratch)))


cases = settings(
    max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@cases
@given(
    first=specs(), second=specs(), section=st.sampled_from(["base", "models", "serving"]), k=st.integers(1, 6)
)
def test_a_refused_operation(scratch: Path, first: Any, second: Any, section: str, k: int) -> None:
    fleet = fleet_in(scratch)
    before = fleet.compile(first)
    fleet.up(before)
    after = fleet.compile(second)
    try:
        fleet.up(after, fails_at=(section, k))
    except Broken:
        within(fleet, before, after)
    converges(fleet, after)


@cases
@given(first=specs(), second=specs(), k=st.integers(1, 25))
def test_a_provider_that_dies(scratch: Path, first: Any, second: Any, k: int) -> None:
    fleet = fleet_in(scratch)
    before = fleet.compile(first)
    fleet.up(before)
    after = fleet.compile(second)
    fleet.machine.dies_at = fleet.machine.acts + k
    try:
        fleet.up(after)
    except (Broken, ProviderDied):
        fleet.recover()
        within(fleet, before, after)
    fleet.machine.dies_at = None
    converges(fleet, after)


@cases
@given(first=specs(), second=specs(), k=st.integers(1, 25))
def test_a_provider_that_dies_in_the_first_up_and_the_spec_changes(
    scratch: Path, first: Any, second: Any, k: int
) -> None:
    fleet = fleet_in(scratch)
    before = fleet.compile(first)
    fleet.machine.dies_at = k
    try:
        fleet.up(before)
    except (Broken, ProviderDied):
        fleet.recover()
    fleet.machine.dies_at = None
    after = fleet.compile(second)
    within(fleet, before, after)
    converges(fleet, after)


@cases
@given(first=specs(), second=specs(), event=st.sampled_from(["supervisor", "reboot"]))
def test_a_world_that_loses_its_processes(scratch: Path, first: Any, second: Any, event: str) -> None:
    fleet = fleet_in(scratch)
    fleet.up(fleet.compile(first))
    if event == "supervisor":
        fleet.machine.lose_supervisor(fleet.workspace.world("local"))
    else:
        fleet.machine.lose_everything()
    after = fleet.compile(second)
    fleet.recover()
    converges(fleet, after)
