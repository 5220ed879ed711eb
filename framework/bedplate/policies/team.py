"""The team's own policies, in a folder of the project that the spec names.

`RULE.yaml` is a rule as data:

    code: ACME001
    title: every service says which team owns it
    help: add the label team in kubernetes.patches
    level: warning                        left out: error
    applies: {type: "kubernetes:apps/v1:*", mode: production}
    schema: {type: object, ...}           draft-07, of the resource's properties

`RULE.py` is one that a schema cannot say: CODE, TITLE, HELP, LEVEL, and `check(resource, environment)`, which is given
plain data (a resource's name, type and properties; an environment's name, target and mode) and yields a
message for each thing that is wrong.

What lies in its folder `tests` is for trials.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.abc import InspectLoader
from importlib.util import decode_source, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

import yaml

from bedplate.compiler import Compiled
from bedplate.diagnostics import Diagnostic, Severity, dotted, meant
from bedplate.graph import Resource, encode
from bedplate.policies.asked import Failed, NoMessages, asked, run
from bedplate.policies.policy import MODES, Applies, Breach, Policy, Rule, resources
from bedplate.project_files import OutsideProject, meant_path, open_inside, real_inside
from bedplate.spec.load import FILE_BYTES
from bedplate.spec.project import Environment

CODE = re.compile(r"(?!BP)[A-Z]{2,10}[0-9]{3}")
_KEYS = frozenset({"code", "title", "help", "level", "applies", "schema"})
_APPLIES = frozenset({"type", "mode", "environment"})


class Unusable(Exception):
    """A file in the folder is no policy; the text says why."""


def load(root: Path, folder: str, *, code: bool = True) -> tuple[tuple[Policy, ...], tuple[Diagnostic, ...]]:
    """The policies of a folder, and what is wrong with its files. `code` False leaves Python rules out."""
    try:
        names = _listed(root, folder)
    except OutsideProject:
        return (), (_outside(folder, "use a folder of the project"),)
    except OSError as error:
        if _is_there(root, folder):
            return (), (Diagnostic("BP750", f"{folder} cannot be read: {error.strerror}", ("policies",)),)
        near = meant_path(root, folder)
        told = meant(near) if near else "the path is relative to the project's folder"
        return (), (Diagnostic("BP750", f"there is no folder {folder}", ("policies",), help=told),)
    found: dict[str, Policy] = {}
    problems: list[Diagnostic] = []
    for name in names:
        if name.endswith(".py") and not code:
            continue
        try:
            policy = _rule(root, name)
            if policy.code in found:
                raise Unusable(f"{policy.code} is the code of {found[policy.code].origin} too")
            found[policy.code] = policy
        except OutsideProject:
            problems.append(_outside(name, "use a file in the project's folder"))
        except Unusable as error:
            problems.append(Diagnostic("BP750", f"{name} is no policy: {error}", ("policies",)))
    return tuple(found.values()), tuple(problems)


def _listed(root: Path, folder: str) -> list[str]:
    """The files in the folder that are taken for policies. Raises OutsideProject, OSError."""
    names = sorted(os.listdir(real_inside(root, folder)))
    return [f"{folder}/{n}" for n in names if not n.startswith((".", "_")) and n.endswith((".yaml", ".py"))]


def _is_there(root: Path, folder: str) -> bool:
    return os.path.isdir(root / folder)  # which a name that is too long is not, either


def _outside(name: str, help_text: str) -> Diagnostic:
    return Diagnostic("BP111", f"{name} leads outside the project", ("policies",), help=help_text)


def _rule(root: Path, name: str) -> Policy:
    """The policy in a file of the project, whose bytes are what is read here and nothing else."""
    try:
        with open_inside(root, name) as file:
            data = file.read(FILE_BYTES + 1)
    except OutsideProject:
        raise
    except (OSError, ValueError) as error:
        raise Unusable(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > FILE_BYTES:
        raise Unusable(f"it is larger than {FILE_BYTES // 1024**2} MiB")
    return _schema_rule(data, name) if name.endswith(".yaml") else _python_rule(data, name, root / name)


def _schema_rule(data: bytes, name: str) -> Policy:
    from jsonschema import Draft7Validator, SchemaError
    from referencing import Registry

    try:
        rule = yaml.load(data, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unusable(" ".join(str(error).split())) from error
    if not isinstance(rule, dict) or not {"code", "title", "schema"} <= rule.keys() <= _KEYS:
        raise Unusable(
            f"it is a mapping of {', '.join(sorted(_KEYS))}; help, level and applies may be left out"
        )
    applies = rule.get("applies", {})
    if not isinstance(applies, dict) or not applies.keys() <= _APPLIES:
        raise Unusable(f"applies is a mapping of {', '.join(sorted(_APPLIES))}")
    if applies.get("mode") not in (None, *MODES):
        raise Unusable(f"applies.mode is one of {', '.join(MODES)}")
    try:
        Draft7Validator.check_schema(rule["schema"])
    except SchemaError as error:
        raise Unusable(f"its schema: {error.message}") from error
    validator = Draft7Validator(rule["schema"], registry=Registry())  # which looks nothing up elsewhere

    about = Applies(**{key: str(value) for key, value in applies.items()})

    def check(resource: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[str]:
        if about.covers(resource, environment) and not validator.is_valid(resource["properties"]):
            yield str(rule["title"])

    def in_detail(resource: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[str]:
        if about.covers(resource, environment):
            for error in validator.iter_errors(resource["properties"]):
                yield f"{dotted((*error.absolute_path,)) or 'properties'}: {error.message}"

    return Policy(
        _code(rule["code"]),
        str(rule["title"]),
        partial(_each, asked(check, name), str(rule.get("help", ""))),
        name,
        about,
        _level(rule.get("level", "error")),
        asked(in_detail, name),
    )


class _Read(InspectLoader):
    """Runs a module from bytes that were read already; nothing is written into the team's folder."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data, self.path = data, path

    def get_source(self, fullname: str) -> str:
        return decode_source(self.data)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.data, str(self.path))


