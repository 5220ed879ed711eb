"""Graphs run by the real engine: what is registered, what is known, what stays as it is."""

from __future__ import annotations

from bedplate.graph import Ref
from tests.engine.project import ToyProject, toy

PREVIEW = ("preview", "--expect-no-changes")


def test_the_second_up_changes_nothing(project: ToyProject) -> None:
    project.write(toy("cat", size=3, parts=[{"name": "tail", "count": 1}]), toy("dog"))
    assert project.applied().changes() == {"create": 3}
    assert sorted(project.journal()) == ["create cat", "create dog"]
    assert project.applied().changes() == {}
    preview = project.operate(*PREVIEW)
    assert (preview.code, preview.changes()) == (0, {})
    assert project.journal() == []


def test_a_change_is_seen_by_property_and_applied_in_place(project: ToyProject) -> None:
    project.write(toy("cat", size=3, parts=[{"name": "tail"}, {"name": "ear", "count": 2}]))
    project.applied()
    before = project.state()["cat"]["id"]
    project.write(toy("cat", size=4, parts=[{"name": "tail"}, {"name": "ear", "count": 3}]))
    preview = project.operate("preview")
    step = next(
        e["resourcePreEvent"]["metadata"]
        for e in preview.events
        if "resourcePreEvent" in e and e["resourcePreEvent"]["metadata"]["op"] == "update"
    )
    assert set(step["detailedDiff"]) == {"size", "parts[1].count"}
    assert project.applied().changes() == {"update": 1}
    assert project.state()["cat"]["id"] == before
    assert project.journal() == ["create cat", "update cat"]


def test_a_property_that_cannot_change_replaces(project: ToyProject) -> None:
    project.write(toy("cat", shape="round"))
    project.applied()
    project.write(toy("cat", shape="long"))
    assert project.applied().changes()["replace"] == 1
    assert project.journal() == ["create cat", "create cat", "delete cat"]
    assert len(list(project.world.glob("cat@*.json"))) == 1


