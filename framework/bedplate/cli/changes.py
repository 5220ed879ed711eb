"""How plans, steps and drift are shown to a person."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bedplate.cli.terminal import line, paint
from bedplate.engine.plan import Change, Plan, resource_name
from bedplate.engine.session import Stack

SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
STYLE = {"create": "good", "update": "change", "replace": "change", "delete": "bad"}
DOING = {"create": "creating", "update": "changing", "replace": "replacing", "delete": "deleting"}
DONE = {"create": "created", "update": "changed", "replace": "replaced", "delete": "deleted"}
TO = {"create": "create", "update": "change", "replace": "replace", "delete": "delete"}
SHORT = 12


def show_plan(plan: Plan) -> None:
    """The changes, one a line, their fields below; then a count."""
    for change in plan.changes:
        show_change(change)
    line(summary(plan.changes, sum(stack.unchanged for stack in plan.stacks)))


def show_change(change: Change) -> None:
    kind = change.type.rpartition(":")[2].lower()
    sign = paint(SIGNS[change.action], STYLE[change.action], bold=True)
    where = paint(f"  {change.source}", "quiet") if change.source else ""
    line(f"  {sign} {change.action:<8} {kind} {paint(change.address, 'name')}{where}")
    for item in change.fields:
        line(f"      {item.field}: {_short(item.before)} -> {_short(item.after)}")
        line(paint(f"        {item.reason}", "quiet"))


def summary(changes: Sequence[Change], unchanged: int, *, done: bool = False) -> str:
    """`2 to create, 1 to change, 3 unchanged` (done: `2 created, ...`), or that there is nothing to do."""
    if not changes:
        return f"no changes: {unchanged} resource{'s' * (unchanged != 1)} as the spec says"
    counts = [
        f"{count} {DONE[action] if done else f'to {TO[action]}'}"
        for action in TO
        if (count := sum(change.action == action for change in changes))
    ]
    return ", ".join([*counts, f"{unchanged} unchanged"])


@dataclass(slots=True)
class StepLines:
    """Prints a line when a resource's step begins and one when it ends, with the time it took."""

    quiet: bool = False
    done: int = 0
    _begun: dict[str, float] = field(default_factory=dict)

    def __call__(self, stack: Stack, metadata: Mapping[str, Any], word: str) -> None:
        operation, urn = str(metadata["op"]), str(metadata["urn"])
        action = operation.removesuffix("d").removesuffix("-replacement").removesuffix("-replace")
        if action not in DOING or str(metadata["type"]).startswith("pulumi:"):
            return
        name = resource_name(urn)
        origin = stack.origins.get(name)
        address = origin.address if origin else f"{stack.section}.{name}"
        if word == "begun":
            self._begun[urn] = time.monotonic()
            self._say(f"  {paint('…', 'quiet')} {DOING[action]} {address}")
            return
        took = time.monotonic() - self._begun.pop(urn, time.monotonic())
        if word == "done":
            self.done += 1
            self._say(f"  {paint('✓', 'good')} {DONE[action]} {address} {paint(f'{took:.1f} s', 'quiet')}")
        else:
            self._say(f"  {paint('✗', 'bad')} {DOING[action]} {address} failed after {took:.1f} s")

    def _say(self, text: str) -> None:
        if not self.quiet:
            line(text)


def _short(value: Any) -> str:
    match value:
        case None:
            return "(none)"
        case {"fingerprint": str(fingerprint)}:  # a secret, which is told by nothing else
            return _short(fingerprint)
        case str(text):
            pass
        case _:
            text = json.dumps(value, ensure_ascii=False)
    if len(text) == 64 and all(c in "0123456789abcdef" for c in text):
        return text[:SHORT] + "…"
    return text if len(text) <= 60 else text[:59] + "…"
