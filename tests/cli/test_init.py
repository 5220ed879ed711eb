"""`init` as a user calls it: what it writes, what it asks, what it refuses and leaves as it was."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from bedplate import templates
from bedplate.cli import run
from bedplate.spec.names import is_plain_name

MINIMAL = [
    ".gitignore", "README.md", "bedplate.yaml", "models/iris.onnx", "tests/setosa.json", "tests/setosa.out.json",
]  # fmt: skip


def init(folder: Path, *words: str) -> int:
    return run(["-C", str(folder), "init", *words])


def written(folder: Path) -> list[str]:
    """Without what every command leaves for editors."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith(".bedplate/"))


@pytest.mark.parametrize("template", templates.TEMPLATES)
def test_a_template_becomes_a_valid_project(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, template, "flowers") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"flowers, made from the template {template}:\n")
    listed = [line.strip() for line in said.partition("\n\n")[0].splitlines()[1:]]
    assert listed == written(tmp_path / "flowers")
    assert "  bedplate up " in said
    assert run(["-C", str(tmp_path / "flowers"), "validate"]) == 0
    assert capsys.readouterr().err == ""
    assert run(["-C", str(tmp_path / "flowers"), "compile"]) == 0


def test_without_words_it_is_the_minimal_one_in_this_folder(tmp_path: Path) -> None:
    folder = tmp_path / "My Models (2)"
    folder.mkdir()
    assert init(folder) == 0
    assert written(folder) == MINIMAL
    assert yaml.safe_load((folder / "bedplate.yaml").read_text())["project"] == "my-models-2"


def test_the_first_line_of_the_spec_leads_an_editor_to_the_schema(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    first = (tmp_path / "bedplate.yaml").read_text().splitlines()[0]
    assert json.loads((tmp_path / first.partition("$schema=")[2]).read_text())["type"] == "object"


@pytest.mark.parametrize("template", templates.TEMPLATES)
def test_nothing_of_a_template_is_left_unfilled(template: str) -> None:
    for name, content in templates.files(template, "my_flowers").items():
        assert not name.endswith(".j2")
        if not name.endswith(".onnx"):
            assert not re.search(r"\{\{|\{%", content.decode().replace("${{", "")), name
            assert content.endswith(b"\n"), name
            assert not content.startswith(b"\n"), name


def test_a_name_with_an_underscore_is_none_of_the_cluster(tmp_path: Path) -> None:
    spec = yaml.safe_load(templates.files("service", "my_flowers_")["bedplate.yaml"])
    assert spec["project"] == "my_flowers_"
    assert spec["environments"]["staging"]["kubernetes"]["namespace"] == "my-flowers"
    templates.write(tmp_path, templates.files("service", "a" * 39 + "_"))
    assert run(["-C", str(tmp_path), "validate"]) == 0


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("flights", "flights"),
        ("Flights", "flights"),
        ("my models", "my-models"),
        ("2024-fraud_v2", "fraud_v2"),
        ("x-ray", "ray"),
        ("x-x-ray", "ray"),
        ("Über Preise", "uber-preise"),
        ("a.b..c", "a-b-c"),
        ("z" * 60, "z" * 40),
        ("y" * 39 + "--" + "y", "y" * 39),
        ("日本", "project"),
        ("123", "project"),
        ("true", "project"),
        ("null", "project"),
        ("", "project"),
    ],
)
def test_a_name_is_made_from_that_of_the_folder(folder: str, name: str) -> None:
    assert templates.name_from(folder) == name
    assert is_plain_name(name)


def test_the_name_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "minimal", "a", "--name", "flights") == 0
    assert "project: flights\n" in (tmp_path / "a" / "bedplate.yaml").read_text()
    capsys.readouterr()
    for wrong in ("Flights", "x-ray", "a" * 41, "", "true", "a\nb: c", "{{ 7 * 7 }}"):
        assert init(tmp_path, "minimal", "b", "--name", wrong) == 2
        said = capsys.readouterr().err
        assert "is no name for a project" in said
        assert "a lower-case letter" in said
    assert not (tmp_path / "b").exists()


