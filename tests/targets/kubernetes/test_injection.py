"""Texts of a spec are values of a graph: none becomes a key, a second argument, or a part of a query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli.project import check_file
from bedplate.compiler import compile_project

NASTY = [
    "x\nprivileged: true",
    "; rm -rf / #",
    "$(touch /tmp/x) `id` ${HOME",
    '"} or vector(1) #',
    "'; DROP TABLE t; --",
    "{{args.canary-hash}} {{ 7 * 7 }}",
    "* * * * * root",
    "a: &b {c: *b}",
]
SPEC = """\
version: 1
project: flights
environments:
  prod: {target: kubernetes, kubernetes: {context: prod, namespace: flights}}
serving: {own: {runtime: container, image: 'ghcr.io/acme/own:1', container: %s}}
"""


def compiled(folder: Path, container: dict[str, Any]) -> dict[str, Any]:
    """The one container of the Deployment."""
    spec = folder / "bedplate.yaml"
    spec.write_text(SPEC % json.dumps(container))
    projects, diagnostics = check_file(spec)
    assert diagnostics == ()
    resources = json.loads(compile_project(projects["prod"]).graphs["serving"].to_json())["resources"]
    (deployment,) = [r["properties"] for r in resources if r["type"] == "kubernetes:apps/v1:Deployment"]
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("text", NASTY)
def test_a_text_is_one_value(text: str, tmp_path: Path) -> None:
    written = text.replace("${", "$${")
    given = compiled(tmp_path, {"command": [written], "args": ["--x", written], "env": {"LEVEL": written}})
    plain = compiled(tmp_path, {"command": ["a"], "args": ["--x", "a"], "env": {"LEVEL": "a"}})

    assert (given["command"], given["args"]) == ([text], ["--x", text])
    assert given["env"] == [{"name": "LEVEL", "value": text}]
    assert {**given, "command": 0, "args": 0, "env": 0} == {**plain, "command": 0, "args": 0, "env": 0}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("namespace: flights", 'namespace: "TEXT"'),
        ("context: prod, ", 'context: prod, prometheus: "http://TEXT", '),
        ("serving: {own", 'serving: {"TEXT"'),
        ("container: %s", 'container: {health: "/TEXT"}'),
        ("image: 'ghcr.io/acme/own:1'", 'image: "TEXT"'),
    ],
)
@pytest.mark.parametrize("text", ['x"} or vector(1) #', "x\nprivileged: true", "x; rm -rf /"])
def test_what_names_something_takes_nothing_of_the_kind(
    before: str, after: str, text: str, tmp_path: Path
) -> None:
    spec = tmp_path / "bedplate.yaml"
    escaped = json.dumps(text).removeprefix('"').removesuffix('"')
    spec.write_text(SPEC.replace(before, after.replace("TEXT", escaped)).replace("%s", "{}"))

    found = check_file(spec)[1]
    assert [d.code for d in found] == ["BP027" if before.startswith("serving") else "BP023"]
