"""The team's policies are read like all else that the spec names: from files of the project, and no others."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from bedplate.cli import run
from bedplate.cli.project import check_file
from bedplate.policies import asked
from bedplate.spec.load import FILE_BYTES
from tests.spec.cases import MODEL

SPEC = """\
version: 1
project: flights
policies: policies
models: {delay: {path: delay.onnx}}
serving: {delay: {}}
"""
RULE = """\
CODE, TITLE, HELP = "ACME001", "t", "h"


def check(resource, environment):
    if resource["type"] == "bedplate:local:Service":
        yield "told"
"""
SCHEMA = "code: ACME002\ntitle: refused\nschema: {not: {}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "bedplate.yaml").write_text(SPEC)
    shutil.copy(MODEL, folder)
    return folder


def said(project: Path) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in check_file(project / "bedplate.yaml")[1]]


def test_a_folder_that_a_link_leads_out_of_the_project_is_not_read(project: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "rule.py").write_text("raise SystemExit('was run')")
    (project / "policies").symlink_to(tmp_path / "outside")

    assert said(project) == [("BP111", "policies leads outside the project")]


@pytest.mark.parametrize("name", ["rule.py", "rule.yaml"])
def test_nor_is_a_file(name: str, project: Path, tmp_path: Path) -> None:
    (project / "policies").mkdir()
    (tmp_path / name).write_text("raise SystemExit('was run')")
    (project / "policies" / name).symlink_to(tmp_path / name)

    assert said(project) == [("BP111", f"policies/{name} leads outside the project")]


def test_links_inside_of_the_project_are_followed(project: Path) -> None:
    (project / "shared").mkdir()
    (project / "shared" / "rule.py").write_text(RULE)
    (project / "policies").symlink_to("shared")

    assert said(project) == [("ACME001", "told")]


def test_what_is_no_file_is_no_policy_and_blocks_nobody(project: Path) -> None:
    (project / "policies").mkdir()
    os.mkfifo(project / "policies" / "a.yaml")
    (project / "policies" / "b.py").mkdir()
    (project / "policies" / "c.yaml").symlink_to("nowhere")
    (project / "policies" / "d.yaml").write_text("x" * (FILE_BYTES + 1))

    assert said(project) == [
        ("BP750", "policies/a.yaml is no policy: it cannot be read: not a regular file"),
        ("BP750", "policies/b.py is no policy: it cannot be read: not a regular file"),
        ("BP750", "policies/c.yaml is no policy: it cannot be read: No such file or directory"),
        ("BP750", "policies/d.yaml is no policy: it is larger than 4 MiB"),
    ]


def test_a_rule_knows_its_file_and_nothing_is_written_beside_it(project: Path) -> None:
    (project / "policies").mkdir()
    (project / "policies" / "rule.py").write_text("assert __file__.endswith('rule.py')\n" + RULE)

    assert said(project) == [("ACME001", "told")]
    assert [path.name for path in (project / "policies").iterdir()] == ["rule.py"]


def test_a_rule_in_an_encoding_of_its_own(project: Path) -> None:
    (project / "policies").mkdir()
    text = RULE.replace("told", "gesagt: ä")
    (project / "policies" / "rule.py").write_bytes(f"# -*- coding: latin-1 -*-\n{text}".encode("latin-1"))

    assert said(project) == [("ACME001", "gesagt: ä")]


def test_two_kinds_of_rule_in_one_folder(project: Path) -> None:
    (project / "policies").mkdir()
    (project / "policies" / "a.py").write_text(RULE)
    (project / "policies" / "b.yaml").write_text(SCHEMA + 'applies: {type: "bedplate:local:Service"}\n')

    assert sorted(said(project)) == [("ACME001", "told"), ("ACME002", "refused")]


def test_a_folder_that_is_not_there_is_told_with_the_one_that_was_meant(project: Path) -> None:
    (project / "policy").mkdir()

    (found,) = check_file(project / "bedplate.yaml")[1]
    assert (found.code, found.message, found.help) == (
        "BP750",
        "there is no folder policies",
        "did you mean policy?",
    )


def test_a_rule_that_ends_the_process_ends_only_itself(project: Path) -> None:
    (project / "policies").mkdir()
    (project / "policies" / "a.py").write_text("import sys\n\nsys.exit(0)\n")
    (project / "policies" / "b.py").write_text(
        "CODE = 'ACME001'\ndef check(r, e):\n    raise SystemExit(0)\n"
    )

    assert sorted(said(project)) == [
        ("ACME001", "the policy failed: it called sys.exit (policies/b.py:3)"),
        ("BP750", "policies/a.py is no policy: it called sys.exit (policies/a.py:3)"),
    ]


def test_a_rule_that_does_not_end_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "WITHIN_S", 0.2)
    loop = "while True:\n{0}    try:\n{0}        pass\n{0}    except Exception:\n{0}        pass\n"
    (project / "policies").mkdir()
    (project / "policies" / "a.py").write_text(loop.format(""))
    (project / "policies" / "b.py").write_text(
        "CODE = 'ACME001'\ndef check(r, e):\n    " + loop.format("    ")
    )

    ended, refused = sorted(said(project))
    assert ended[1].startswith("the policy failed: it took longer than 0.2 s (policies/b.py:")
    assert refused[1].startswith("policies/a.py is no policy: it took longer than 0.2 s (policies/a.py:")


@pytest.mark.parametrize("before", ["", "CODE = 'ACME001'\ndef check(r, e):\n    "])
def test_a_rule_does_not_keep_a_person_from_stopping_it(before: str, project: Path) -> None:
    (project / "policies").mkdir()
    (project / "policies" / "a.py").write_text(f"{before}raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        said(project)


@pytest.mark.parametrize(
    ("body", "what"), [("return 'no team'", "a text"), ("return None", "NoneType"), ("return 3", "int")]
)
def test_a_rule_that_gives_no_messages_is_told_once(body: str, what: str, project: Path) -> None:
    (project / "policies").mkdir()
    (project / "policies" / "z.py").write_text(f"CODE = 'ACME001'\ndef check(r, e):\n    {body}\n")
    with (project / "bedplate.yaml").open("a") as spec:
        spec.write("environments:\n  here: {target: local}\n  there: {target: local}\n")

    (found,) = check_file(project / "bedplate.yaml")[1]
    message = f"policies/z.py: check gave {what}, and yields one message for each thing that is wrong"
    assert (found.code, found.message, found.path) == ("ACME001", message, ("policies",))
    assert found.span is not None
    assert found.span.line == 3


def test_a_failure_names_the_line_of_the_rule_that_led_to_it(project: Path) -> None:
    (project / "policies").mkdir()
    rule = "import json\nCODE = 'ACME001'\ndef check(r, e):\n    yield from json.loads('nothing')\n"
    (project / "policies" / "z.py").write_text(rule)

    ((_, message),) = set(said(project))
    assert message.startswith("the policy failed: JSONDecodeError: ")
    assert message.endswith(" (policies/z.py:4)")


def test_what_a_rule_prints_is_no_part_of_a_report(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "policies").mkdir()
    printing = RULE.replace("    if", "    print('asked')\n    if")
    (project / "policies" / "z.py").write_text(f"print('read')\n{printing}")

    assert run(["-C", str(project), "validate", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert [d["message"] for d in json.loads(out)["diagnostics"]] == ["told"]
    assert "read\nasked\n" in err
