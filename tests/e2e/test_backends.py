"""A state that the spec keeps elsewhere than in the project, with the real engine."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.project import SPEC, UserProject


def test_a_state_in_a_folder_takes_the_team_s_passphrase(project: UserProject, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    spec = SPEC + f'environments:\n  local: {{target: local, state: {{backend: "{shared.as_uri()}"}}}}\n'
    project.write(spec)
    project.environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    refused = project.run("up", "--yes")
    assert refused.code == 4
    assert "PULUMI_CONFIG_PASSPHRASE" in refused.err

    project.environment["PULUMI_CONFIG_PASSPHRASE"] = "correct horse battery staple"
    project.ok("up", "--yes")
    assert project.ask() == 6.0
    assert (shared / ".pulumi/stacks/flights-serving/local.json").is_file()
    assert not (project.root / ".bedplate/state/.pulumi").exists()
    assert "no changes" in project.ok("up", "--yes").out
    assert project.pulumi("serving", "preview", "--stack", "local", "--expect-no-changes").code == 0

    project.write()
    left = project.run("plan")
    assert left.code == 4
    assert "lies in file:" in left.err
    project.write(spec)
    project.ok("destroy", "--yes")
    assert project.processes() == []
    assert not any("correct horse" in said for said in project.said)
