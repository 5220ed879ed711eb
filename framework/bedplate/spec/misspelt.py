"""A misspelt key at the top of a file: said once, and read as what was meant.

What is under it is named all over the spec: without it, every such name would be one more mistake.
"""

from __future__ import annotations

from dataclasses import replace

from bedplate.diagnostics import Diagnostic, did_you_mean
from bedplate.sections import SECTIONS
from bedplate.spec.frame import Frame
from bedplate.spec.grammar import IGNORED, unknown_key
from bedplate.spec.tree import Map


def mended(tree: Map) -> tuple[Map, list[Diagnostic]]:
    """The tree with the keys that were meant, and what is said of those that were written."""
    known = (*Frame.model_fields, *SECTIONS)
    items, keys = dict(tree.items), dict(tree.keys)
    found = []
    for key in tree.items:
        if key in known or key.startswith(IGNORED):
            continue
        meant = did_you_mean(key, known)
        if meant is not None and meant not in items:
            items[meant], keys[meant] = items.pop(key), keys.pop(key)
            found.append(unknown_key(key, (key,), keys[meant], known))
    return replace(tree, items=items, keys=keys), found
