"""validate, explain and schema as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate._resources import resource
from bedplate.cli import run
from tests.spec.cases import MODEL

VALID = "version: 1\nproject: flights\nmodels: {delay: {path: delay.onnx}}\nserving: {delay: {}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bedplate.yaml").write_text(VALID)
    (tmp_path / "delay.onnx").write_bytes(MODEL.read_bytes())
    return tmp_path


def test_a_valid_spec(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(project), "validate"]) == 0
    assert capsys.readouterr().out == "bedplate.yaml is valid in local\n"


def test_one_letter_too_few_is_shown_with_the_cure(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bedplate.yaml").write_text(VALID.replace("path", "pth"))

    assert run(["-C", str(project), "validate"]) == 1
    said = capsys.readouterr()
    assert "--> bedplate.yaml:3:18  models.delay.pth" in said.err
    assert "did you mean path?" in said.err
    assert said.out == ""


@pytest.mark.parametrize("option", [["--json"], ["--format", "json"]])
def test_the_answer_as_json(project: Path, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(project), "validate", *option]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "valid": True,
        "environments": ["local"],
        "diagnostics": [],
    }

    (project / "bedplate.yaml").write_text("version: 2\nproject: flights\n")
    assert run(["-C", str(project), "validate", *option]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["valid"], [d["code"] for d in answer["diagnostics"]]) == (False, ["BP101"])


def test_a_spec_of_another_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "other.yaml").write_text("- no\n")

    assert run(["-C", str(project), "validate", "other.yaml"]) == 1
    assert "other.yaml:1:1" in capsys.readouterr().err


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "bp204"]) == 0
    assert capsys.readouterr().out.startswith("# BP204: canary weights must rise\n")


@pytest.mark.parametrize("address", ["serving.*.replicas", "serving.delay.replicas"])
def test_a_field_is_explained(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", address]) == 0
    assert capsys.readouterr().out == (
        f"{address}: How many of it there are. Left out: 1 on this machine, 3 on a cluster.\n"
        "  type:     a whole number from 1 to 64\n"
        "  form:     In decimal digits, without quotes.\n"
        "  example:  3\n"
        "  since:    0.1\n"
    )


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("serving", "a mapping"),
        ("serving.delay.rollout.canary", "a list"),
        ("serving.delay.rollout.canary[1].hold", "a duration"),
        ("serving.delay.rollout.canary[].weight", "required"),
        ("environments.prod.secrets.key.env", "environment variable"),
        ("environments.prod.override.serving.delay.replicas", "a whole number"),
        ("version", "always 1"),
        ("models.delay.path", "a file in the project"),
        ("models.delay.format", "default:  onnx"),
        ("models.delay.update", "            lock: `bedplate lock` alone moves it"),
        (
            "models",
            "  each has: name, environments, path, mlflow, update, format\n  one of:   path, mlflow\n",
        ),
        ("models.delay", "  fields:   name, environments, path, mlflow, update, format\n  one of:"),
        ("serving", "  not both: replicas, autoscaling\n"),
        ("serving.delay.models", "a list, each item a name"),
        ("serving.delay.container.env", "a mapping, each value a text, or {secret: NAME}"),
        ("serving.delay.expose.auth.api_key.secret", "type:     a name"),
        ("timezone", "type:     a time zone, such as UTC or Europe/Berlin"),
        ("serving.delay.autoscaling.target", "from 0.1 to 1000000\n"),
        ("serving.delay.probes.startup", "default:  60s"),
        ("environments.prod.override.defaults.serving.slo.p95", "a duration"),
    ],
)
def test_every_kind_of_field_is_explained(
    address: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", address]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "subject", ["BP999", "serving.delay.replica", "nothing", "", "version.x", "..", "../x"]
)
def test_what_nobody_can_explain(subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", subject]) == 2
    assert "help:" in capsys.readouterr().err


def test_the_reference_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == resource("specs", "reference.md").read_text()


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"] == "http://json-schema.org/draft-07/schema#"
