"""What the published schema says to editors beyond what JSON Schema defines: hovers in Markdown, snippets and
messages in the words of the diagnostics. Validators do not read these keywords.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bedplate.spec.leaf import Schema

NAMES_PROBLEM = "expected names: a lower-case letter, then lower-case letters, digits, _ or -; 40 at most"


def markdown(description: str, *, required: bool, default: object = None, since: str = "") -> str:
    """A field as it is shown when somebody points at it; its example is shown by the editor itself."""
    facts = ["Required"] if required else []
    if default is not None:
        facts.append(f"Default: `{_written(default)}`")
    facts += [f"Since {since}"] if since else []
    return f"{description}\n\n{' · '.join(facts)}" if facts else description


def entry_snippet(entries: Mapping[str, object], description: str) -> Schema:
    """Offers a first entry where only its name is free to choose."""
    name, body = next(iter(entries.items()))
    return {
        "defaultSnippets": [{"label": name, "description": description, "body": {f"${{1:{name}}}": body}}]
    }


def mapping_snippet(description: str, example: Mapping[str, object]) -> Schema:
    """Offers the example of a field where editors cannot write it on their own: mappings in a list."""
    if not any(isinstance(v, list) and isinstance(v[0], dict) for v in example.values()):
        return {}
    return {"defaultSnippets": [{"label": "example", "description": description, "body": example}]}


def alternatives(one_of: tuple[str, ...], not_both: tuple[tuple[str, str], ...]) -> Schema:
    """Fields of which exactly one, or one at most, may be there; refused at the place of the other one."""
    built: Schema = {}
    if one_of:
        words = f"say one of {', '.join(one_of)}"
        built["anyOf"] = [{"required": [name], "errorMessage": words} for name in one_of]
    pairs = [*not_both, *((one, other) for one in one_of for other in one_of if one < other)]
    excluded: dict[str, list[str]] = {}
    for one, other in pairs:
        excluded.setdefault(one, []).append(other)
    if excluded:
        built["dependencies"] = {one: _without(one, others) for one, others in excluded.items()}
    return built


def _without(one: str, others: list[str]) -> Schema:
    told = f"{one} and {' or '.join(others)} cannot both be said: keep one"
    return {"properties": dict.fromkeys(others, False), "errorMessage": told}


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
