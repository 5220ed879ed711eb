"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def environment(command: Command) -> Command:
    """--env NAME; left out it is `local`, never another."""
    return click.option(
        "--env", "environment", metavar="NAME", default="local", show_default=True, help="The environment."
    )(command)


def as_json(command: Command) -> Command:
    """--json: one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Answer as one JSON document.")(command)


def yes(command: Command) -> Command:
    """--yes: do not ask."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask before changing anything.")(command)
