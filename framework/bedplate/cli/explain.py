"""`bedplate explain`: what a diagnostic's code or a field of the spec means. Reads only what is published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from bedplate._resources import resource
from bedplate.cli import terminal
from bedplate.diagnostics import did_you_mean
from bedplate.errors import UsageError

SCHEMA = "bedplate.schema.json"
_CODE = re.compile(r"BP[0-9]{3}", re.IGNORECASE)


@click.command("explain", short_help="what a diagnostic's code or a field of the spec means")
@click.argument("subject", metavar="CODE|FIELD")
def command(subject: str) -> None:
    """Explain a code, such as BP204, or a field of the spec, such as serving.*.replicas."""
    if _CODE.fullmatch(subject):
        terminal.line(_explanation(subject.upper()))
    else:
        terminal.line("\n".join(_field(subject)))


def _explanation(code: str) -> str:
    page = resource("specs", "diagnostics", f"{code}.md")
    if not page.is_file():
        raise UsageError(f"there is no diagnostic {code}", hint="the code stands in brackets: error[BP204]")
    return page.read_text(encoding="utf-8").rstrip("\n")


def _field(address: str) -> Iterator[str]:
    node: Mapping[str, Any] = json.loads(resource("specs", SCHEMA).read_bytes())
    required = False
    for part in re.sub(r"\[\d*\]", "", address).split("."):
        node = node.get("items", node)
        properties: Mapping[str, Any] = node.get("properties", {})
        entries = [value for key, value in node.get("patternProperties", {}).items() if key != "^x-"]
        if part in properties:
            required = part in node.get("required", [])
            node = properties[part]
        elif entries:
            required, node = False, entries[0]
        else:
            raise _unknown(address, part, properties)
        node = node.get("anyOf", [node])[0]
    yield f"{address}: {node.get('description', '')}"
    yield f"  type:     {_type(node)}"
    if "default" in node:
        yield f"  default:  {_shown(node['default'])}"
    elif required:
        yield "  required"
    for example in node.get("examples", []):
        yield f"  example:  {_shown(example)}"
    if node.get("properties"):
        yield f"  fields:   {', '.join(node['properties'])}"


def _unknown(address: str, part: str, properties: Mapping[str, Any]) -> UsageError:
    near = did_you_mean(part, properties)
    known = f"known there: {', '.join(properties)}" if properties else "it has no fields"
    return UsageError(
        f"the spec has no field {address}: {part} is unknown", hint=f"did you mean {near}?" if near else known
    )


def _type(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return f"one of {', '.join(map(str, node['enum']))}"
    words = {"object": "a mapping", "array": "a list"}
    text = str(node.get("title") or words[node["type"]])
    if "minimum" in node:
        text += f" from {node['minimum']} to {node['maximum']}"
    return text


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