def test_references_are_unknown_in_a_preview_and_then_known(project: ToyProject) -> None:
    project.write(
        toy("cat"),
        toy("dog", from_=Ref("cat", "address"), key={"token": Ref("cat", "token"), "id": Ref("cat", "id")}),
        outputs={"where": Ref("dog", "address"), "urn": Ref("dog", "urn")},
    )
    preview = project.operate("preview")
    assert preview.code == 0, preview.text
    planned = next(
        e["resourcePreEvent"]["metadata"]["new"]["inputs"]
        for e in preview.events
        if "resourcePreEvent" in e and e["resourcePreEvent"]["metadata"]["urn"].endswith("::dog")
    )
    assert planned["from"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's sign for unknown
    assert project.journal() == []
    project.applied()
    dog = project.state()["dog"]
    assert dog["inputs"]["from"] == "toy://cat"
    assert dog["inputs"]["key"]["id"] == project.state()["cat"]["id"]
    cat = project.state()["cat"]["urn"]
    assert dog["dependencies"] == [cat]
    assert dog["propertyDependencies"] == {"from": [cat], "key": [cat], "label": []}
    assert project.outputs() == {"where": "toy://dog", "urn": dog["urn"]}
    assert project.operate(*PREVIEW).code == 0


def test_a_secret_output_stays_secret_wherever_it_goes(project: ToyProject) -> None:
    project.write(
        toy("cat"), toy("dog", key={"token": Ref("cat", "token")}), outputs={"token": Ref("cat", "token")}
    )
    ran = project.applied()
    assert project.outputs() == {"token": "[secret]"}
    assert project.outputs("--show-secrets") == {"token": "token-of-cat"}
    assert "token-of-cat" not in ran.text
    assert "token-of-cat" not in (project.root / "events-toys").read_text()
    assert "token-of-cat" not in str(project.state())


def test_a_reference_to_an_output_that_is_not_there_fails_with_its_place(project: ToyProject) -> None:
    project.write(toy("cat"), toy("dog", from_=Ref("cat", "colour")))
    ran = project.up()
    assert ran.code != 0
    assert "bedplate.yaml:10:3: toys.cat: cat has no output 'colour'" in ran.text
    assert "Traceback" not in ran.text


def test_dependents_come_after_and_go_before(project: ToyProject) -> None:
    project.write(
        toy("a", options={"depends_on": ("c",)}), toy("b", options={"depends_on": ("a",)}), toy("c")
    )
    project.applied()
    assert project.journal() == ["create c", "create a", "create b"]
    assert project.operate("destroy", "--yes").code == 0
    assert project.journal() == ["delete b", "delete a", "delete c"]


def test_a_renamed_resource_is_the_same_one(project: ToyProject) -> None:
    project.write(toy("cat", label="tom"))
    project.applied()
    before = project.state()["cat"]["id"]
    project.journal()
    project.write(toy("tiger", label="tom", options={"aliases": ("cat",)}))
    assert project.applied().changes() == {}
    state = project.state()
    assert state["tiger"]["id"] == before
    assert "cat" not in state
    assert project.journal() == []


def test_a_protected_resource_is_not_deleted_until_it_is_unprotected(project: ToyProject) -> None:
    project.write(toy("cat", options={"protect": True}), toy("dog"))
    project.applied()
    project.write(toy("dog"))
    refused = project.up()
    assert refused.code != 0
    assert "protect" in refused.text
    assert "cat" in project.state()
    project.write(toy("cat"), toy("dog"))
    project.applied()
    project.write(toy("dog"))
    assert project.applied().changes() == {"delete": 1}


def test_ignored_properties_stay_as_they_are(project: ToyProject) -> None:
    project.write(toy("cat", size=1))
    project.applied()
    project.write(toy("cat", size=2, options={"ignore_changes": ("size",)}))
    assert project.applied().changes() == {}
    assert project.state()["cat"]["inputs"]["size"] == 1


def test_an_existing_object_is_adopted_by_its_id(project: ToyProject) -> None:
    content = '{"inputs": {"label": "stray", "size": 7}, "outputs": {"address": "toy://stray"}}'
    (project.world / "stray@1.json").write_text(content)
    stray = toy("stray", size=7, options={"import_id": "stray@1"})
    project.write(stray)
    assert project.applied().changes() == {"create": 1, "import": 1}
    assert project.state()["stray"]["id"] == "stray@1"
    assert project.journal() == []
    assert project.applied().changes() == {}


def test_stack_outputs_are_of_the_last_success(project: ToyProject) -> None:
    project.write(toy("cat"), outputs={"version": "1"})
    project.applied()
    project.switch("fail-dog", "no dogs")
    project.write(toy("cat"), toy("dog"), outputs={"version": "2"})
    assert project.up().code != 0
    assert project.outputs() == {"version": "1"}


def test_what_does_not_depend_on_a_failure_goes_on_where_asked(project: ToyProject) -> None:
    project.switch("fail-b", "no")
    project.write(toy("a"), toy("b"), toy("c", from_=Ref("b", "address")), toy("d"))
    assert project.up("--continue-on-error").code != 0
    assert sorted(project.journal()) == ["create a", "create d"]
    (project.world / "fail-b").unlink()
    assert project.applied().changes() == {"create": 2}


def test_the_spec_line_is_in_the_state_without_the_machine_s_paths(project: ToyProject) -> None:
    project.write(toy("cat"))
    project.applied()
    assert project.state()["cat"]["sourcePosition"] == "project:///../../bedplate.yaml#10,3"
    checkpoint = project.workspace.state / ".pulumi" / "stacks" / "zoo-toys" / "local.json"
    assert str(project.root) not in checkpoint.read_text()


def test_the_state_names_no_version_of_ours(project: ToyProject) -> None:
    """An older version in the state would keep an upgraded bedplate from refreshing and destroying."""
    project.write(toy("cat"))
    project.applied()
    assert "version" not in project.state()["default"].get("inputs", {})
