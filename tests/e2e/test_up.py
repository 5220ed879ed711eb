"""The joint: `up` serves a model, again it changes nothing, bare pulumi agrees, destroy leaves nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.project import SPEC, UserProject


def test_up_serves_and_is_idempotent_and_destroy_leaves_nothing(project: UserProject) -> None:
    first = project.ok("up", "--yes")
    assert "serving.delay" in first.out
    assert project.ask(3.0) == 6.0

    second = project.ok("up", "--yes")
    assert "no changes" in second.out

    for section in project.sections():
        seen = project.pulumi(section, "preview", "--stack", "local", "--expect-no-changes")
        assert seen.code == 0, seen.text
        again = project.pulumi(section, "up", "--yes", "--stack", "local", "--expect-no-changes")
        assert again.code == 0, again.text
    assert "no changes" in project.ok("up", "--yes").out
    assert project.run("plan", "--exit-code").code == 0
    # The engine writes its files whole or not at all, and no others.
    assert list((project.root / ".bedplate/state/.pulumi").rglob("*.attrs")) == []

    project.ok("destroy", "--yes")
    assert project.processes() == []
    left = {path.name for path in (project.root / ".bedplate" / "world").rglob("*") if path.is_file()}
    assert left == set()
    assert project.run("status").code == 0
    assert "nothing is applied" in project.ok("status").out


def test_a_new_model_replaces_the_old_without_a_new_address(project: UserProject) -> None:
    project.ok("up", "--yes")
    url = project.url()
    project.model(factor=5.0)
    plan = project.run("plan", "--exit-code", "--json")
    assert plan.code == 7
    changes = [change for stack in plan.data["stacks"] for change in stack["changes"]]
    assert {change["address"] for change in changes} == {"models.delay", "serving.delay"}
    assert all(field["reason"] for change in changes for field in change["fields"])
    project.ok("up", "--yes")
    assert project.url() == url
    assert project.ask(3.0) == 15.0
    project.ok("destroy", "--yes")


def test_a_bad_new_model_fails_the_up_and_leaves_the_old_serving(project: UserProject) -> None:
    project.ok("up", "--yes")
    project.unloadable_model()
    failed = project.run("up", "--yes")
    assert failed.code == 4
    assert "bedplate.yaml:" in failed.err
    assert project.ask(3.0) == 6.0
    assert project.run("status").code == 0
    project.model(factor=7.0)
    project.ok("up", "--yes")
    assert project.ask(3.0) == 21.0


def test_what_is_no_model_is_refused_before_anything_changes(project: UserProject) -> None:
    project.ok("up", "--yes")
    (project.root / "models" / "delay.onnx").write_bytes(b"not a model at all")
    refused = project.run("up", "--yes")
    assert refused.code == 1
    assert "BP209" in refused.err
    assert project.ask(3.0) == 6.0


def test_removing_an_entry_removes_its_service_and_nothing_else(project: UserProject) -> None:
    project.write(SPEC + "  second: {model: delay}\n")
    project.ok("up", "--yes")
    assert project.ask(3.0, model="delay") == 6.0
    project.write()
    plan = project.ok("plan")
    assert "delete" in plan.out
    assert "serving.second" in plan.out
    project.ok("up", "--yes")
    services = project.ok("status", "--json").data["services"]
    assert [service["address"] for service in services] == ["serving.delay"]


def test_a_section_taken_out_of_the_spec_is_taken_out_of_the_world(project: UserProject) -> None:
    project.ok("up", "--yes")
    project.write("version: 1\nproject: flights\nmodels: {delay: {path: models/delay.onnx}}\n")
    project.ok("up", "--yes")
    assert project.ok("status", "--json").data["services"] == []
    assert not [p for p in project.processes() if "supervisord" in " ".join(p.info["cmdline"] or ())]


def test_a_comment_in_the_spec_changes_nothing(project: UserProject) -> None:
    project.ok("up", "--yes")
    spec = project.root / "bedplate.yaml"
    spec.write_text("# a comment\n\n" + spec.read_text())
    assert "no changes" in project.ok("up", "--yes").out


def test_nothing_of_the_local_environment_is_for_committing(project: UserProject) -> None:
    project.ok("up", "--yes")
    ignored = (project.root / "stacks" / ".gitignore").read_text()
    assert "Pulumi.local.yaml" in ignored
    assert (project.root / ".bedplate" / ".gitignore").read_text().strip() == "*"
    assert "identity" in Path(project.root / "bedplate.lock").read_text()


@pytest.mark.parametrize("after_s", [0.25, 0.5, 1.0])
def test_an_up_that_is_interrupted_says_so_whatever_it_was_doing(
    project: UserProject, after_s: float
) -> None:
    process = project.start("up", "--yes")
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGINT)
    ended = project.finish(process)
    # Python ends by the signal where Ctrl-C came through an `exec`, as those of dataclasses: to a shell that is 130.
    assert ended.code in (130, -signal.SIGINT), ended.text
    assert "interrupted" in ended.err
    assert "Traceback" not in ended.err
    project.ok("up", "--yes")
    assert project.ask(3.0) == 6.0
    project.ok("destroy", "--yes")
