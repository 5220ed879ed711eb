"""A state that an older bedplate made: looked at, planned over, updated and destroyed by this one."""

from __future__ import annotations

import json
from typing import Any

from bedplate.version import __version__
from tests.e2e.faults import assert_as_specified, assert_no_drift, assert_nothing_left, with_site
from tests.e2e.project import UserProject

OLDER = with_site(BEDPLATE_PRETEND_VERSION="0.0.9")


def versions(project: UserProject) -> set[str]:
    """Which bedplate wrote the records."""
    records = (project.root / ".bedplate/state/bedplate/records").glob("*/local.json")
    return {json.loads(path.read_bytes())["versions"]["bedplate"] for path in records}


def resources(project: UserProject) -> dict[str, Any]:
    """What the states know of every resource: who made it, what it was given, what it gave."""
    found = {}
    for path in (project.root / ".bedplate/state/.pulumi/stacks").glob("*/local.json"):
        for resource in json.loads(path.read_bytes())["checkpoint"]["latest"]["resources"]:
            facts = (resource.get(key) for key in ("id", "provider", "inputs", "outputs"))
            found[resource["urn"]] = tuple(facts)
    return found


def test_the_state_of_an_older_bedplate_is_taken_on(project: UserProject) -> None:
    project.ok("up", "--yes", env=OLDER)
    assert versions(project) == {"0.0.9"}
    before = resources(project)
    assert "0.0.9" not in json.dumps(before)
    assert "nothing drifted" in project.ok("refresh").out
    assert project.run("plan", "--exit-code").code == 0
    assert "no changes" in project.ok("up", "--yes").out
    assert versions(project) == {__version__}
    assert resources(project) == before
    assert_no_drift(project)
    project.model(factor=3.0)
    project.ok("up", "--yes")
    assert_as_specified(project, {"delay": 3.0})


def test_the_state_of_an_older_bedplate_is_destroyed(project: UserProject) -> None:
    project.ok("up", "--yes", env=OLDER)
    project.ok("destroy", "--yes")
    assert_nothing_left(project)
