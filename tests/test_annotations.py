from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.cli import run

CASE = Path(__file__).parent / "cases" / "grammar" / "escaped-input"


@pytest.mark.parametrize("form", ["plain", "github"])
def test_input_cannot_begin_a_line_of_its_own(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASE)
    assert run(["validate", "--format", form]) == 1
    said = "".join(capsys.readouterr())
    begin = "bedplate.yaml:" if form == "plain" else "::error title=BP"
    lines = [line for line in said.splitlines() if "BP" in line]
    assert len(lines) == 3
    assert all(line.startswith(begin) for line in lines)
    assert "\x1b" not in said


def test_an_annotation_says_the_place_as_seen_from_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASE.parent)
    assert run(["-C", "escaped-input", "validate", "--format", "github"]) == 1
    assert "file=escaped-input/bedplate.yaml,line=6,col=5,endColumn=16::" in capsys.readouterr().out


def test_sarif_names_the_rule_and_the_region(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASE)
    assert run(["validate", "--format", "sarif"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    (rule,) = told["tool"]["driver"]["rules"]
    assert rule["id"] == "BP020"
    assert rule["shortDescription"]["text"] == "BP020: unknown key"
    place = told["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "bedplate.yaml"}
    assert place["region"] == {"startLine": 6, "startColumn": 5, "endColumn": 16}
