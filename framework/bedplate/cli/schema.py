"""`bedplate schema`: print the JSON Schema of the spec."""

from __future__ import annotations

import click

from bedplate.cli import terminal


@click.command("schema", short_help="print the JSON Schema of the spec, for editors")
def command() -> None:
    """Print the JSON Schema (draft-07) of the spec, for editors and other tools."""
    from bedplate.spec.schema import to_text

    terminal.line(to_text().rstrip("\n"))
