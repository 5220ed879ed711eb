"""The team's tests of its own policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.policies import of_team
from bedplate.policies.trials import Report, try_rules

OWNER = """
code: ACME001
title: every service says which team owns it
applies: {type: "kubernetes:apps/v1:*", mode: production}
schema: {properties: {metadata: {properties: {labels: {required: [team]}}}}}
"""
SMALL = """
CODE = "ACME002"
TITLE = "ten replicas are enough"
def check(resource, environment):
    if environment["target"] == "kubernetes" and resource["properties"]["replicas"] > 10:
        yield f"{resource['name']} has too many in {environment['name']}"
"""
DEPLOYMENT = 'type: "kubernetes:apps/v1:Deployment"'
OWNED = f"{{{DEPLOYMENT}, properties: {{metadata: {{labels: {{team: hub}}}}}}}}"
NOBODYS = f"{{{DEPLOYMENT}, properties: {{metadata: {{labels: {{}}}}}}}}"
BOTH = f"accept:\n  owned: {OWNED}\nrefuse:\n  nobody's: {NOBODYS}\n"


def tried(root: Path, *, code: bool = True, **files: str) -> Report:
    """Tries the rules of a folder; `owner_yaml` is the file owner.yaml, `tests_owner` the file tests/owner.yaml."""
    folder = root / "policies"
    (folder / "tests").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if name.startswith("tests_"):
            (folder / "tests" / f"{name.removeprefix('tests_')}.yaml").write_text(text)
        else:
            (folder / name.replace("_", ".")).write_text(text)
    team, damage = of_team(root, "policies", code=code)
    assert damage == ()
    return try_rules(root, "policies", team)


def whys(report: Report) -> dict[str, str]:
    return {outcome.trial.name: outcome.why for outcome in report.outcomes}


def test_what_is_as_it_must_be_passes(tmp_path: Path) -> None:
    report = tried(tmp_path, owner_yaml=OWNER, tests_owner=BOTH)
    assert whys(report) == {"owned": "", "nobody's": ""}
    assert (report.succeeded, report.failed) == (True, 0)
    (result,) = report.tried
    assert (result.file, result.untested) == ("policies/tests/owner.yaml", "")
    assert [(o.trial.kind, o.trial.line) for o in result.outcomes] == [("accept", 2), ("refuse", 4)]


def test_what_is_not_fails_and_says_why(tmp_path: Path) -> None:
    swapped = BOTH.replace("accept", "x").replace("refuse", "accept").replace("x:", "refuse:")
    report = tried(tmp_path, owner_yaml=OWNER, tests_owner=swapped)
    assert whys(report) == {
        "owned": "it is accepted",
        "nobody's": "it is refused: metadata.labels: 'team' is a required property",
    }
    assert (report.succeeded, report.failed) == (False, 2)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            NOBODYS.replace("apps/v1", "core/v1"),
            "it is accepted: the rule applies to kubernetes:apps/v1:*, mode production, which this is not",
        ),
        (
            NOBODYS[:-1] + ", environment: {mode: development}}",
            "it is accepted: the rule applies to kubernetes:apps/v1:*, mode production, which this is not",
        ),
        (NOBODYS[:-1] + ", says: required property}", ""),
        (
            NOBODYS[:-1] + ", says: owner}",
            "it is refused, but nothing says 'owner': metadata.labels: 'team' is a required property",
        ),
    ],
)
def test_a_refusal_is_looked_at_closely(tmp_path: Path, given: str, why: str) -> None:
    report = tried(tmp_path, owner_yaml=OWNER, tests_owner=f"refuse:\n  it: {given}\n")
    assert whys(report) == {"it": why}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{type: a:b:C, properties: {replicas: 11}}", ""),
        ("{type: a:b:C, properties: {replicas: 11}, name: big, says: big has too many in prod}", ""),
        ("{type: a:b:C, properties: {replicas: 11}, environment: {name: eu}, says: in eu}", ""),
        ("{type: a:b:C, properties: {replicas: 11}, environment: {target: local}}", "it is accepted"),
        ("{type: bedplate:local:Service, properties: {replicas: 11}}", "it is accepted"),
        ("{type: a:b:C, properties: {}}", "the policy failed: KeyError: 'replicas' (policies/small.py:5)"),
    ],
)
def test_a_rule_in_python_is_tried_in_the_same_way(tmp_path: Path, given: str, why: str) -> None:
    report = tried(tmp_path, small_py=SMALL, tests_small=f"refuse:\n  it: {given}\n")
    assert whys(report) == {"it": why}


def test_a_rule_in_python_that_fails_is_no_acceptance(tmp_path: Path) -> None:
    report = tried(tmp_path, small_py=SMALL, tests_small="accept:\n  it: {type: a:b:C, properties: {}}\n")
    assert whys(report) == {"it": "the policy failed: KeyError: 'replicas' (policies/small.py:5)"}


def test_without_code_the_tests_of_rules_in_python_are_left_out(tmp_path: Path) -> None:
    evil = "raise SystemExit('it was run')"
    report = tried(
        tmp_path, code=False, owner_yaml=OWNER, tests_owner=BOTH, small_py=evil, tests_small="x: y"
    )
    assert [result.policy.code for result in report.tried] == ["ACME001"]
    assert report.succeeded


def test_a_rule_that_nothing_tests_is_named(tmp_path: Path) -> None:
    half = f"accept:\n  owned: {OWNED}\n"
    report = tried(tmp_path, owner_yaml=OWNER, tests_owner=half, small_py=SMALL)
    assert [result.untested for result in report.tried] == [
        "nothing tests that it refuses anything",
        "nothing tests it",
    ]
    assert report.succeeded


def test_there_need_not_be_a_folder_of_tests(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "owner.yaml").write_text(OWNER)
    report = try_rules(tmp_path, "policies", of_team(tmp_path, "policies")[0])
    assert ([result.untested for result in report.tried], report.problems) == (["nothing tests it"], {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is a mapping of accept and refuse"),
        ("- a", "it is a mapping of accept and refuse"),
        ("accept: [", "did not find expected node content"),
        ("acept: {}", "line 1: acept is neither accept nor refuse"),
        ("accept: 3", "accept is a mapping of names to resources"),
        ("refuse:\n", "refuse is a mapping of names to resources"),
        (f"accept:\n  a: {OWNED}\n  a: {OWNED}\n", "line 3: there are two tests a in accept"),
        (f"accept:\n  a: {OWNED}\naccept:\n  a: {OWNED}\n", "line 4: there are two tests a in accept"),
        ("accept: {a: 3}", "line 1: a: it is a mapping of type, properties, name, environment;"),
        (
            "refuse: {a: {type: x}}",
            "a: it is a mapping of type, properties, name, environment, says; type and prop",
        ),
        ("accept: {a: {type: x, properties: {}, says: y}}", "a: it is a mapping of type, properties, name"),
        ("accept: {a: {type: 3, properties: {}}}", "a: type is a text"),
        ("accept: {a: {type: x, properties: []}}", "a: properties is a mapping"),
        (
            "accept: {a: {type: x, properties: {}, environment: {mood: x}}}",
            "a: environment is a mapping of name, ta",
        ),
        (
            "accept: {a: {type: x, properties: {}, environment: {name: 3}}}",
            "a: environment is a mapping of name, ta",
        ),
        (
            "accept: {a: {type: x, properties: {}, environment: {mode: prod}}}",
            "a: environment.mode is one of develo",
        ),
        (
            "accept: {a: !!python/object/apply:os.getcwd []}",
            "line 1: could not determine a constructor for the tag",
        ),
        ("accept:\n  a: \x00\n", "control characters are not allowed"),
    ],
)
def test_a_file_that_is_no_test_says_where_and_why(tmp_path: Path, text: str, why: str) -> None:
    report = tried(tmp_path, owner_yaml=OWNER, tests_owner=text)
    assert not report.succeeded
    assert report.tried == ()
    (told,) = report.problems.values()
    assert why in told


def test_a_test_of_no_rule_is_a_problem(tmp_path: Path) -> None:
    report = tried(tmp_path, owner_yaml=OWNER, tests_ownr=BOTH)
    assert report.problems == {
        "policies/tests/ownr.yaml": "there is no rule ownr.yaml or ownr.py that it could test"
    }


def test_a_test_of_two_rules_is_a_problem(tmp_path: Path) -> None:
    report = tried(tmp_path, owner_yaml=OWNER, owner_py=SMALL, tests_owner=BOTH)
    assert report.problems == {
        "policies/tests/owner.yaml": "it is of owner.py and owner.yaml alike: give one of them another name"
    }


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(BOTH)
    project = tmp_path / "project"
    (project / "policies" / "tests").mkdir(parents=True)
    (project / "policies" / "tests" / "owner.yaml").symlink_to(tmp_path / "secret.yaml")
    report = tried(project, owner_yaml=OWNER)
    assert report.problems == {"policies/tests/owner.yaml": "it leads outside the project"}


def test_what_begins_with_a_dot_or_an_underline_is_no_test(tmp_path: Path) -> None:
    assert tried(tmp_path, owner_yaml=OWNER, tests_owner=BOTH, tests__notes="x").succeeded
    (tmp_path / "policies" / "tests" / ".a.yaml").write_text("x")
    assert tried(tmp_path).succeeded
