"""What `protect` lists is neither deleted nor replaced, by any verb, until a spec without it was applied."""

from __future__ import annotations

from tests.e2e.project import SPEC, UserProject

PROTECTED = SPEC + "environments: {local: {target: local, protect: [serving.delay]}}\n"
WITHOUT = SPEC.partition("serving:")[0]
RENAMED = PROTECTED.replace("    replicas: 1", "    name: other\n    replicas: 1")


def test_a_protected_entry_goes_only_after_its_protection(project: UserProject) -> None:
    project.write(PROTECTED)
    project.ok("up", "--yes")
    for spec, words in (
        (RENAMED, ("plan",)),
        (WITHOUT, ("plan",)),  # the state protects what the spec does not name any more
        (WITHOUT, ("up", "--yes")),
        (PROTECTED, ("destroy", "--yes")),
    ):
        project.write(spec)
        refused = project.run(*words)
        assert (refused.code, refused.out.strip()) == (1, ""), refused.text
        assert "protected" in refused.err
        assert "serving.delay" in refused.err
        assert "take the protection out of the spec" in refused.err
        assert "pulumi state" not in refused.err
    assert project.ask(3.0) == 6.0

    project.write(SPEC)
    plan = project.ok("plan")
    assert "protect: true -> false" in plan.out
    project.ok("up", "--yes")
    project.write(WITHOUT)
    assert "- delete   service serving.delay" in project.ok("plan").out
    project.ok("up", "--yes")
    assert project.processes() == []


def test_a_renamed_model_is_shown_as_one_that_goes_and_one_that_comes(project: UserProject) -> None:
    project.ok("up", "--yes")
    project.write(
        SPEC.replace("  delay:\n    path", "  late:\n    path").replace("replicas: 1", "model: late")
    )
    changes = [c for stack in project.run("plan", "--json").data["stacks"] for c in stack["changes"]]

    assert {(c["action"], c["address"]) for c in changes} == {
        ("create", "models.late"),
        ("delete", "models.delay"),
        ("update", "serving.delay"),
    }
    project.ok("destroy", "--yes")
