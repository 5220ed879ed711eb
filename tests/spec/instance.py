"""A spec as the data that an editor's YAML 1.2 parser gives to a JSON Schema validator."""

from __future__ import annotations

import re
from decimal import Decimal

from bedplate.spec.tree import NULLS, Map, Node, Scalar

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


def instance(node: Node) -> object:
    """The tree as plain data. A float is a Decimal, so that 3.0 is no integer."""
    if isinstance(node, Map):
        return {key: instance(value) for key, value in node.items.items()}
    if not isinstance(node, Scalar):
        return [instance(item) for item in node.items]
    if not node.plain:
        return node.text
    if node.text in NULLS:
        return None
    if node.text in ("true", "false"):
        return node.text == "true"
    if _INTEGER.fullmatch(node.text) and len(node.text) < 4000:
        return int(node.text)
    if _FLOAT.fullmatch(node.text):
        endless = re.fullmatch(r"([-+]?)\.(inf|nan)", node.text, re.IGNORECASE)
        return float(endless.group(1) + endless.group(2)) if endless else Decimal(node.text)
    return node.text
