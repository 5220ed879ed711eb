"""Names of the language: what can be one, and what becomes of them where the world wants DNS-1123 labels."""

from __future__ import annotations

import re

from bedplate.spec.tree import Scalar

LENGTH = 40
NAME = re.compile(rf"(?!x-)[a-z][a-z0-9_-]{{0,{LENGTH - 1}}}")
RULE = (
    f"a lower-case letter, then lower-case letters, digits, _ or -; at most {LENGTH} characters; not x- first"
)
_NO_TEXTS = ("true", "false", "null")


def is_name(scalar: Scalar) -> bool:
    """Whether a Name would take it."""
    return is_plain_name(scalar.text) if scalar.plain else bool(NAME.fullmatch(scalar.text))


def is_plain_name(text: str) -> bool:
    """Whether a text is a name where it is written without quotes."""
    return bool(NAME.fullmatch(text)) and text not in _NO_TEXTS


def name_problem(name: str) -> tuple[str, str]:
    """The message and the help about a text that is no name."""
    return f"{name} is not a name", RULE


def world_name(name: str) -> str:
    """What a name is in the world: _ becomes -, and none ends with it."""
    return name.replace("_", "-").rstrip("-")


def variable_of(secret: str) -> str:
    """The variable that a secret comes from where nothing is said about it: `api-key` from API_KEY."""
    return secret.upper().replace("-", "_")