def test_the_answer_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "minimal", "flowers", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "template": "minimal",
        "project": "flowers",
        "folder": str(tmp_path / "flowers"),
        "files": MINIMAL,
    }
    assert init(tmp_path, "minimal", "flowers", "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["kind"], "bedplate.yaml" in error["message"]) == ("UsageError", True)


def test_the_templates_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["minimal", "service", "fleet"]
    assert init(tmp_path, "--list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["templates"]
    assert [template["name"] for template in listed] == ["minimal", "service", "fleet"]
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("word", "help_line"), [("servce", "did you mean 'service'?"), ("demo", "init minimal DIR")]
)
def test_an_unknown_template_is_met_with_the_known(
    word: str, help_line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, word) == 2
    said = capsys.readouterr().err
    assert f"there is no template '{word}'" in said
    assert help_line in said
    assert written(tmp_path) == []


def test_files_that_are_there_stay_and_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "iris.onnx").symlink_to("nowhere")
    (tmp_path / "tests").write_text("a file where a folder would be")
    assert init(tmp_path) == 2
    said = capsys.readouterr().err
    assert "README.md, models/iris.onnx, tests are in" in said
    assert "= help:" in said
    assert (tmp_path / "README.md").read_text() == "mine"
    assert written(tmp_path) == ["README.md", "tests"]


def test_a_link_to_elsewhere_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "models").symlink_to(tmp_path / "elsewhere")
    assert init(tmp_path / "here") == 2
    assert "models is in" in capsys.readouterr().err
    assert written(tmp_path) == []


def test_other_files_of_the_folder_are_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.onnx").write_bytes(b"mine")
    assert init(tmp_path) == 0
    assert (tmp_path / "models" / "mine.onnx").read_bytes() == b"mine"


def test_a_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert init(tmp_path, "minimal", "file") == 2
    assert "is no folder" in capsys.readouterr().err
    assert init(tmp_path, "minimal", "file/below") in (2, 4)
    assert "file" in capsys.readouterr().err
    assert written(tmp_path) == ["file"]


def test_what_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    contents = {"a/b/one": b"1", "a/two": b"2", "three": b"3"}
    (tmp_path / "three").write_bytes(b"came meanwhile")
    with pytest.raises(FileExistsError):
        templates.write(tmp_path, contents)
    assert [path.name for path in tmp_path.iterdir()] == ["three"]
    assert (tmp_path / "three").read_bytes() == b"came meanwhile"


@pytest.mark.parametrize("template", templates.TEMPLATES)
def test_the_spec_comes_last_for_without_it_there_is_no_project(template: str) -> None:
    assert [*templates.files(template, "flowers")][-1] == "bedplate.yaml"


@pytest.mark.parametrize("template", ["service", "fleet"])
def test_the_workflow_says_commands_and_environments_that_there_are(
    template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = templates.files(template, "flowers")
    workflow = yaml.safe_load(contents[".github/workflows/bedplate.yml"])
    spec = yaml.safe_load(contents["bedplate.yaml"])["environments"]
    job = workflow["jobs"]["environments"]
    clusters = job["strategy"]["matrix"]["environment"]
    assert clusters == [name for name, said in spec.items() if name != "local" and "abstract" not in said]
    assert set(workflow[True]) == {"pull_request", "push"}  # YAML 1.1 reads `on` so
    for step in (*workflow["jobs"]["validate"]["steps"], *job["steps"]):
        for called in re.findall(r"^bedplate (.*)", step.get("run", ""), re.MULTILINE):
            words = called.partition("|")[0].replace("${{ matrix.environment }}", "local").split()
            assert run([*words, "--help"]) == 0, called
            said = capsys.readouterr().out
            assert all(word in said for word in words if word.startswith("--")), called


def on_a_terminal(folder: Path, words: Sequence[str], answers: Sequence[str]) -> tuple[int, str]:
    """What `init` shows on a terminal of its own, where each question (it ends with `]: `) gets its answer."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bedplate", "init", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown, left, asked = "", list(answers), 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([leader], [], [], 0.1)[0]:
            continue
        try:
            shown += os.read(leader, 4096).decode()
        except OSError:
            break
        if left and shown.count("]: ") > asked:
            asked += 1
            os.write(leader, left.pop(0).encode() + b"\n")
    os.close(leader)
    return process.wait(30), shown.replace("\r\n", "\n")


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    code, shown = on_a_terminal(tmp_path, [], ["nothing", "service", "No Name", "flights"])
    assert code == 0, shown
    assert "'nothing' is not one of" in shown
    assert "No Name is no name for a project" in shown
    assert "project: flights\n" in (tmp_path / "bedplate.yaml").read_text()
    assert (tmp_path / "train.py").exists()


def test_on_a_terminal_two_times_enter_is_the_minimal_one(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    code, shown = on_a_terminal(tmp_path / "demo", [], ["", ""])
    assert code == 0, shown
    assert written(tmp_path / "demo") == MINIMAL
    assert "project: demo\n" in (tmp_path / "demo" / "bedplate.yaml").read_text()


def test_on_a_terminal_nothing_is_asked_that_was_said(tmp_path: Path) -> None:
    code, shown = on_a_terminal(tmp_path, ["minimal", "demo"], [])
    assert code == 0
    assert "]: " not in shown
    assert "  cd demo\n" in shown
