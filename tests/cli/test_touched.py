"""`validate --touched`: from changed files to the projects that they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.cli import run

VALID = "version: 1\nproject: flights\n"
BROKEN = "version: 1\nproject: flights\nserving: {delay: {replcas: 1}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a valid project, a broken one, and a valid one inside of the broken one."""
    for name, spec in (("good", VALID), ("bad", BROKEN), ("bad/inner", VALID)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bedplate.yaml").write_text(spec)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "valid", "broken"),
    [
        (["good/bedplate.yaml"], ["good"], []),
        (["good/models/deep/in/it.onnx"], ["good"], []),
        (["good/gone.yaml", "good/a.txt"], ["good"], []),
        (["bad/inner/a.txt"], ["bad/inner"], []),
        (["bad/a.txt"], [], ["bad"]),
        (["bad/a.txt", "good/a.txt", "bad/inner/a.txt"], ["bad/inner", "good"], ["bad"]),
        (["good/../bad/a.txt"], [], ["bad"]),
        (["a.txt", "other/a.txt", "../above.txt"], [], []),
        ([], [], []),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_nearest_spec_above_each_file_is_checked(
    files: list[str], valid: list[str], broken: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", "--touched", *files]) == (1 if broken else 0)
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{name}/bedplate.yaml is valid in local" for name in valid]
    arrows = [line.strip() for line in said.err.splitlines() if "-->" in line]
    assert arrows == [f"--> {name}/bedplate.yaml:3:19  serving.delay.replcas" for name in broken]


def test_files_are_looked_for_in_the_folder_that_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert run(["-C", str(folder), "validate", "--touched", "bad/a.txt", "good/a.txt"]) == 1
    said = capsys.readouterr()
    assert "--> bad/bedplate.yaml:3:19" in said.err
    assert said.out == "good/bedplate.yaml is valid in local\n"


def test_a_spec_above_the_folder_is_somebody_elses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad" / "repository").mkdir()
    monkeypatch.chdir(folder / "bad" / "repository")
    assert run(["validate", "--touched", "a.txt"]) == 0


@pytest.mark.usefixtures("folder")
def test_annotations_of_several_projects_name_their_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--touched", "--format", "github", "bad/a.txt", "good/a.txt"]) == 1
    assert "file=bad/bedplate.yaml,line=3,col=19" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--touched", "--json", "good/a"], ["--touched", "--format", "sarif"], ["good/a", "bad/a"]]
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_answered_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", *words]) == 2
    assert "--touched" in capsys.readouterr().err
