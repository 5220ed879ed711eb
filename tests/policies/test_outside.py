"""Policies are files of the project: what a link brings in from elsewhere is neither read nor run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.policies.team import load

RUNS = (
    "from pathlib import Path\nPath({}).write_text('it ran')\nCODE = 'ACME001'\ndef check(r, e): return []\n"
)


@pytest.mark.parametrize("linked", ["policies", "policies/rule.py"])
def test_code_outside_of_the_project_does_not_run(linked: str, tmp_path: Path) -> None:
    project, elsewhere, trace = tmp_path / "project", tmp_path / "elsewhere", tmp_path / "trace"
    (elsewhere / "policies").mkdir(parents=True)
    (elsewhere / "policies" / "rule.py").write_text(RUNS.format(repr(str(trace))))
    (project / linked).parent.mkdir(parents=True)
    (project / linked).symlink_to(elsewhere / linked)

    found, problems = load(project, "policies")

    assert (found, trace.exists()) == ((), False)
    assert [told.message for told in problems] == [
        "policies leads outside the project"
        if linked == "policies"
        else "policies/rule.py leads outside the project"
    ]


def test_a_link_inside_of_the_project_is_followed(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "rule.py").write_text(RUNS.format(repr(str(tmp_path / "trace"))))
    (tmp_path / "policies").symlink_to("shared")

    found, problems = load(tmp_path, "policies")

    assert ([policy.code for policy in found], problems) == (["ACME001"], ())
