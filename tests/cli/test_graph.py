"""`bedplate graph` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.cli import run
from tests.picture.pictures import flights
from tests.whole import REPOSITORY

GOLDEN = Path(__file__).parents[1] / "picture"
FRAUD = str(REPOSITORY / "examples" / "fraud")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return flights(tmp_path / "flights").parent


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["-C", *words]) == 0
    return capsys.readouterr().out


def test_left_alone_it_prints_mermaid_of_local(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, str(project), "graph") == (GOLDEN / "flights.mermaid").read_text()


def test_svg_to_standard_output(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, str(project), "graph", "--format", "svg") == (GOLDEN / "flights.svg").read_text()


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"]])
def test_json(project: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(answer(capsys, str(project), "graph", *words))
    assert (data["project"], data["environment"], data["target"]) == ("flights", "local", "local")
    assert [stack["name"] for stack in data["stacks"]] == ["base", "models", "serving"]


@pytest.mark.parametrize(
    ("name", "words", "begins"),
    [
        ("a.svg", [], "<svg "),
        ("a.SVG", [], "<svg "),
        ("a.json", [], "{"),
        ("a.mmd", [], "---"),
        ("deep/a", [], "---"),
        ("a.Mermaid", [], "---"),
        ("a.svg", ["--format", "mermaid"], "---"),
        ("a.md", ["--format", "mermaid"], "---"),
    ],
)
def test_into_a_file_in_the_form_of_its_ending(
    project: Path, name: str, words: list[str], begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / name
    assert answer(capsys, str(project), "graph", "-o", str(file), *words) == f"wrote {file}\n"
    assert file.read_text().startswith(begins)
    before = file.read_bytes()
    answer(capsys, str(project), "graph", "-o", str(file), *words)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["a.png", "a.md", "v1.2"])
def test_an_ending_of_what_is_not_drawn_is_refused(
    project: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-C", str(project), "graph", "-o", str(project / name)]) == 2
    said = capsys.readouterr().err
    assert f"a picture cannot be written as {Path(name).suffix}" in said
    assert "end FILE with .svg, .json, .mmd, .mermaid, or say its --format" in said
    assert not (project / name).exists()


def test_one_entry_with_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(capsys, FRAUD, "graph", "--env", "prod", "serving.device")
    assert "models.device" in text
    assert "models.cards" not in text
    assert "serving.payments" not in text


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("serving.devise", "did you mean serving.device?"),
        ("x", "there are: base, environments.prod, models,"),
    ],
)
def test_an_entry_that_is_not_there(address: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", FRAUD, "graph", "--env", "prod", address]) == 2
    said = capsys.readouterr().err
    assert f"there is no {address} in prod" in said
    assert hint in said


def test_an_environment_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", FRAUD, "graph", "--env", "pod"]) == 2
    assert "did you mean 'prod'?" in capsys.readouterr().err


def test_a_spec_that_does_not_hold_is_not_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = project / "bedplate.yaml"
    spec.write_text(spec.read_text().replace("replicas", "replcas"))
    assert run(["-C", str(project), "graph", "-o", str(project / "a.svg")]) == 1
    assert "did you mean replicas?" in capsys.readouterr().err
    assert not (project / "a.svg").exists()


def test_a_file_that_cannot_be_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "file").write_text("")
    assert run(["-C", str(project), "graph", "-o", str(project / "file" / "a.svg")]) == 4
    assert "file" in capsys.readouterr().err
