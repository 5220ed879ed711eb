"""`bedplate policies` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.cli import run
from bedplate.policies import BUILT_IN
from tests.spec.cases import Case
from tests.whole import REPOSITORY, whole_projects

FRAUD = str(REPOSITORY / "examples" / "fraud")
SPEC = "version: 1\nproject: flights\n{policies}models: {{delay: {{path: not-trained-yet.onnx}}}}\n"
RULE = "code: ACME001\ntitle: nothing is large\nlevel: warning\nschema: {maxProperties: 1}\n"
TESTS = """accept:
  small: {type: a:b:C, properties: {x: 1}}
refuse:
  large: {type: a:b:C, properties: {x: 1, y: 2}}
  alike: {type: a:b:C, properties: {x: 1}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bedplate.yaml").write_text(SPEC.format(policies="policies: rules\n"))
    (tmp_path / "rules" / "tests").mkdir(parents=True)
    (tmp_path / "rules" / "large.yaml").write_text(RULE)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], code: int, folder: object, *words: str) -> str:
    assert run(["-C", str(folder), "policies", *words]) == code
    return capsys.readouterr().out


def test_the_list_says_what_each_demands_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, 0, FRAUD)
    assert said.splitlines()[:2] == [
        "BP701     error    production keeps its state where everybody shares it",
        "                   in prod; mode production",
    ]
    assert said.endswith(
        "FRAUD001  error    what computes on GPUs runs in the pool of GPUs\n"
        "                   everywhere; policies/gpus.py\n"
        "\n"
        "8 policies hold\n"
    )
    assert max(map(len, said.splitlines())) <= 80


def test_of_one_environment_only_what_can_hold_there(capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, 0, FRAUD, "--env", "staging")
    assert "BP710" in said
    assert "BP701" not in said
    assert said.endswith("4 policies hold, 4 do not apply here\n")


def test_an_environment_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", FRAUD, "policies", "--env", "prd"]) == 2
    assert "did you mean 'prod'?" in capsys.readouterr().err


def test_the_list_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(answer(capsys, 0, project, "--json"))
    assert [policy["code"] for policy in data["policies"]] == [*(p.code for p in BUILT_IN), "ACME001"]
    assert data["policies"][-1] == {
        "code": "ACME001",
        "level": "warning",
        "demands": "nothing is large",
        "file": "rules/large.yaml",
        "environments": ["local"],
        "applies": {"type": "*", "mode": None, "environment": "*"},
    }
    assert data["policies"][0]["environments"] == []
    assert data["left_out"] == []


def test_without_a_folder_the_built_in_ones_are_listed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "bedplate.yaml").write_text(SPEC.format(policies=""))
    assert answer(capsys, 0, project) == "0 policies hold, 7 do not apply here\n"
    assert run(["-C", str(project), "policies", "--test"]) == 2
    assert "there is nothing to test" in capsys.readouterr().err


def test_a_rule_that_is_none_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "rules" / "large.yaml").write_text("code: X\n")
    for words in ([], ["--test"]):
        assert run(["-C", str(project), "policies", *words]) == 1
        assert "rules/large.yaml is no policy" in capsys.readouterr().err
    data = json.loads(answer(capsys, 1, project, "--test", "--json"))
    assert ([d["code"] for d in data["diagnostics"]], data["succeeded"]) == (["BP750"], False)


def test_no_code_is_run_where_none_may_be(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "rules" / "evil.py").write_text("raise SystemExit('it was run')\n")
    (project / "rules" / "tests" / "evil.yaml").write_text(TESTS)
    (project / "rules" / "tests" / "large.yaml").write_text(TESTS.replace("  alike", "  # alike"))
    said = answer(capsys, 0, project, "--test", "--no-code")
    assert said.endswith("rules/evil.py is code, and left out\n\n2 tests, all passed\n")
    assert "rules/evil.py is code, and left out" in answer(capsys, 0, project, "--no-code")
    assert json.loads(answer(capsys, 0, project, "--json", "--no-code"))["left_out"] == ["rules/evil.py"]


def test_each_test_is_told_and_a_failure_is_exit_code_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "rules" / "tests" / "large.yaml").write_text(TESTS)
    assert answer(capsys, 1, project, "--test") == (
        "ACME001  nothing is large  (rules/large.yaml)\n"
        "  pass  accept  small\n"
        "  pass  refuse  large\n"
        "  FAIL  refuse  alike\n"
        "        rules/tests/large.yaml:5: it is accepted\n"
        "\n"
        "3 tests, 1 failed\n"
    )


def test_a_rule_without_a_test_is_a_warning(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, 0, project, "--test") == (
        "ACME001  nothing is large  (rules/large.yaml)\n"
        "  warning  nothing tests it: write rules/tests/large.yaml\n"
        "\n"
        "0 tests, 1 warning\n"
    )


def test_a_file_that_is_no_test_is_exit_code_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "rules" / "tests" / "lrge.yaml").write_text(TESTS)
    said = answer(capsys, 1, project, "--test")
    assert said == (
        "ACME001  nothing is large  (rules/large.yaml)\n"
        "  warning  nothing tests it: write rules/tests/large.yaml\n"
        "error  rules/tests/lrge.yaml is no test\n"
        "       there is no rule lrge.yaml or lrge.py that it could test\n"
        "\n"
        "0 tests, 1 warning, 1 file is no test\n"
    )


def test_the_tests_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "rules" / "tests" / "large.yaml").write_text(TESTS)
    data = json.loads(answer(capsys, 1, project, "--test", "--json"))
    assert (data["succeeded"], data["tests"], data["failed"], data["problems"]) == (False, 3, 1, [])
    (policy,) = data["policies"]
    assert (policy["code"], policy["file"], policy["untested"]) == ("ACME001", "rules/large.yaml", None)
    assert policy["tests"][2] == {
        "name": "alike",
        "must": "refuse",
        "passed": False,
        "why": "it is accepted",
        "file": "rules/tests/large.yaml",
        "line": 5,
    }


def test_what_a_team_writes_cannot_move_the_cursor(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "rules" / "tests" / "large.yaml").write_text(
        'refuse:\n  "a\\e[2J": {type: a:b:C, properties: {x: 1, "\\e[3J": 1}, says: "\\e[4J"}\n'
    )
    said = answer(capsys, 1, project, "--test")
    assert "\x1b" not in said
    assert "\\x1b[2J" in said


def test_an_environment_is_nothing_for_tests(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(project), "policies", "--test", "--env", "local"]) == 2
    assert "a test says itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    "case",
    [c for c in whole_projects() if c.name.endswith(("/fraud", "/service", "templates/fleet"))],
    ids=lambda case: case.name,
)
def test_the_policies_of_examples_and_templates_are_tested(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answer(capsys, 0, case.copy(tmp_path).parent, "--test")
    assert said.endswith("tests, all passed\n")
    assert max(map(len, said.splitlines())) <= 80