def _python_rule(data: bytes, name: str, path: Path) -> Policy:
    spec = spec_from_file_location(f"bedplate_policy_{path.stem}", path, loader=_Read(data, path))
    if spec is None or spec.loader is None:
        raise Unusable("it cannot be imported")
    module = module_from_spec(spec)
    try:
        run(partial(spec.loader.exec_module, module), name, path)
    except Failed as error:
        raise Unusable(str(error)) from error
    check = getattr(module, "check", None)
    if not callable(check):
        raise Unusable("it has no function check(resource, environment)")
    rule = asked(check, name, path)
    return Policy(
        _code(getattr(module, "CODE", "")),
        str(getattr(module, "TITLE", path.stem)),
        partial(_each, rule, str(getattr(module, "HELP", ""))),
        name,
        level=_level(getattr(module, "LEVEL", "error")),
        rule=rule,
    )


def _code(code: object) -> str:
    if not isinstance(code, str) or not CODE.fullmatch(code):
        raise Unusable(f"its code {code!r} is not letters of your own and three digits, such as ACME001")
    return code


def _level(level: object) -> Severity:
    if level == "warning":
        return "warning"
    if level == "error":
        return "error"
    raise Unusable(f"its level {level!r} is neither error nor warning")


def _each(
    check: Rule,
    help_text: str,
    compiled: Compiled,
    environment: Environment,
) -> Iterator[Breach]:
    told = {"name": environment.name, "target": environment.target, "mode": environment.mode}
    for stack, resource in resources(compiled):
        try:
            messages = [*check(_plain(resource), told)]
        except NoMessages as error:
            yield Breach(str(error), "mend it", place=("policies",))  # once, whatever it was asked about
            return
        except Failed as error:
            yield Breach(f"the policy failed: {error}", "mend it", stack, resource.name)
            return
        for message in messages:
            yield Breach(message, help_text, stack, resource.name)


def _plain(resource: Resource) -> dict[str, Any]:
    return {"name": resource.name, "type": resource.type, "properties": encode(resource.properties)}
