"""A section divided among several stacks, and divided anew while it serves, with the real engine."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping

from tests.e2e.project import UserProject

FACTORS = {f"m{number}": float(number) for number in range(8)}


def write(project: UserProject, factors: Mapping[str, float] = FACTORS, served: int = 2) -> None:
    """Many models; some of them are served."""
    models = [f"  {name}: {{path: models/{name}.onnx}}" for name in factors]
    serving = [f"  {name}: {{replicas: 1}}" for name in list(factors)[:served]]
    serving = ["serving:", *serving] if serving else []
    project.write("\n".join(["version: 1", "project: flights", "models:", *models, *serving, ""]))
    for name, factor in factors.items():
        project.model(name, factor=factor)


def held(project: UserProject) -> Counter[str]:
    """The names of all resources in all stacks, each as often as it is there."""
    found: Counter[str] = Counter()
    for path in project.root.glob(".bedplate/state/.pulumi/stacks/*/local.json"):
        resources = json.loads(path.read_bytes())["checkpoint"]["latest"].get("resources", [])
        found.update(r["urn"].split("::", 2)[2] for r in resources if r["type"].startswith("bedplate:"))
    return found


def test_a_section_is_divided_anew_while_it_serves(project: UserProject) -> None:
    write(project)
    project.ok("up", "--yes")
    served = {p.pid for p in project.processes()}
    before = held(project)

    told = project.ok("shards", "models=3", "serving=2", "--yes")
    assert "10 moved" in told.out
    assert held(project) == before
    assert project.sections() == ["base", "models-0", "models-1", "models-2", "serving-0", "serving-1"]
    assert "no changes" in project.ok("up", "--yes").out
    assert served <= {p.pid for p in project.processes()}
    assert project.pulumi("serving-0", "preview", "--stack", "local", "--expect-no-changes").code == 0

    write(project, {**FACTORS, "m1": 10.0, "extra": 3.0}, served=3)
    applied = project.ok("up", "--yes").out
    assert "2 created" in applied
    assert project.ask(3.0, model="m1") == 30.0
    sizes = project.ok("shards", "--json").data["sections"]
    assert sizes["models"]["stacks"] == 3
    assert sizes["models"]["resources"] == 9

    project.ok("shards", "models=1", "serving=1", "--yes")
    assert project.sections() == ["base", "models", "serving"]
    assert "no changes" in project.ok("plan").out
    project.ok("destroy", "--yes")
    assert project.processes() == []


def test_a_division_that_nobody_moved_is_refused_before_anything_is_made_twice(project: UserProject) -> None:
    write(project, served=0)
    project.ok("up", "--yes")
    lock = project.root / "bedplate.lock"
    undivided = lock.read_text()
    lock.write_text(undivided + "shards:\n  local: {models: 2}\n")
    for command in (("plan",), ("up", "--yes")):
        refused = project.run(*command)
        assert refused.code == 4
        assert "bedplate shards models=2 --env local" in refused.err

    project.ok("shards", "models=2", "--yes")
    lock.write_text(undivided)
    shutil.rmtree(project.root / "stacks")  # as in a clone that has not pulled what another has divided
    refused = project.run("plan")
    assert refused.code == 4
    assert "8 resources lie elsewhere" in refused.err
    project.ok("destroy", "--yes")
    assert not held(project)


def test_a_division_that_was_cut_off_goes_on(project: UserProject) -> None:
    write(project, served=0)
    project.ok("up", "--yes")
    before = held(project)
    state = project.root / ".bedplate/state/.pulumi/stacks/flights-models/local.json"
    undivided = state.read_bytes()
    project.ok("shards", "models=2", "--yes")
    # The engine writes the target first: cut off just then, everything is in both.
    state.parent.mkdir(exist_ok=True)
    state.write_bytes(undivided)
    assert max(held(project).values()) == 2
    assert project.run("up", "--yes").code == 4
    project.ok("shards", "models=2", "--yes")
    assert held(project) == before

    process = project.start("shards", "models=4", "--yes")
    assert process.stdout is not None
    assert "->" in process.stdout.readline()
    process.kill()
    project.finish(process)
    project.ok("recover")
    project.ok("shards", "models=4", "--yes")
    assert held(project) == before
    assert "no changes" in project.ok("up", "--yes").out


def test_a_number_that_is_none_and_a_section_that_is_not_there_are_told(project: UserProject) -> None:
    write(project, served=0)
    for word, said in (
        ("modles=2", "did you mean 'models'?"),
        ("models=0", "N from 1 to 64"),
        ("models=many", "N from 1 to 64"),
        ("models", "N from 1 to 64"),
    ):
        refused = project.run("shards", word)
        assert refused.code == 2
        assert said in refused.err
    assert "  models   1       8          8" in project.ok("shards").out
