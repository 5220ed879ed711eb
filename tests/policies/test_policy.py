"""Where a policy applies, as it says, and as it does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bedplate.cli.project import check_file
from bedplate.compiler import compile_project
from bedplate.policies import BUILT_IN
from bedplate.policies.policy import Applies
from tests.spec.cases import all_cases

EVERYWHERE = Applies()
PRODUCTION = Applies("kubernetes:apps/v1:*", mode="production", environment="prod-*")
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


@pytest.mark.parametrize(
    ("applies", "environment", "expected"),
    [
        (EVERYWHERE, ("local", "development", "local"), True),
        (PRODUCTION, ("prod-eu", "production", "kubernetes"), True),
        (PRODUCTION, ("prod-eu", "development", "kubernetes"), False),
        (PRODUCTION, ("prod-eu", "production", "local"), False),
        (PRODUCTION, ("staging", "production", "kubernetes"), False),
    ],
)
def test_the_environments_that_a_policy_applies_to(
    applies: Applies, environment: tuple[str, str, str], expected: bool
) -> None:
    assert applies.to(*environment) is expected


@pytest.mark.parametrize(
    ("applies", "of_type", "name", "mode", "expected"),
    [
        (EVERYWHERE, "bedplate:local:Service", "local", "development", True),
        (PRODUCTION, DEPLOYMENT, "prod-eu", "production", True),
        (PRODUCTION, "kubernetes:core/v1:Service", "prod-eu", "production", False),
        (PRODUCTION, DEPLOYMENT, "prod-eu", "development", False),
        (PRODUCTION, DEPLOYMENT, "prod", "production", False),
    ],
)
def test_the_resources_that_a_policy_is_about(
    applies: Applies, of_type: str, name: str, mode: str, expected: bool
) -> None:
    environment = {"name": name, "mode": mode, "target": "kubernetes"}
    assert applies.covers({"type": of_type}, environment) is expected


def test_no_built_in_policy_finds_anything_where_it_says_that_it_does_not_apply(tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    for number, case in enumerate(case for case in all_cases() if case.name.startswith("policies/")):
        folder = tmp_path / str(number)
        folder.mkdir()
        for project in check_file(case.copy(folder))[0].values():
            environment, compiled = project.environment, compile_project(project)
            for policy in BUILT_IN:
                breaches = [*policy.check(compiled, environment)]
                found[policy.code] += len(breaches)
                assert not breaches or policy.applies.to(
                    environment.name, environment.mode, environment.target
                )
                types = {r.name: r.type for graph in compiled.graphs.values() for r in graph.resources}
                told = {"name": environment.name, "mode": environment.mode, "target": environment.target}
                about = [breach for breach in breaches if breach.resource]
                assert all(policy.applies.covers({"type": types[b.resource]}, told) for b in about)
    assert all(found[policy.code] for policy in BUILT_IN)
