"""Policies: what may stand in a compiled graph, whatever the spec said to get it there.

policy.py     what a policy is, and how a breach finds its place in the spec
production.py what `mode: production` demands
pods.py       the Pod Security Standard "restricted", and what good practice adds
sizes.py      what the API server would refuse for its length
team.py       the team's own: JSON-Schema rules and small Python modules in a folder of the project
asked.py      runs the code of those modules
trials.py     the team's tests of them: resources that must be accepted, and such that must be refused

To add one: a module with POLICIES, its line in BUILT_IN, its explanation, its cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bedplate.compiler import Compiled
from bedplate.diagnostics import Diagnostic
from bedplate.policies import pods, production, sizes
from bedplate.policies.policy import Policy, located
from bedplate.spec.project import Project

BUILT_IN: tuple[Policy, ...] = (
    *production.POLICIES,
    *pods.POLICIES,
    *sizes.POLICIES,
)


def of_team(
    root: Path, folder: str, *, code: bool = True
) -> tuple[tuple[Policy, ...], tuple[Diagnostic, ...]]:
    """The team's policies, and what is wrong with them. `code` False leaves out those that run code."""
    from bedplate.policies.team import load  # with what it needs, which most specs do not

    return load(root, folder, code=code)


def check(compiled: Compiled, project: Project, team: Iterable[Policy] = ()) -> Iterator[Diagnostic]:
    """Every breach of the built-in policies and the team's, each at its place in the spec."""
    for policy in (*BUILT_IN, *team):
        for breach in policy.check(compiled, project.environment):
            yield located(policy, breach, compiled, project)
