"""An entry whose key has changed and whose `name` is the old one is the same thing, under its new address."""

from __future__ import annotations

from tests.e2e.project import SPEC, UserProject

RENAMED = SPEC.replace("serving:\n  delay:\n", "serving:\n  late:\n    name: delay\n    model: delay\n")


def test_every_verb_knows_an_entry_by_its_address(project: UserProject) -> None:
    project.ok("up", "--yes")
    url = project.url("serving.delay")

    project.write(RENAMED)
    assert project.run("plan", "--exit-code").code == 0  # a key that changed replaces nothing
    again = project.ok("up", "--yes")
    assert f"serving.late  {url}" in again.out
    status = project.ok("status")
    assert f"serving.late  running  {url}" in status.out
    assert "bedplate logs serving.late" in status.out
    assert project.url("serving.late") == url
    assert project.ask(3.0, url=url) == 6.0

    assert "nothing has been logged" in project.ok("logs", "serving.late").err
    former = project.run("logs", "serving.delay")
    assert former.code == 2
    assert "there is no log of 'serving.delay'" in former.err
    assert "serving.late" in former.err

    project.write(RENAMED.replace("replicas: 1", "replicas: 2"))
    (change,) = project.run("plan", "--json").data["stacks"][-1]["changes"]
    assert (change["address"], change["action"]) == ("serving.late", "update")
    project.ok("refresh")
    project.ok("destroy", "--yes")
    assert project.processes() == []
