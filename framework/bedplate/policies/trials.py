"""The team's tests of its own rules: resources that must be accepted, and such that must be refused.

`tests/RULE.yaml`, in the folder of the policies, is about the rule in `RULE.yaml` or `RULE.py` beside that folder:

    accept:
      an image of our own:
        type: kubernetes:apps/v1:Deployment
        properties: {spec: {template: {spec: {containers: [{image: ghcr.io/acme/server}]}}}}
    refuse:
      an image from elsewhere:
        type: kubernetes:apps/v1:Deployment
        properties: {spec: {template: {spec: {containers: [{image: docker.io/acme/server}]}}}}
        environment: {name: prod, target: kubernetes, mode: production}
        says: ghcr.io

`environment` may be left out, or any part of it: then it is one that the rule applies to. So may `says`, which is
a part of the message, and a resource's `name`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from bedplate.policies.asked import Failed, NoMessages
from bedplate.policies.policy import MODES, Applies, Policy
from bedplate.project_files import OutsideProject, open_inside

FOLDER = "tests"
LARGEST = 4 * 1024**2
Kind = Literal["accept", "refuse"]
_KINDS: tuple[Kind, ...] = ("accept", "refuse")
_FIELDS = {"type": str, "properties": dict, "name": str, "environment": dict, "says": str}
_ENVIRONMENT = ("name", "target", "mode")


@dataclass(frozen=True, slots=True)
class Trial:
    """One resource, and what the rule must do with it. `line` counts from 1."""

    name: str
    kind: Kind
    line: int
    resource: Mapping[str, Any]
    environment: Mapping[str, str]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`why` it failed; empty where it passed."""

    trial: Trial
    why: str = ""

    @property
    def passed(self) -> bool:
        return not self.why


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule with what came of its tests; `file` is where they are, or should be."""

    policy: Policy
    file: str
    outcomes: tuple[Outcome, ...] = ()

    @property
    def untested(self) -> str:
        """What is not tested of it; empty where all is well."""
        kinds = {outcome.trial.kind for outcome in self.outcomes}
        if not kinds:
            return "nothing tests it"
        return "" if "refuse" in kinds else "nothing tests that it refuses anything"


@dataclass(frozen=True, slots=True)
class Report:
    """Every rule of the team, tried. `problems`: files that are no tests, each with why."""

    tried: tuple[Tried, ...]
    problems: Mapping[str, str]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(outcome for tried in self.tried for outcome in tried.outcomes)

    @property
    def failed(self) -> int:
        return sum(not outcome.passed for outcome in self.outcomes)

    @property
    def succeeded(self) -> bool:
        return not self.failed and not self.problems


class Unusable(Exception):
    """A file is no test of a rule; the text says why."""


def try_rules(root: Path, folder: str, policies: Sequence[Policy]) -> Report:
    """Runs the tests in a folder of policies. Those of rules in Python that were left out are left out as well."""
    tried = {}
    problems = {}
    for file in _files(root, f"{folder}/{FOLDER}"):
        try:
            policy = _rule_of(file, policies, root / folder)
            if policy is not None:
                tried[policy.code] = tuple(_outcome(trial, policy) for trial in _read(root, file, policy))
        except Unusable as error:
            problems[file] = str(error)
    results = tuple(Tried(p, f"{folder}/{FOLDER}/{_stem(p)}.yaml", tried.get(p.code, ())) for p in policies)
    return Report(tuple(result for result in results if result.file not in problems), problems)


def _stem(policy: Policy) -> str:
    return PurePosixPath(policy.origin).stem


def _files(root: Path, folder: str) -> Iterator[str]:
    place = root / folder
    if place.is_dir():
        for name in sorted(os.listdir(place)):
            if name.endswith(".yaml") and not name.startswith((".", "_")):
                yield f"{folder}/{name}"


def _rule_of(file: str, policies: Sequence[Policy], beside: Path) -> Policy | None:
    """The rule that a file tests; None where that is one that was left out."""
    stem = PurePosixPath(file).stem
    rules = [policy for policy in policies if _stem(policy) == stem]
    if len(rules) > 1:
        names = " and ".join(PurePosixPath(policy.origin).name for policy in rules)
        raise Unusable(f"it is of {names} alike: give one of them another name")
    if rules:
        return rules[0]
    if any((beside / f"{stem}{ending}").exists() for ending in (".py", ".yaml")):
        return None
    raise Unusable(f"there is no rule {stem}.yaml or {stem}.py that it could test")


def _read(root: Path, file: str, policy: Policy) -> list[Trial]:
    try:
        with open_inside(root, file) as opened:
            data = opened.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise Unusable(f"it is larger than {LARGEST // 1024**2} MiB")
        node = yaml.compose(data, Loader=yaml.CSafeLoader)
        return [*_trials(node, policy.applies)]
    except OutsideProject as error:
        raise Unusable("it leads outside the project") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise Unusable(f"{line}{error.problem}") from error
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unusable(" ".join(str(error).split())) from error


def _trials(node: yaml.Node | None, applies: Applies) -> Iterator[Trial]:
    """Every test of a file, by its nodes: of two of one name, YAML's own mapping would keep the last."""
    seen = set()
    for kind_key, named in _items(node, "it is a mapping of accept and refuse"):
        kind = next((kind for kind in _KINDS if kind == kind_key.value), None)
        if kind is None:
            raise Unusable(f"line {_line(kind_key)}: {kind_key.value} is neither accept nor refuse")
        for name, given in _items(named, f"{kind} is a mapping of names to resources"):
            if (kind, name.value) in seen:
                raise Unusable(f"line {_line(name)}: there are two tests {name.value} in {kind}")
            seen.add((kind, name.value))
            data = yaml.constructor.SafeConstructor().construct_document(given)
            problem = _problem(data, kind)
            if problem:
                raise Unusable(f"line {_line(name)}: {name.value}: {problem}")
            yield _trial(kind, name, data, applies)


