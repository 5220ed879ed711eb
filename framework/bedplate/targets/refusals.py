"""How targets say that they cannot honour something, or have no use for it."""

from __future__ import annotations

from bedplate.diagnostics import Diagnostic, PathKey
from bedplate.spec.project import Environment


def cannot(
    target: str, environment: Environment, path: tuple[PathKey, ...], what: str, help_text: str
) -> Diagnostic:
    """An entry asks for what the target cannot do: `what` completes "the target local cannot ..."."""
    return Diagnostic(
        "BP220",
        f"the target {target} of environment {environment.name} cannot {what}",
        path,
        help=help_text,
        environment=environment.name,
        at_key=True,
    )


def no_use(target: str, environment: Environment, path: tuple[PathKey, ...], help_text: str) -> Diagnostic:
    """The environment says what its target has no use for."""
    return Diagnostic(
        "BP115",
        f"the target {target} of environment {environment.name} has no use for {path[0]}",
        ("environments", environment.name, *path),
        help=help_text,
        environment=environment.name,
        at_key=True,
    )
