"""A plan: per stack, the facts it was made from and what would change, in the spec's own words.

Plans are made from the engine's preview events, or, for a stack that was never applied, from its graph alone.
A saved plan holds while every fact it was made from still holds; anything else is exit 5.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bedplate.atomic import write_atomically
from bedplate.engine.provider.kind import Property
from bedplate.engine.pulumi import Event
from bedplate.engine.state import Facts
from bedplate.errors import StalePlan
from bedplate.graph import Graph, Origin

PLAN_VERSION = 1
Action = Literal["create", "update", "replace", "delete"]
_ACTIONS: dict[str, Action] = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "import": "create",
}
SECRET = "[secret]"  # noqa: S105 - what stands in a secret's place
_HIDDEN_TYPES = ("pulumi:pulumi:Stack",)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a change: its values before and after, None where there is none, and why it changes."""

    field: str
    before: Any
    after: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to one resource. `address` is the spec's own where the resource has one."""

    action: Action
    address: str
    resource: str
    type: str
    fields: tuple[FieldChange, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What would happen to one stack, and the facts that this was found from."""

    stack: str
    facts: Facts
    changes: tuple[Change, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen to one environment; `stacks` in the order of application."""

    project: str
    environment: str
    stacks: tuple[StackPlan, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for stack in self.stacks for change in stack.changes)

    def to_data(self) -> dict[str, Any]:
        return {"version": PLAN_VERSION, **asdict(self)}


def save(plan: Plan, path: Path) -> None:
    """Writes a plan with the digest of its content, so that a changed file is seen."""
    data = plan.to_data()
    write_atomically(path, json.dumps({**data, "sha256": _digest(data)}, indent=2, sort_keys=True) + "\n")


def load(path: Path) -> Plan:
    """The inverse of `save`. Raises StalePlan when the file is not as some `save` of this version left it."""
    try:
        data = json.loads(path.read_bytes())
        if data.pop("sha256") != _digest(data) or data.pop("version") != PLAN_VERSION:
            raise ValueError("edited, or of another version")
        stacks = tuple(_stack_from_data(stack) for stack in data.pop("stacks"))
        return Plan(stacks=stacks, **data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StalePlan(
            f"{path} is not a plan as this version of bedplate saved it",
            hint="make it again with `bedplate plan --save`",
        ) from error


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def from_graph(graph: Graph, origins: Mapping[str, Origin]) -> tuple[Change, ...]:
    """What a first application creates."""
    return tuple(
        Change(
            "create", _address(r.name, graph.section, origins), r.name, r.type, (), _source(r.name, origins)
        )
        for r in graph.in_order()
    )


def from_events(
    events: Iterable[Event], section: str, origins: Mapping[str, Origin]
) -> tuple[tuple[Change, ...], int]:
    """What a preview found: the changes, and the number of resources that stay as they are."""
    changes: list[Change] = []
    unchanged = 0
    for metadata in steps(events):
        told = tuple(_options(metadata))
        if metadata["op"] == "same" and told:
            changes.append(replace(_change({**metadata, "op": "update"}, section, origins), fields=told))
        elif metadata["op"] == "same":
            unchanged += 1
        elif metadata["op"] in _ACTIONS:
            changes.append(_change(metadata, section, origins))
    return tuple(changes), unchanged


def steps(events: Iterable[Event]) -> Iterator[Mapping[str, Any]]:
    """The metadata of every step on a resource that a person would call one."""
    for event in events:
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if metadata["type"] not in _HIDDEN_TYPES and not _is_new_provider(metadata):
                yield metadata


def resource_name(urn: str) -> str:
    """The name that a URN ends with."""
    return urn.rpartition("::")[2]


def _is_new_provider(metadata: Mapping[str, Any]) -> bool:
    """Provider entries come and go with what uses them; only a change of version is worth a word."""
    return metadata["type"].startswith("pulumi:providers:") and metadata["op"] in ("create", "delete", "same")


def _change(metadata: Mapping[str, Any], section: str, origins: Mapping[str, Origin]) -> Change:
    name = resource_name(metadata["urn"])
    return Change(
        _ACTIONS[metadata["op"]],
        _address(name, section, origins, metadata),
        name,
        metadata["type"],
        tuple(_fields(metadata)),
        _source(name, origins),
    )


def _fields(metadata: Mapping[str, Any]) -> Iterator[FieldChange]:
    if metadata["op"] not in ("update", "replace"):
        return
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    paths = sorted(metadata.get("detailedDiff") or dict.fromkeys(metadata.get("diffs") or ()))
    for path in paths:
        if path.endswith(".version") and path.removesuffix("version") + "sha256" in paths:
            continue  # the beginning of the digest: one fact, one line
        before, after = _at(old.get("inputs"), path), _at(new.get("inputs"), path)
        word, reason = _words(metadata["type"], path)
        if before != after or before == SECRET:
            yield FieldChange(word, before, after, reason)
    if old.get("initErrors"):
        yield FieldChange("health", "not healthy", "healthy", "it was not healthy when it was last applied")


def _options(metadata: Mapping[str, Any]) -> Iterator[FieldChange]:
    """What the engine changes in its state alone, and calls the same: protection, and the name there."""
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    if bool(old.get("protect")) != bool(new.get("protect")):
        before, after = bool(old.get("protect")), bool(new.get("protect"))
        yield FieldChange("protect", before, after, "changed in the spec")
    if old.get("urn") != new.get("urn"):
        was, is_now = resource_name(str(old.get("urn"))), resource_name(str(new.get("urn")))
        yield FieldChange("name", was, is_now, "renamed, and the same thing in the world")


def _words(token: str, path: str) -> tuple[str, str]:
    """How a person names a property of a kind, and why it changes."""
    keys = _keys(path)
    from bedplate.engine.provider.kinds import KINDS  # brings all that runs, which only a change needs

    kind = KINDS.get(token)
    known: Property | None = kind.PROPERTIES.get(str(keys[0])) if kind and keys else None
    if known is None:
        return path, "changed"
    rest = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys[1:])
    return (known.words or str(keys[0])) + rest, known.because or "changed in the spec"


def _keys(path: str) -> list[str | int]:
    """A property path of the engine (`models[0].sha256`) as keys."""
    parts = re.findall(r'([^.\[\]]+)|\[(\d+)\]|\["([^"]*)"\]', path)
    return [int(index) if index else (plain or quoted) for plain, index, quoted in parts]


def _at(value: Any, path: str) -> Any:
    for key in _keys(path):
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _address(
    name: str, section: str, origins: Mapping[str, Origin], metadata: Mapping[str, Any] | None = None
) -> str:
    if name in origins:
        return origins[name].address
    known = ((metadata or {}).get("old") or {}).get("inputs", {}).get("address")
    return known if isinstance(known, str) else f"{section}.{name}"


def _source(name: str, origins: Mapping[str, Origin]) -> str | None:
    origin = origins.get(name)
    return f"{origin.file}:{origin.line}:{origin.column}" if origin else None


def _stack_from_data(data: Mapping[str, Any]) -> StackPlan:
    changes = tuple(
        Change(**{**change, "fields": tuple(FieldChange(**field) for field in change["fields"])})
        for change in data["changes"]
    )
    return StackPlan(data["stack"], Facts.from_data(data["facts"]), changes, data["unchanged"])


def drift(metadata: Mapping[str, Any], section: str, origins: Mapping[str, Origin]) -> Change | None:
    """What a refresh step found different from the state; None when nothing was."""
    old, new = metadata.get("old") or {}, metadata.get("new")
    name = resource_name(metadata["urn"])
    address = _address(name, section, origins, metadata)
    if new is None:
        return Change("delete", address, name, metadata["type"], (), _source(name, origins))
    before, after = old.get("inputs") or {}, new.get("inputs") or {}
    fields = tuple(
        FieldChange(_words(metadata["type"], key)[0], before.get(key), after.get(key), "found in the world")
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )
    return (
        Change("update", address, name, metadata["type"], fields, _source(name, origins)) if fields else None
    )