def _items(node: yaml.Node | None, otherwise: str) -> list[tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise Unusable(otherwise)
    return list(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _problem(given: object, kind: Kind) -> str | None:
    """What is wrong with one test."""
    fields = [field for field in _FIELDS if field != "says" or kind == "refuse"]
    if not isinstance(given, dict) or not {"type", "properties"} <= given.keys() <= {*fields}:
        return f"it is a mapping of {', '.join(fields)}; type and properties must be there"
    for field, value in given.items():
        if not isinstance(value, _FIELDS[field]):
            return f"{field} is {'a mapping' if _FIELDS[field] is dict else 'a text'}"
    environment = given.get("environment", {})
    if not environment.keys() <= {*_ENVIRONMENT} or not all(isinstance(v, str) for v in environment.values()):
        return f"environment is a mapping of {', '.join(_ENVIRONMENT)}, each a text"
    if environment.get("mode", MODES[0]) not in MODES:
        return f"environment.mode is one of {', '.join(MODES)}"
    return None


def _trial(kind: Kind, name: yaml.Node, given: Mapping[str, Any], applies: Applies) -> Trial:
    resource = {
        "name": given.get("name", "example"),
        "type": given["type"],
        "properties": given["properties"],
    }
    environment = {**_environment(given["type"], applies), **given.get("environment", {})}
    return Trial(str(name.value), kind, _line(name), resource, environment, given.get("says", ""))


def _environment(of_type: str, applies: Applies) -> dict[str, str]:
    """One that the rule applies to, where a resource of the type can be."""
    return {
        "name": applies.environment.replace("*", "") or "prod",
        "target": "local" if of_type.startswith("bedplate:local:") else "kubernetes",
        "mode": applies.mode or "production",
    }


def _outcome(trial: Trial, policy: Policy) -> Outcome:
    """What the rule does with the resource. Where a team's code fails, so does its test."""
    rule = policy.rule
    if rule is None:
        return Outcome(trial, "the policy cannot be tested")
    try:
        said = [*rule(trial.resource, trial.environment)]
    except NoMessages as error:
        return Outcome(trial, str(error))
    except Failed as error:
        return Outcome(trial, f"the policy failed: {error}")
    if trial.kind == "accept":
        return Outcome(trial, f"it is refused: {'; '.join(said)}" if said else "")
    if not said:
        apart = (
            ""
            if policy.applies.covers(trial.resource, trial.environment)
            else f": {_elsewhere(trial, policy)}"
        )
        return Outcome(trial, f"it is accepted{apart}")
    if not any(trial.says in message for message in said):
        return Outcome(trial, f"it is refused, but nothing says {trial.says!r}: {'; '.join(said)}")
    return Outcome(trial)


def _elsewhere(trial: Trial, policy: Policy) -> str:
    about = policy.applies
    wanted = [about.type, *([f"mode {about.mode}"] if about.mode else ())]
    if about.environment != "*":
        wanted.append(f"environment {about.environment}")
    return f"the rule applies to {', '.join(wanted)}, which this is not"
