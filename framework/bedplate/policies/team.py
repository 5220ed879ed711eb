"""The team's own policies, in a folder of the project that the spec names.

`RULE.yaml` is a rule as data:

    code: ACME001
    title: every service says which team owns it
    help: add the label team in kubernetes.patches
    applies: {type: "kubernetes:apps/v1:*", mode: production}
    schema: {type: object, ...}           draft-07, of the resource's properties

`RULE.py` is one that a schema cannot say: CODE, TITLE, HELP, and `check(resource, environment)`, which is given
plain data (a resource's name, type and properties; an environment's name, target and mode) and yields a
message for each thing that is wrong.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import yaml

from bedplate.compiler import Compiled
from bedplate.diagnostics import Diagnostic
from bedplate.graph import Resource, encode
from bedplate.policies.policy import Breach, Policy, resources
from bedplate.spec.project import Environment

CODE = re.compile(r"(?!BP)[A-Z]{2,10}[0-9]{3}")
_KEYS = frozenset({"code", "title", "help", "applies", "schema"})
_APPLIES = frozenset({"type", "mode", "environment"})


class Unusable(Exception):
    """A file in the folder is no policy; the text says why."""


def load(root: Path, folder: str, *, code: bool = True) -> tuple[tuple[Policy, ...], tuple[Diagnostic, ...]]:
    """The policies of a folder, and what is wrong with its files. `code` False leaves Python rules out."""
    found: dict[str, Policy] = {}
    problems: list[Diagnostic] = []
    place = root / folder
    if not os.path.isdir(place):  # which a name that is too long is not, either
        return (), (Diagnostic("BP750", f"there is no folder {folder}", ("policies",)),)
    try:
        paths = sorted(place.iterdir())
    except OSError as error:
        return (), (Diagnostic("BP750", f"{folder} cannot be read: {error.strerror}", ("policies",)),)
    for path in paths:
        if path.name.startswith((".", "_")) or path.suffix not in (".yaml", ".py"):
            continue
        if path.suffix == ".py" and not code:
            continue
        name = f"{folder}/{path.name}"
        try:
            if not path.is_file():
                raise Unusable("it is not a regular file")
            if not path.resolve().is_relative_to(root.resolve()):
                raise Unusable("a link leads out of the project")
            policy = _schema_rule(path, name) if path.suffix == ".yaml" else _python_rule(path, name)
            if policy.code in found:
                raise Unusable(f"{policy.code} is the code of {found[policy.code].origin} too")
            found[policy.code] = policy
        except Unusable as error:
            problems.append(Diagnostic("BP750", f"{name} is no policy: {error}", ("policies",)))
    return tuple(found.values()), tuple(problems)


def _schema_rule(path: Path, name: str) -> Policy:
    from jsonschema import Draft7Validator, SchemaError
    from referencing import Registry

    try:
        rule = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unusable(" ".join(str(error).split())) from error
    if not isinstance(rule, dict) or not {"code", "title", "schema"} <= rule.keys() <= _KEYS:
        raise Unusable(f"it is a mapping of {', '.join(sorted(_KEYS))}; help and applies may be left out")
    applies = rule.get("applies", {})
    if not isinstance(applies, dict) or not applies.keys() <= _APPLIES:
        raise Unusable(f"applies is a mapping of {', '.join(sorted(_APPLIES))}")
    try:
        Draft7Validator.check_schema(rule["schema"])
    except SchemaError as error:
        raise Unusable(f"its schema: {error.message}") from error
    validator = Draft7Validator(rule["schema"], registry=Registry())  # which looks nothing up elsewhere

    def check(resource: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[str]:
        if _applies(applies, resource, environment) and not validator.is_valid(resource["properties"]):
            yield str(rule["title"])

    return Policy(
        _code(rule["code"]),
        str(rule["title"]),
        partial(_each, check, str(rule.get("help", ""))),
        name,
    )


def _applies(applies: Mapping[str, Any], resource: Mapping[str, Any], environment: Mapping[str, Any]) -> bool:
    return (
        fnmatchcase(resource["type"], str(applies.get("type", "*")))
        and applies.get("mode", environment["mode"]) == environment["mode"]
        and fnmatchcase(environment["name"], str(applies.get("environment", "*")))
    )


def _python_rule(path: Path, name: str) -> Policy:
    spec = spec_from_file_location(f"bedplate_policy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Unusable("it cannot be imported")
    module = module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing into the team's folder
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Unusable(f"{type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = writes
    check = getattr(module, "check", None)
    if not callable(check):
        raise Unusable("it has no function check(resource, environment)")
    return Policy(
        _code(getattr(module, "CODE", "")),
        str(getattr(module, "TITLE", path.stem)),
        partial(_each, check, str(getattr(module, "HELP", ""))),
        name,
    )


def _code(code: object) -> str:
    if not isinstance(code, str) or not CODE.fullmatch(code):
        raise Unusable(f"its code {code!r} is not letters of your own and three digits, such as ACME001")
    return code


def _each(
    check: Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[str]],
    help_text: str,
    compiled: Compiled,
    environment: Environment,
) -> Iterator[Breach]:
    told = {"name": environment.name, "target": environment.target, "mode": environment.mode}
    for stack, resource in resources(compiled):
        try:
            messages = [*check(_plain(resource), told)]
        except Exception as error:  # noqa: BLE001 - whatever the team's code raises
            yield Breach(
                f"the policy failed: {type(error).__name__}: {error}", "mend it", stack, resource.name
            )
            return
        for message in messages:
            yield Breach(str(message), help_text, stack, resource.name)


def _plain(resource: Resource) -> dict[str, Any]:
    return {"name": resource.name, "type": resource.type, "properties": encode(resource.properties)}
