"""JSON as bedplate writes what may be large: sorted keys, two spaces, ASCII. The bytes are those of `json.dumps`,
which is three times as slow where it indents: for a thousand services that is a third of compiling them.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted


def json_text(value: object, *, line: str = "\n") -> str:
    """`json.dumps(value, indent=2, sort_keys=True, allow_nan=False)`. `line` ends a line and indents the next.

    Raises ValueError for a number that is none, TypeError for what JSON does not have.
    """
    if isinstance(value, str):
        return quoted(value)
    if type(value) is int:
        return str(value)
    inner = f"{line}  "
    if isinstance(value, dict) and value:
        parts = [f"{quoted(key)}: {json_text(item, line=inner)}" for key, item in sorted(value.items())]
        return f"{{{inner}{f',{inner}'.join(parts)}{line}}}"
    if isinstance(value, list | tuple) and value:
        parts = [json_text(item, line=inner) for item in value]
        return f"[{inner}{f',{inner}'.join(parts)}{line}]"
    return json.dumps(value, allow_nan=False)
